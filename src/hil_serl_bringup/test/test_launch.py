# SPDX-License-Identifier: Apache-2.0
"""The launch files map the same graph as the command-line tool."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from test_arm_processes import robot_of

from hil_serl_bringup.graph.build import GraphError, Operator, Part, build_graph
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_bringup.launching.arguments import (
    ARGUMENTS,
    WINDOWS,
    ArgumentError,
    check_names,
    misspelt,
)
from hil_serl_bringup.launching.logs import ProcessLog
from hil_serl_bringup.launching.processes import (
    cell_processes,
    run_processes,
    two_arm_processes,
    viewer_processes,
)
from hil_serl_bringup.launching.request import request_from
from hil_serl_core.episode import Mode
from hil_serl_core.spec import load_task
from hil_serl_runs.labels import LEAST_EPISODES
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_tasks.finder import find_task_file, suite_folder

LAUNCH = Path(__file__).parent.parent / "launch"
TASK = str(suite_folder() / "sim" / "ram_insertion.yaml")


def load_launch_file(name: str) -> ModuleType:
    """A launch file as a module."""
    spec = importlib.util.spec_from_file_location(name, LAUNCH / f"{name}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(processes) -> list[str]:
    return [process.name for process in processes]


def test_every_argument_is_described_and_its_default_is_allowed():
    for name, argument in {**ARGUMENTS, **WINDOWS}.items():
        assert argument.description, name
        assert argument.choices is None or argument.default in argument.choices, name


def test_arguments_become_a_graph(tmp_path):
    request = request_from(
        {"task": TASK, "operator": "scripted", "speed": "lockstep", "run_dir": str(tmp_path / "r")}
    )
    assert request.operator is Operator.SCRIPTED
    assert request.mode is Mode.TRAIN
    assert not request.resume
    assert names(build_graph(request)) == ["learner", "sim", "operator", "actor", "monitor"]
    assert Path(request.task) == tmp_path / "r" / "task.yaml"
    monitor = build_graph(request)[-1].parameters
    assert monitor["words"] == "Training by hil_serl with interventions"
    assert monitor["episodes"] == 0


@pytest.mark.parametrize(
    ("robot", "asked", "started"),
    [("external", "spacenav", "spacenav"), ("external", "none", "none"), ("sim", "spacenav", "none")],
)
def test_in_an_evaluation_a_real_cell_has_a_device_that_stops_it(tmp_path, robot, asked, started):
    request_from({"task": TASK, "run_dir": str(tmp_path / "r")})
    values = {"run_dir": str(tmp_path / "r"), "mode": "eval", "checkpoint": "/policy"}
    assert request_from({**values, "robot": robot, "operator": asked}).operator == Operator(started)


def test_each_evaluation_is_a_phase_of_its_own(tmp_path):
    """As those of `hil-serl eval`: otherwise its result would count the earlier ones too."""
    request_from({"task": TASK, "run_dir": str(tmp_path / "r")})
    values = {"run_dir": str(tmp_path / "r"), "mode": "eval", "checkpoint": "/c/step_9", "episodes": "3"}
    for phase in ("eval_1", "eval_2"):
        (*_, monitor), logs = run_processes(values)
        known = {"phase": phase, "episodes": 3, "checkpoints": "/c/step_9", "words": "Evaluation of step_9"}
        assert known.items() <= monitor.parameters.items()
        assert Path(logs).name == phase


def test_an_existing_run_folder_goes_on_unless_told_not_to(tmp_path):
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "seed": "5"}
    with pytest.raises(RunFolderError, match="holds no run"):
        request_from({**values, "resume": "true"})
    request_from(values)
    again = request_from({**values, "seed": "0"})
    assert again.resume
    assert again.seed == 5
    with pytest.raises(RunFolderError, match="holds a run"):
        request_from({**values, "resume": "false"})


def test_the_reward_asked_for_is_that_of_the_run_and_stays_when_it_goes_on(tmp_path):
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "reward": "classifier"}
    with pytest.raises(GraphError, match="name a trained one"):
        request_from(values)
    with pytest.raises(GraphError, match="there is no classifier at"):
        request_from({**values, "classifier": str(tmp_path / "none")})
    (tmp_path / "classifier").mkdir()
    first = request_from({**values, "classifier": str(tmp_path / "classifier")})
    assert load_task(first.task).reward.kind == "classifier"
    again = request_from({"run_dir": str(tmp_path / "r")})
    assert again.classifier == first.classifier == str(tmp_path / "classifier")
    with pytest.raises(ArgumentError, match="algorithm:=daggr is not possible; did you mean 'hg_dagger'"):
        request_from({"task": TASK, "run_dir": str(tmp_path / "q"), "algorithm": "daggr"})


def test_two_machines_have_a_half_each(tmp_path):
    values = {"task": TASK, "operator": "scripted", "speed": "lockstep"}
    here = request_from({**values, "run_dir": str(tmp_path / "a"), "actor_only": "true"})
    assert names(build_graph(here)) == ["sim", "operator", "actor", "monitor"]
    there = request_from({**values, "run_dir": str(tmp_path / "b"), "learner_only": "true"})
    (learner,) = build_graph(there)
    assert learner.name == "learner"
    assert learner.parameters["bags_elsewhere"] is True
    together = build_graph(request_from({**values, "run_dir": str(tmp_path / "c")}))
    assert "bags_elsewhere" not in together[0].parameters
    with pytest.raises(GraphError, match="exclude each other"):
        request_from({**values, "actor_only": "true", "learner_only": "true"})
    with pytest.raises(GraphError, match="mode:=train"):
        request_from({**values, "learner_only": "true", "mode": "record_demos"})


def test_a_learner_alone_looks_nothing_of_the_robot_up(tmp_path):
    values = {"robot": "fr3", "reward": "pose", "run_dir": str(tmp_path / "r"), "learner_only": "true"}
    assert names(build_graph(request_from(values))) == ["learner"]


def test_episodes_follow_from_the_mode_unless_given(tmp_path):
    def episodes(mode, **more):
        values = {"task": TASK, "mode": mode, "run_dir": str(tmp_path / mode), "speed": "1.0"}
        return request_from({**values, **more}).episodes

    assert episodes("train") == 0
    assert episodes("record_demos") == load_task(TASK).learner.demonstrations
    assert episodes("record_demos", episodes="3") == 3
    assert episodes("record_classifier") == LEAST_EPISODES
    with pytest.raises(RunFolderError, match="folder of a trained run"):
        episodes("eval")


def test_a_person_who_labels_classifier_data_has_a_button(tmp_path):
    values = {"task": TASK, "mode": "record_classifier", "run_dir": str(tmp_path / "r")}
    assert load_task(request_from(values).task).intervention.success_button is not None


def test_a_training_without_its_demonstrations_is_refused_before_anything_starts(tmp_path):
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "operator": "scripted", "speed": "lockstep"}
    with pytest.raises(RunFolderError, match=r"no demonstrations in .*mode:=record_demos run_dir:="):
        run_processes(values)
    recorded = tmp_path / "r" / "bags" / "record_demos" / "actor_0" / "000" / "000_0.mcap"
    recorded.parent.mkdir(parents=True)
    recorded.touch()
    assert "learner" in names(run_processes(values)[0])
    assert "actor" in names(
        run_processes({**values, "run_dir": str(tmp_path / "q"), "actor_only": "true"})[0]
    )


def test_rviz_gets_a_layout_of_the_task(tmp_path):
    processes, logs = run_processes(
        {
            "task": TASK,
            "run_dir": str(tmp_path / "r"),
            "rviz": "true",
            "namespace": "cell",
            "algorithm": "rlpd_scratch",
        }
    )
    rviz = next(process for process in processes if process.name == "rviz")
    assert "markers" in names(processes)
    assert Path(rviz.arguments[1]).is_file()
    assert str(tmp_path / "r") in rviz.arguments[1]
    assert logs == str(tmp_path / "r" / "logs" / "train"), "as `hil-serl` keeps them"


def test_replay_plays_what_the_run_has(tmp_path):
    values = {"mode": "replay", "run_dir": str(tmp_path / "r")}
    with pytest.raises(FileNotFoundError, match="no recorded steps"):
        run_processes(values)
    with pytest.raises(RunFolderError, match="run_dir"):
        run_processes({"mode": "replay"})
    bag = tmp_path / "r" / "bags" / "train" / "a.mcap"
    bag.parent.mkdir(parents=True)
    bag.touch()
    (player,), _ = run_processes(values)
    assert player.ends_run
    assert list(player.arguments) == ["replay", str(tmp_path / "r"), "--publish"]


def test_a_recording_is_played_under_names_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("hil_serl_bringup.graph.observers.is_installed", lambda package: True)
    folder = tmp_path / "r" / "record" / "20260101-000000"
    folder.mkdir(parents=True)
    topic = "{topic_metadata: {name: /arm_state}, message_count: 3}"
    (folder / "metadata.yaml").write_text(
        f"rosbag2_bagfile_information:\n  topics_with_message_count: [{topic}]\n"
    )
    (player,), _ = run_processes({"mode": "replay", "run_dir": str(tmp_path / "r")})
    assert list(player.arguments) == ["bag", "play", str(folder), "--remap", "/arm_state:=/replay/arm_state"]


def test_two_arm_runs_refuse_a_task_with_one():
    with pytest.raises(GraphError, match="'ram_insertion' has one arm"):
        two_arm_processes({"task": TASK})


def test_parts_of_a_cell_start_alone(tmp_path):
    sim, _ = cell_processes({"task": TASK, "robot": "sim"}, Part.SIM)
    assert names(sim) == ["sim"]
    cameras, _ = cell_processes({"task": "ram_insertion", "robot": "fr3"}, Part.CAMERAS)
    assert names(cameras) == ["camera_wrist_1", "camera_wrist_2"]
    with pytest.raises(GraphError, match=r"use sim\.launch\.py"):
        cell_processes({"task": TASK, "robot": "sim"}, Part.ROBOT)
    with pytest.raises(GraphError, match=r"use robot\.launch\.py"):
        cell_processes({"robot": "fr3"}, Part.SIM)
    with pytest.raises(GraphError, match="names nothing to start as robot"):
        cell_processes({"robot": "external"}, Part.ROBOT)


def test_windows_are_chosen_one_by_one():
    values = {
        "task": "object_handover",
        "robot": "external",
        "rviz": "false",
        "rqt": "true",
        "plotjuggler": "false",
    }
    processes, _ = viewer_processes(values)
    assert names(processes) == ["markers", "diagnostics", "rqt"]
    assert processes[0].parameters["task"] == str(find_task_file("object_handover", False).absolute())


@pytest.mark.parametrize(
    ("asked", "opened"),
    [({}, ["rviz"]), ({"rqt": "true"}, ["rqt"]), ({"rqt": "true", "rviz": "true"}, ["rviz", "rqt"]),
     ({"plotjuggler": "true"}, ["plotjuggler"]), ({"rviz": "false"}, [])],
)  # fmt: skip
def test_rviz_is_not_needed_for_another_window(asked, opened):
    values = {name: argument.default for name, argument in WINDOWS.items()}
    processes, _ = viewer_processes({"task": "object_handover", "robot": "external", **values, **asked})
    assert [name for name in names(processes) if name in WINDOWS] == opened


@pytest.mark.parametrize(
    "starts",
    ["cell_processes({'task': 'ram_insertion', 'robot': 'CELL'}, Part.ROBOT)",
     "viewer_processes({'task': 'ram_insertion', 'robot': 'external', **dict.fromkeys(WINDOWS, 'true')})"],
)  # fmt: skip
def test_a_launch_file_without_a_run_leaves_nothing_in_the_temporary_folder(tmp_path, starts):
    folder = tmp_path / "temporary"
    folder.mkdir()
    robot_of(tmp_path)
    robot = tmp_path / "cell.yaml"
    program = (
        "import os, sys\n"
        "from hil_serl_bringup.graph.build import Part\n"
        "from hil_serl_bringup.launching.processes import WINDOWS, cell_processes, viewer_processes\n"
        f"made, _ = {starts.replace('CELL', str(robot))}\n"
        f"print(made and os.listdir({str(folder)!r}))\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hil-serl-" in done.stdout, "there while it runs"
    assert list(folder.iterdir()) == []


def test_a_misspelt_argument_is_refused_with_the_nearest_name():
    known = list(ARGUMENTS)
    check_names(["task:=ram_insertion", "mode:=eval", "--debug"], known)
    with pytest.raises(ArgumentError, match=r"no argument 'oprator'; did you mean 'operator'\?"):
        check_names(["oprator:=joy"], known)
    with pytest.raises(ArgumentError, match=r"no argument 'x_y_z'; it has task, mode, .*--show-args"):
        check_names(["x_y_z:=1"], known)
    assert misspelt(["tasks", "my_own", "speed"], known) == {"tasks": "task"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"episodes": "abc"},
            r"episodes:=abc is not possible; it has to be a whole number from 0 on: episodes to",
        ),
        ({"seed": "-1"}, r"seed:=-1 is not possible"),
        (
            {"learner_threads": "0"},
            r"learner_threads:=0 is not possible; it has to be a whole number from 1 on",
        ),
        ({"mode": "trian"}, r"mode:=trian is not possible; did you mean 'train'\?"),
        ({"rviz": "yes"}, r"rviz:=yes is not possible; it has to be one of true, false"),
    ],
)
def test_a_bad_value_names_its_argument_and_makes_no_folder(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=said):
        request_from({"operator": "none", "reward": "ground_truth", **given})
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_prints_is_in_the_file_of_its_name(tmp_path):
    log = ProcessLog(tmp_path / "logs" / "train" / "actor.log", "hil_serl_actor/actor_node")
    for _ in range(2):  # a resumed run goes on with the file
        log.start()
        log.write(b"one\n")
    lines = (tmp_path / "logs" / "train" / "actor.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("---")] == ["one", "one"]
    assert lines[0].endswith("hil_serl_actor/actor_node")


# ---------------------------------------------------------------- with launch


@pytest.mark.parametrize("name", ["task", "bimanual", "sim", "robot", "cameras", "monitor"])
def test_every_launch_file_declares_its_arguments(name):
    launch = pytest.importorskip("launch")
    pytest.importorskip("launch_ros")
    description = load_launch_file(name).generate_launch_description()
    declared = {
        entity.name: entity
        for entity in description.entities
        if isinstance(entity, launch.actions.DeclareLaunchArgument)
    }
    assert {"task", "robot", "namespace"} <= set(declared)
    assert all(entity.description for entity in declared.values())
    if name in ("task", "bimanual"):
        assert list(declared) == list(ARGUMENTS)


def test_the_launch_file_starts_the_graph(tmp_path):
    launch = pytest.importorskip("launch")
    launch_ros = pytest.importorskip("launch_ros")
    description = load_launch_file("task").generate_launch_description()
    context = launch.LaunchContext()
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "operator": "scripted", "speed": "lockstep"}
    values |= {"algorithm": "rlpd_scratch"}
    for name, argument in ARGUMENTS.items():
        context.launch_configurations[name] = values.get(name, argument.default)
    actions = description.entities[-1].execute(context)
    nodes = [action for action in actions if isinstance(action, launch_ros.actions.Node)]
    executables = ["learner_node", "sim_node", "operator_node", "actor_node", "run_monitor_node"]
    assert [node.node_executable for node in nodes] == executables
    assert RunFolder.open(tmp_path / "r").seed == 0


def end_of(process):
    pytest.importorskip("launch_ros")
    from hil_serl_bringup.launching.actions import end_of as made

    return made(process)


RUNNING, ENDING = SimpleNamespace(is_shutdown=False), SimpleNamespace(is_shutdown=True)


def ended(code):
    return SimpleNamespace(returncode=code)


def test_the_end_of_a_process_ends_the_run_with_its_reason():
    launch = pytest.importorskip("launch")
    actor = ProcessSpec("actor", "hil_serl_actor", "actor_node", ends_run=True)
    _, emit = end_of(actor)(ended(0), RUNNING)
    assert isinstance(emit.event, launch.events.Shutdown)
    assert emit.event.reason == "actor finished"
    with pytest.raises(RuntimeError, match=r"actor \(hil_serl_actor/actor_node\) ended with exit code 3"):
        end_of(actor)(ended(3), RUNNING)
    with pytest.raises(RuntimeError, match="ended with exit code 0"):
        end_of(replace(actor, ends_run=False))(ended(0), RUNNING)
    assert end_of(actor)(ended(-2), ENDING) is None


def test_a_process_that_has_done_its_work_or_is_a_window_ends_nothing():
    spawner = ProcessSpec("spawner", "controller_manager", "spawner", one_shot=True)
    assert end_of(spawner)(ended(0), RUNNING) is None
    with pytest.raises(RuntimeError, match="spawner"):
        end_of(spawner)(ended(1), RUNNING)
    assert end_of(ProcessSpec("rviz", "rviz2", "rviz2", optional=True))(ended(1), RUNNING) is None


def test_a_driver_that_fails_too_often_ends_the_run():
    on_exit = end_of(ProcessSpec("joy", "joy", "joy_node", max_restarts=2))
    assert [on_exit(ended(1), RUNNING), on_exit(ended(1), RUNNING)] == [None, None]
    with pytest.raises(RuntimeError, match=r"joy .* ended with exit code 1"):
        on_exit(ended(1), RUNNING)
