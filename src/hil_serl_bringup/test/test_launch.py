# SPDX-License-Identifier: Apache-2.0
"""The launch file maps the same graph as the command-line tool."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from hil_serl_bringup.graph import GraphError, Operator, build_graph
from hil_serl_bringup.launch_arguments import ARGUMENTS, request_from
from hil_serl_bringup.process_spec import ProcessSpec
from hil_serl_core.episode import Mode
from hil_serl_core.methods import MethodError
from hil_serl_core.spec import load_task

LAUNCH_FILE = Path(__file__).parent.parent / "launch" / "task.launch.py"
TASK = str(Path(__file__).parent.parent / "config" / "tasks" / "sim" / "ram_insertion.yaml")


def load_launch_file() -> ModuleType:
    """The launch file as a module."""
    spec = importlib.util.spec_from_file_location("task_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_is_described_and_its_default_is_allowed():
    for name, argument in ARGUMENTS.items():
        assert argument.description, name
        assert argument.choices is None or argument.default in argument.choices, name


def test_arguments_become_a_graph(tmp_path):
    request = request_from(
        {"task": TASK, "operator": "scripted", "speed": "lockstep", "run_dir": str(tmp_path / "r")}
    )
    assert request.operator is Operator.SCRIPTED
    assert request.mode is Mode.TRAIN
    assert not request.resume
    assert {process.name for process in build_graph(request)} == {"learner", "sim", "operator", "actor"}
    assert Path(request.task) == tmp_path / "r" / "task.yaml"


def test_an_existing_run_folder_is_resumed(tmp_path):
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "seed": "5"}
    request_from(values)
    again = request_from({**values, "seed": "0"})
    assert again.resume
    assert again.seed == 5


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
    with pytest.raises(MethodError, match="dagger"):
        request_from({"task": TASK, "run_dir": str(tmp_path / "q"), "algorithm": "daggr"})


def test_the_launch_file_declares_the_arguments_and_starts_the_graph(tmp_path):
    launch = pytest.importorskip("launch")
    launch_ros = pytest.importorskip("launch_ros")
    module = load_launch_file()
    description = module.generate_launch_description()
    declared = [e.name for e in description.entities if isinstance(e, launch.actions.DeclareLaunchArgument)]
    assert declared == list(ARGUMENTS)
    context = launch.LaunchContext()
    values = {"task": TASK, "run_dir": str(tmp_path / "r"), "operator": "scripted", "speed": "lockstep"}
    for name, argument in ARGUMENTS.items():
        context.launch_configurations[name] = values.get(name, argument.default)
    nodes = [action for action in module.start(context) if isinstance(action, launch_ros.actions.Node)]
    assert [node.node_executable for node in nodes] == [
        "learner_node",
        "sim_node",
        "operator_node",
        "actor_node",
    ]


def test_the_end_of_a_process_ends_the_run_with_its_reason():
    launch = pytest.importorskip("launch")
    pytest.importorskip("launch_ros")
    end_of, running = load_launch_file().end_of, SimpleNamespace(is_shutdown=False)
    actor = ProcessSpec("actor", "hil_serl_actor", "actor_node", ends_run=True)
    _, emit = end_of(actor)(SimpleNamespace(returncode=0), running)
    assert isinstance(emit.event, launch.events.Shutdown)
    assert emit.event.reason == "actor finished"
    with pytest.raises(RuntimeError, match="actor ended with exit code 3"):
        end_of(actor)(SimpleNamespace(returncode=3), running)
    with pytest.raises(RuntimeError, match="actor ended with exit code 0"):
        end_of(replace(actor, ends_run=False))(SimpleNamespace(returncode=0), running)
    assert end_of(actor)(SimpleNamespace(returncode=-2), SimpleNamespace(is_shutdown=True)) is None


def test_a_driver_that_fails_too_often_ends_the_run():
    pytest.importorskip("launch")
    pytest.importorskip("launch_ros")
    driver = ProcessSpec("joy", "joy", "joy_node", max_restarts=2)
    on_exit = load_launch_file().end_of(driver)
    exit_, running = SimpleNamespace(returncode=1), SimpleNamespace(is_shutdown=False)
    assert [on_exit(exit_, running), on_exit(exit_, running)] == [None, None]
    with pytest.raises(RuntimeError, match="joy ended with exit code 1"):
        on_exit(exit_, running)
