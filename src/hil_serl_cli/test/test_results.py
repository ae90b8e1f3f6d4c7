# SPDX-License-Identifier: Apache-2.0
"""The results page: what is run, what is kept, and what the page says of it."""

import contextlib
import dataclasses
import math
from pathlib import Path

import pytest
from test_demo import PlayedSession

from hil_serl_bringup.graph.build import Operator
from hil_serl_cli.commands.results import Results, command_line
from hil_serl_cli.results import cells as results
from hil_serl_cli.results import robustness
from hil_serl_cli.results.cells import (
    Budget,
    Cell,
    Store,
    curve,
    finished,
    run_cell,
    same_settings,
    settings,
)
from hil_serl_cli.results.learning_curves import draw_task
from hil_serl_cli.results.page import page
from hil_serl_cli.results.paper import HOURS, REPORTED
from hil_serl_cli.results.robustness import add_robustness
from hil_serl_cli.running.phases import Setup
from hil_serl_core.methods import METHODS
from hil_serl_core.spec import load_task
from hil_serl_runs.report import wilson
from hil_serl_runs.statistics import Episode
from hil_serl_tasks.finder import suite_folder

TASK = load_task(suite_folder() / "sim" / "ram_insertion.yaml")
METHOD_NAMES = ("hil_serl", "serl", "hg_dagger", "bc")


def episode(number: int, success: bool = True, intervened: int = 0) -> Episode:
    return Episode(
        phase="train",
        wall=10.0 * (number + 1),
        env_steps=20 * (number + 1),
        actor_id="actor_0",
        episode=number,
        success=success,
        truncated=not success,
        aborted=False,
        reason="",
        steps=20,
        intervened_steps=intervened,
        interventions=intervened > 0,
        duration=2.0,
        policy_version=1,
        seed=number,
    )


def cell(method: str, successes: int, offline: bool = False, task: str = "ram_insertion") -> dict:
    trials = 50
    training = [] if offline else [episode(number, number > 5, max(0, 10 - number)) for number in range(30)]
    return {
        "task": task,
        "method": method,
        "seed": 0,
        "settings": settings(TASK),
        "trials": trials,
        "budget": {"minutes": 70.0, "steps": None},
        "agents": [
            {
                "agent": "",
                "task": task,
                "episodes": trials,
                "successes": successes,
                "success": successes / trials,
                "ci95": wilson(successes, trials),
                "cycle_time": 2.5 if successes else None,
                "cycle_steps": 25.0,
                "intervention": 0.0,
            }
        ],
        "training": {
            "seconds": 600.0,
            "stopped_by": "step limit of 9000",
            "updates": 1000,
            "env_steps": 0 if offline else 9000,
            "episodes": len(training),
            "intervention": None if offline else 0.2,
            "intervention_last": None if offline else 0.0,
        },
        "demonstrations": {"episodes": 20, "cycle_time": 3.7},
        "curve": curve(training),
    }


def test_a_finished_cell_stands_until_task_or_trials_change(tmp_path):
    store, one = Store(tmp_path), Cell("ram_insertion", "bc", 0)
    assert not finished(store.read(one), TASK, Budget())
    store.write(one, cell("bc", 7, offline=True))
    assert finished(store.read(one), TASK, Budget(episodes=50))
    assert not finished(store.read(one), TASK, Budget(episodes=100))
    learner = TASK.learner.model_copy(update={"learning_rate": 1e-3})
    assert not finished(store.read(one), TASK.model_copy(update={"learner": learner}), Budget())
    assert [c["method"] for c in store.all()] == ["bc"]


def test_budget_is_the_papers_transitions_unless_told_and_hg_dagger_gets_the_episodes_of_rl():
    rule = Budget(minutes=2).rule(TASK, "hil_serl", None)
    assert (rule.max_seconds, rule.max_steps, rule.window) == (120, 32000, 50)
    assert Budget(steps=500).rule(TASK, "serl", None).max_steps == 500
    dagger = Budget().rule(TASK, "hg_dagger", {"training": {"episodes": 7}})
    episodes = [episode(number) for number in range(200)]
    assert dagger.reason(episodes[:6], 1.0, 9000) is None
    assert dagger.reason(episodes[:7], 1.0, 9000) == "7 episodes"
    alone = Budget().rule(TASK, "hg_dagger", None)
    assert (
        alone.reason(episodes, 1.0, 9000) is None
    )  # success of its training, with interventions, says little
    assert math.isinf(alone.max_episodes)


@pytest.fixture
def played(monkeypatch, tmp_path):
    """Runs cells with sessions that play their episodes themselves; returns what was asked of them."""
    requests = []

    @contextlib.contextmanager
    def session(folder, **_):
        running = PlayedSession(folder)
        running.requests = requests
        yield running

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "session", session)
    return requests


def run(cell: Cell, budget: Budget | None = None) -> dict:
    return run_cell(
        cell, Setup(), budget or Budget(episodes=5, demonstrations=4), Path("runs"), Store(Path("cells"))
    )


def test_methods_of_one_task_and_seed_share_their_demonstrations(played):
    result = run(Cell("ram_insertion", "hil_serl", 3))
    run(Cell("ram_insertion", "serl", 3))
    assert [name for name, _ in played] == ["record_demos", "train", "eval", "train", "eval"]
    assert [request.operator for name, request in played if name == "train"] == [
        Operator.SCRIPTED,
        Operator.NONE,
    ]
    assert {request.seed for _, request in played} == {3}
    assert result["agents"][0]["successes"] == 5
    assert result["training"]["episodes"] == 30
    assert result["demonstrations"]["episodes"] == 4


def test_an_offline_method_runs_no_robot_and_one_from_scratch_no_demonstrations(played):
    run(Cell("ram_insertion", "bc", 0))
    run(Cell("ram_insertion", "rlpd_scratch", 0))
    names = [name for name, _ in played]
    assert names == ["record_demos", "train", "eval", "train", "eval"]
    assert [request.actor for name, request in played if name == "train"] == [False, True]


def test_an_interrupted_cell_goes_on_and_one_of_an_older_task_file_begins_anew(played, monkeypatch):
    one = Cell("ram_insertion", "hil_serl", 0)
    run(one)
    played.clear()
    run(one)  # as if interrupted before its result was written
    assert not played
    unused = TASK.reward.classifier.model_copy(update={"confirm_steps": 2})  # the simulator's truth judges
    reward = TASK.reward.model_copy(update={"classifier": unused})
    monkeypatch.setattr(results, "find_task", lambda name: TASK.model_copy(update={"reward": reward}))
    run(one)
    assert not played
    learner = TASK.learner.model_copy(update={"learning_rate": 1e-3})
    changed = TASK.model_copy(update={"learner": learner})
    monkeypatch.setattr(results, "find_task", lambda name: changed)
    run(one)
    assert [name for name, _ in played] == ["record_demos", "train", "eval"]
    assert Path("runs/ram_insertion-hil_serl-seed0.old0").is_dir()


def test_a_finished_policy_is_also_evaluated_under_the_disturbances_that_its_twin_can_make(
    played, monkeypatch
):
    one, store = Cell("usb_insertion", "hil_serl", 0), Store(Path("cells"))
    monkeypatch.setattr(robustness, "session", results.session)
    beside = {"agent": "", "episodes": 5, "successes": 3, "ci95": wilson(3, 5)}
    monkeypatch.setattr(robustness.expert, "beside", lambda *_: ([beside], ""))
    assert "no robustness" in add_robustness(one, Setup(), 5, Path("runs"), store)
    run(one)
    played.clear()
    told = add_robustness(one, Setup(), 5, Path("runs"), store)
    expected = (
        "move_target at step 5: 5 of 5 (the expert from there: 3 of 5), open_gripper at step 5: 5 of 5 (the"
    )
    assert expected in told, "episodes of 10 steps"
    asked = [(name, request.perturbation, request.perturbation_step) for name, request in played]
    assert asked == [("eval_move_target", "move_target", 5), ("eval_open_gripper", "open_gripper", 5)]
    add_robustness(one, Setup(), 5, Path("runs"), store)
    assert len(played) == 2, "kept"
    text = page(store.all(), ["usb_insertion"], METHOD_NAMES, "cmd")
    assert (
        "| hil_serl | 0 |  | grippers forced open at step 5 | 100 % (57 % to 100 %, n = 5) | 60 % (23 % to 88 %, n = 5) |"
        in text
    )


def pair(**training) -> dict:
    """A finished cell of two agents."""
    one = cell("serl", 3)
    forward = one["agents"][0] | {"agent": "forward"}
    return one | {
        "agents": [forward, forward | {"agent": "backward"}],
        "training": one["training"] | training,
    }


def test_transitions_and_updates_of_each_agent_are_told(played):
    result = run(Cell("object_relocation", "serl", 0))
    assert result["training"]["agents"] == [
        {"agent": agent, "transitions": 300, "updates": 900} for agent in ("forward", "backward")
    ]
    assert result["training"]["updates"] == 1800
    counted = [
        {"agent": "forward", "transitions": 6000, "updates": 12000},
        {"agent": "backward", "transitions": 3000, "updates": 5999},
    ]

    def rows(stored):
        text = page([stored], ["ram_insertion"], METHOD_NAMES, "cmd")
        return [line for line in text.splitlines() if line.startswith("| serl |")]

    forward, backward = rows(pair(agents=counted))
    assert "| 6,000 | 12,000 | 10.0 |" in forward
    assert "| 3,000 | 5,999 | 10.0 |" in backward
    unknown = [entry | {"transitions": None, "updates": None} for entry in counted]
    for kept in (unknown, []):
        assert all("| 9,000 of both | – | 10.0 |" in row for row in rows(pair(agents=kept)))
    (alone,) = rows(cell("serl", 3))
    assert "| 9,000 | 1,000 | 10.0 |" in alone


def test_results_of_two_agents_without_a_limit_to_their_attempts_are_of_earlier_settings():
    relocation = load_task(suite_folder() / "sim" / "object_relocation.yaml")
    for task, still in ((TASK, True), (relocation, False)):
        stored = {"settings": settings(task)}
        assert same_settings(stored, task)
        del stored["settings"]["reset"]["attempts"]  # as before there was such a limit
        assert same_settings(stored, task) is still


def test_time_limits_that_differ_are_told():
    rows = [
        cell("hil_serl", 50),
        cell("serl", 9) | {"budget": {"minutes": 20.0}},
    ]
    told = "(time limits of these were 20 to 70 minutes)"
    assert told in page(rows, ["ram_insertion"], METHOD_NAMES, "cmd")
    assert "time limits" not in page(rows[:1], ["ram_insertion"], METHOD_NAMES, "cmd")


def test_a_twin_that_nothing_disturbs_is_named(played, monkeypatch):
    one, store = Cell("object_flip", "hil_serl", 0), Store(Path("cells"))
    monkeypatch.setattr(robustness, "session", results.session)
    run(one)
    played.clear()
    assert "nothing that its twin could disturb" in add_robustness(one, Setup(), 5, Path("runs"), store)
    assert not played
    assert "Sec. 4.4" not in page(store.all(), ["object_flip"], METHOD_NAMES, "cmd")


def test_robustness_of_a_run_folder_with_other_settings_is_refused(played, monkeypatch):
    one, store = Cell("ram_insertion", "hil_serl", 0), Store(Path("cells"))
    monkeypatch.setattr(robustness, "session", results.session)
    stored = run(one)
    stored["settings"]["learner"]["discount"] = 0.5
    store.write(one, stored)
    played.clear()
    assert "other settings" in add_robustness(one, Setup(), 5, Path("runs"), store)
    assert not played


def test_the_page_has_our_numbers_beside_the_papers_and_says_what_is_missing():
    text = page(
        [cell("hil_serl", 50), cell("bc", 30, offline=True)],
        ["ram_insertion", "object_flip"],
        METHOD_NAMES,
        "cmd",
    )
    assert "\ncmd\n" in text
    assert (
        "| [ram_insertion](#ram_insertion) | 100 % | 100 % | not run | 48 %* | not run | 29 % | 60 % | 12 %* |"
        in text
    )
    row = next(line for line in text.splitlines() if line.startswith("| hil_serl |"))
    assert "100 % (93 % to 100 %, n = 50) | 100 % | 2.5 s | 4.8 s | 9,000 | 1,000 | 10.0 |" in row
    assert "| offline |" in text
    assert "\\* in the paper under other conditions; ram_insertion by serl: 200 demonstrations;" in text
    assert "- ram_insertion: serl, hg_dagger\n- object_flip: hil_serl, serl, hg_dagger, bc" in text


def test_the_page_marks_what_was_measured_with_other_settings():
    rows = [cell("hil_serl", 50), {**cell("bc", 30, offline=True), "settings": {"name": "another"}}]
    text = page(rows, ["ram_insertion"], METHOD_NAMES, "cmd", {"ram_insertion": TASK})
    assert "| hil_serl | 0 |" in text
    assert "| bc | 0† |" in text
    assert "† with earlier settings of this task" in text
    assert "†" not in page(rows, ["ram_insertion"], METHOD_NAMES, "cmd")


def test_a_setting_that_came_later_and_is_not_used_makes_no_result_stale():
    stored = {"settings": settings(TASK)}
    del stored["settings"]["reset"]["lift"]  # as if the result were older than this setting
    assert same_settings(stored, TASK)
    stored["settings"]["learner"]["discount"] = 0.5
    assert not same_settings(stored, TASK)
    assert not same_settings({"settings": {"name": "ram_insertion", "gone": 1}}, TASK)


def test_settings_of_a_judge_that_did_not_judge_make_no_result_stale():
    stored = {"settings": settings(TASK)}
    assert TASK.reward.kind == "ground_truth"
    stored["settings"]["reward"] |= {"pose": {"maximum_speed": 0.2}, "classifier": {"cameras": ["wrist_1"]}}
    assert same_settings(stored, TASK)
    stored["settings"]["reward"]["kind"] = "classifier"
    assert not same_settings(stored, TASK)


def test_the_page_says_where_a_method_does_better_or_worse_than_reported():
    text = page([cell("hil_serl", 40), cell("bc", 30, offline=True)], ["ram_insertion"], METHOD_NAMES, "cmd")
    assert "`hil_serl` does worse than reported: here 40 of 50, in the paper 100 %." in text
    assert "`bc` does better than reported: here 30 of 50, in the paper 12 % (200 demonstrations)." in text
    near = page([cell("hil_serl", 49)], ["ram_insertion"], METHOD_NAMES, "cmd")
    assert "than reported" not in near, "100 of 100 is at least 96 %, and 49 of 50 at most 99.6 %"
    fair = page([cell("hil_serl", 50)], ["ram_insertion"], METHOD_NAMES, "cmd")
    assert "than reported" not in fair


def test_curves_are_drawn_with_and_without_online_data(tmp_path):
    path = tmp_path / "curves" / "ram_insertion.png"
    draw_task("ram_insertion", [cell("hil_serl", 50), cell("bc", 0, offline=True)], METHOD_NAMES, path)
    assert path.stat().st_size > 10_000


def test_a_long_curve_is_thinned_and_keeps_its_end():
    long = [dataclasses.replace(episode(number), env_steps=number) for number in range(1234)]
    points = curve(long)
    assert len(points["env_steps"]) <= 201
    assert points["env_steps"][-1] == 1233
    assert points["success"][-1] == 1.0


def test_what_the_papers_report_is_about_known_tasks_and_methods():
    assert set(HOURS) <= set(REPORTED)
    assert all(set(methods) <= set(METHODS) for methods in REPORTED.values())
    ours = [r["hil_serl"].success for r in REPORTED.values() if "hil_serl" in r]
    assert ours == [100] * 12


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["results", "--seeds", "0", "1", "--page-only"], "hil-serl results --seeds 0 1"),
        (
            ["results", "--runs", "/tmp/x", "--output=/tmp/y", "--minutes", "5"],
            "hil-serl results --minutes 5",
        ),
    ],
)
def test_the_command_is_kept_without_the_places(arguments, line):
    assert command_line(arguments) == line


def test_only_the_page_is_written_without_running(tmp_path):
    store = Store(tmp_path / "cells")
    store.write(Cell("ram_insertion", "hil_serl", 0), cell("hil_serl", 49))
    assert Results(tasks=("ram_insertion",), output=tmp_path, page_only=True).run() == 0
    assert "98 %" in (tmp_path / "index.md").read_text()
    assert (tmp_path / "curves" / "ram_insertion.png").exists()
