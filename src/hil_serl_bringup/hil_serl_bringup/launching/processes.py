# SPDX-License-Identifier: Apache-2.0
"""Processes that a launch file starts: of a run, of a part of its cell, or to look at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator, Part, build_graph
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_bringup.graph.robot_processes import robot_fields
from hil_serl_bringup.graph.robots import find_robot
from hil_serl_bringup.launching import temporary
from hil_serl_bringup.launching.arguments import REPLAY, WINDOWS, path_of, texts
from hil_serl_bringup.launching.request import request_from
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_runs.terminal import word
from hil_serl_tasks.finder import find_task, find_task_file


def run_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """Processes that launch arguments ask for, and the folder of their logs; errors as for `request_from`."""
    text = texts(values)
    if text["mode"] == REPLAY:
        path = path_of(text["run_dir"])
        if path is None:
            raise RunFolderError("mode:=replay needs run_dir:= the folder of a run")
        path = path.absolute()
        return observers.replay(path, text["rviz"] == "true"), str(path / "logs" / REPLAY)
    request = request_from(values)
    _expect_demonstrations(request)
    return build_graph(request), str(request.run_dir / "logs" / (request.phase or str(request.mode)))


def _expect_demonstrations(request: GraphRequest) -> None:
    """Say before anything starts that a learner would find no demonstrations; `hil-serl train` records them itself."""
    needed = (
        request.learner and request.mode is Mode.TRAIN and method_named(request.algorithm).uses_demonstrations
    )
    if needed and not any((request.run_dir / "bags" / str(Mode.RECORD_DEMOS)).rglob("*.mcap")):
        raise RunFolderError(
            f"there are no demonstrations in {request.run_dir}, and {request.algorithm} trains on them; record them first: "
            f"mode:=record_demos run_dir:={word(request.run_dir)} (algorithm:=rlpd_scratch needs none)"
        )


def two_arm_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """As `run_processes`, for tasks with two arms.

    Raises:
        GraphError: The task has one.
    """
    text = texts(values)
    path = path_of(text["run_dir"])
    if path is not None and (path / "run.json").exists():
        task = RunFolder.open(path).task()
    else:
        task = find_task(text["task"], find_robot(text["robot"]).has_twin)
    if len(task.arm_names) < 2:
        raise GraphError(f"task '{task.name}' has one arm; start it with task.launch.py")
    return run_processes(values)


def cell_processes(values: Mapping[str, str], part: Part) -> tuple[list[ProcessSpec], str]:
    """Processes of a part of the cell alone, without a run folder.

    Args:
        values: Launch arguments.
        part: SIM, ROBOT or CAMERAS.

    Raises:
        TaskFileError, RobotFileError, GraphError: What was asked for does not fit, or is nothing.
    """
    text = texts(values)
    robot = find_robot(text["robot"])
    if robot.simulated != (part is Part.SIM):
        other = (
            "is simulated: use sim.launch.py"
            if robot.simulated
            else "is no simulated cell: use robot.launch.py"
        )
        raise GraphError(f"robot '{robot.name}' {other}")
    other_parts: dict[str, object] = (
        {"cameras": {}} if part is Part.ROBOT else {"arm": None, "arms": {}, "drivers": ()}
    )
    robot = robot.model_copy(update=other_parts)  # nothing of them is looked up
    file = find_task_file(text["task"], robot.has_twin).absolute()
    task = find_task(str(file), robot.has_twin)
    request = GraphRequest(
        task=str(file),
        mode=Mode.TRAIN,
        run_dir=Path.cwd(),
        operator=Operator.NONE,
        seed=int(text["seed"]),
        speed=text["speed"],
        namespace=text["namespace"],
        display=text["display"] == "true",
        learner=False,
        **robot_fields(robot, task, file, text["namespace"], temporary.folder()),
    )
    processes = build_graph(request, [part])
    if not processes:
        raise GraphError(f"the robot file '{robot.name}' names nothing to start as {part}")
    return processes, ""


def viewer_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """Viewers of a run that goes on elsewhere.

    Raises:
        TaskFileError, RobotFileError: What was asked for does not exist.
    """
    own = {name: value for name, value in values.items() if name not in WINDOWS}
    text = {**texts(own), **values}
    robot = find_robot(text["robot"])
    file = find_task_file(text["task"], robot.has_twin).absolute()
    layouts = temporary.folder()
    observers.make_layouts(robot, find_task(str(file), robot.has_twin), text["namespace"], layouts)
    clock = {"use_sim_time": True} if robot.simulated else {}
    windows = [name for name in WINDOWS if text[name] == "true"]
    if text["rviz"] == "auto" and not windows:
        windows = ["rviz"]
    return observers.viewers(layouts, str(file), text["namespace"], windows, clock), ""
