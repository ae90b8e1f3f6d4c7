# SPDX-License-Identifier: Apache-2.0
"""The scripted expert beside a disturbed policy: which recorded actions lead to it, what is kept and told."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from hil_serl_bringup.graph.build import GraphError
from hil_serl_cli.commands.expert import Expert
from hil_serl_cli.results import expert
from hil_serl_cli.results.page_robustness import robustness
from hil_serl_core.spec import load_task
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import Episode
from hil_serl_sim.repeating import NotReproducedError
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder() / "sim"
STEP = 3
BASE = Episode("eval_1", 1.0, 10, "actor_0", 0, True, False, False, "success", 10, 0, 0, 1.0, 3, 7)


@pytest.fixture
def asked(monkeypatch):
    """What yardsticks were asked; they solve every second episode."""
    noted = []

    class Played:
        def __init__(self, spec, kind, step):
            self.task, self.kind, self.step = spec.name, kind, step
            if kind == "open_gripper" and spec.action.gripper is None:
                raise ValueError("does not move its gripper")

        def episode(self, seed, lead=(), poses=None):
            noted.append((self.task, self.kind, self.step, seed, [int(a[0]) for a in lead], poses))
            return SimpleNamespace(success=len(noted) % 2 == 1)

        def close(self):
            noted.append("closed")

    monkeypatch.setattr(expert, "_yardstick", Played)
    return noted


def records(actor, episode, steps):
    """Records of one episode; actions and poses tell their step."""
    for index in range(steps + 1):
        action = None if index == steps else np.array([index])
        yield SimpleNamespace(
            actor_id=actor, episode=episode, step_index=index, action=action, tcp_poses=np.full((1, 7), index)
        )


def test_the_expert_takes_over_where_each_agent_was_disturbed(asked, monkeypatch, tmp_path):
    forward, backward = (load_task(TASKS / f"object_relocation{end}.yaml") for end in ("", "_back"))
    folder = RunFolder.create(forward, 3, "train", path=tmp_path / "run", partner=backward)
    bags = {
        "actor_0_forward": [*records("actor_0_forward", 0, 9), *records("actor_0_forward", 1, 9)],
        "actor_0_backward": list(records("actor_0_backward", 4, 2)),  # over before the disturbance
    }
    monkeypatch.setattr(expert, "read_steps", lambda path: bags[path.name])
    log = [
        dataclasses.replace(BASE, actor_id="actor_0_forward", episode=1, seed=11),
        dataclasses.replace(BASE, actor_id="actor_0_backward", episode=4, seed=12),
    ]
    results, problem = expert.beside(folder, log, "open_gripper", STEP)
    (one, closed, other, _) = asked
    assert one[:5] == ("object_relocation", "open_gripper", STEP, 11, [0, 1, 2])
    assert one[5].tolist() == np.full((1, 7), 3).tolist()
    assert other == ("object_relocation_back", "open_gripper", STEP, 12, [0, 1], None)
    assert closed == "closed"
    assert problem == ""
    assert [(r["agent"], r["successes"], r["episodes"]) for r in results] == [
        ("forward", 1, 1),
        ("backward", 1, 1),
    ]


def test_what_cannot_be_repeated_is_told_and_costs_nothing_else(monkeypatch, tmp_path):
    folder = RunFolder.create(load_task(TASKS / "usb_insertion.yaml"), 3, "train", path=tmp_path / "run")
    results, problem = expert.beside(folder, [BASE], "open_gripper", STEP)
    assert results == []
    assert "bags/eval/actor_0" in problem, "no recording"

    def other_course(*_):
        raise NotReproducedError("another course")

    monkeypatch.setattr(expert, "_beside", other_course)
    assert expert.beside(folder, [BASE], "open_gripper", STEP) == ([], "another course")


def test_the_command_measures_every_step_and_keeps_it_for_the_page(asked, tmp_path, capsys):
    Expert("usb_insertion", "open_gripper", steps=(4, 9), episodes=3, seed=5, output=tmp_path).run()
    assert [note[2:4] for note in asked if note != "closed"] == [
        (s, seed) for s in (4, 9) for seed in (5, 6, 7)
    ]
    told = capsys.readouterr().out
    assert "usb_insertion, open_gripper at step 4: the scripted expert solves 2 of 3 (95 %:" in told
    Expert("usb_insertion", "move_target", steps=(4,), episodes=2, output=tmp_path).run()
    Expert("usb_insertion", "open_gripper", steps=(9,), episodes=2, output=tmp_path).run()
    kept = json.loads((tmp_path / "experts" / "usb_insertion.json").read_text())
    assert [(one["disturbance"], one["step"]) for one in kept["series"]] == [
        ("move_target", 4),
        ("open_gripper", 9),
    ]
    assert expert.kept(tmp_path, "usb_insertion") == kept
    assert expert.kept(tmp_path, "ram_insertion") is None


def test_the_command_says_what_a_twin_cannot_be_disturbed_in(asked):
    with pytest.raises(GraphError, match="does not move its gripper"):
        Expert("ram_insertion", "open_gripper").run()


def counted(successes, episodes=50, **more):
    return {"successes": successes, "episodes": episodes, "ci95": [0.01, 0.2], "cycle_time": 3.3, **more}


def test_the_page_shows_the_expert_beside_the_policy_and_alone():
    entry = {"step": 5, "agents": [counted(4, agent="")], "expert": [counted(6, agent="")]}
    cell = {"method": "hil_serl", "seed": 0, "disturbed": {"open_gripper": entry}}
    series = [counted(n, 12, disturbance="open_gripper", step=step) for step, n in ((5, 12), (14, 1))]
    lines = robustness([cell], {"task": "object_handover", "series": series})
    row = (
        "| grippers forced open at step 5 | 8 % (1 % to 20 %, n = 50) | 12 % (1 % to 20 %, n = 50) | 3.3 s |"
    )
    row = f"| hil_serl | 0 |  {row}"
    assert row in lines
    assert "| grippers forced open at step | 5 | 14 |" in lines
    assert "| scripted expert | 100 % (12 of 12) | 8 % (1 of 12) |" in lines
    command = "`hil-serl expert --task object_handover --perturb open_gripper --steps 5 14 --episodes 12`"
    assert any(command in line for line in lines)
    del entry["expert"]  # measured before there was a comparison
    assert row.replace("12 % (1 % to 20 %, n = 50)", "–") in robustness([cell], None)
    assert robustness([], None) == []
