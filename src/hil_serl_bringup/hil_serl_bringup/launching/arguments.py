# SPDX-License-Identifier: Apache-2.0
"""Arguments of the launch files, and how they become a request for a graph. Needs no `launch` to be tested."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from hil_serl_bringup.commands.options import MethodOptions, demonstrations_of, open_folder
from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator, Part, build_graph
from hil_serl_bringup.graph.dds import profile_file
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_bringup.graph.robot_processes import robot_fields
from hil_serl_bringup.graph.robots import Robot, find_robot, robots
from hil_serl_bringup.resources import find_task, find_task_file
from hil_serl_bringup.runs.classifier_record import LEAST_EPISODES, recording_task
from hil_serl_bringup.runs.phases import latest_checkpoints, link_agents
from hil_serl_bringup.runs.run_folder import RunFolder, RunFolderError
from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS, method_named
from hil_serl_core.spec import RewardKind


@dataclass(frozen=True)
class Argument:
    """One launch argument.

    Attributes:
        default: Value when it is not given.
        description: What `ros2 launch --show-args` prints.
        choices: Allowed values, None for any.
    """

    default: str
    description: str
    choices: list[str] | None = None


YES_NO = ["true", "false"]
REPLAY = "replay"
"""Mode that plays what a run recorded; the other modes are the actor's."""
EVALUATED_EPISODES = 50
CELL_ARGUMENTS = ("task", "robot", "namespace")
"""Arguments of a launch file that starts a cell or a part of it."""

ARGUMENTS: Mapping[str, Argument] = {
    "task": Argument("ram_insertion", "name of a task (hil-serl tasks), or path of a task file"),
    "mode": Argument(
        "train",
        "train; eval: the policy alone; record_demos, record_classifier: the operator alone; replay: play what run_dir "
        "recorded",
        [*(str(mode) for mode in Mode), REPLAY],
    ),
    "robot": Argument(
        "sim",
        f"name of a robot file ({', '.join(robots())}), or its path; sim: the task's twin; external: a cell whose drivers "
        "run already",
    ),
    "operator": Argument(
        "spacenav",
        "who corrects: a SpaceMouse, a gamepad (joy), the keyboard, nobody, or in the simulator a script; mode:=eval: "
        "whose buttons stop the robot, it does not drive",
        [str(operator) for operator in Operator],
    ),
    "algorithm": Argument("hil_serl", "how to learn", list(METHODS)),
    "run_dir": Argument("", "run folder; empty: a new one under runs/"),
    "resume": Argument(
        "auto",
        "true: run_dir has to hold a run, which goes on; false: it must not; auto: it goes on if it holds one",
        ["auto", *YES_NO],
    ),
    "actor_only": Argument(
        "false", "only cell, operator and actor: the learner runs on another machine", YES_NO
    ),
    "learner_only": Argument(
        "false",
        "only the learner: cell and actor run on another machine, with the same task and robot",
        YES_NO,
    ),
    "rviz": Argument("false", "open RViz", YES_NO),
    "record": Argument("false", "record the run's topics into run_dir/record with 'ros2 bag record'", YES_NO),
    "record_images": Argument(
        "none", "with record:=true, camera topics to record besides", ["none", "compressed", "raw"]
    ),
    "speed": Argument("1.0", "simulator: a factor of real time, or lockstep (as fast as it goes)"),
    "seed": Argument("0", "seed of initial states, networks and exploration"),
    "episodes": Argument(
        "",
        "episodes to complete, 0 for no limit; empty: demonstrations as many as the task file says, "
        f"{LEAST_EPISODES} with record_classifier, {EVALUATED_EPISODES} with eval, no limit with train",
    ),
    "checkpoint": Argument("", "with mode:=eval, checkpoint folder; empty: the newest of run_dir"),
    "deterministic": Argument("true", "with mode:=eval, the policy's mode instead of samples", YES_NO),
    "reward": Argument("", "who judges success; empty: as the task file says", ["", *get_args(RewardKind)]),
    "classifier": Argument("", "folder of the trained reward classifier"),
    "partner_classifier": Argument("", "that of the backward task in forward-backward training"),
    "device": Argument("auto", "device of the learner", ["cpu", "cuda", "auto"]),
    "learner_threads": Argument("1", "CPU threads of the learner"),
    "actor_id": Argument(
        "actor_0", "name of this actor in bags and acknowledgements, its own for each of several"
    ),
    "namespace": Argument("", "ROS namespace of the run"),
    "actors": Argument(
        "",
        "with learner_only, namespaces of several actors, such as 'cell_1,cell_2', each started with actor_only, a "
        "namespace and an actor_id of its own; empty: one actor",
    ),
    "dds_profile": Argument(
        "auto",
        "Fast DDS profile of actor and learner: none, two_machines, or an XML file; auto: two_machines with actor_only and "
        "learner_only",
    ),
    "display": Argument("false", "publish the simulated display camera", YES_NO),
}


def texts(values: Mapping[str, str]) -> dict[str, str]:
    """All arguments, with the default of those that are not given."""
    return {name: values.get(name, argument.default) for name, argument in ARGUMENTS.items()}


def _operator(text: Mapping[str, str], mode: Mode, simulated: bool) -> Operator:
    """Whose device is started; in an evaluation it only stops and labels, which a simulated cell can do without."""
    operator = Operator(text["operator"])
    needless = mode is Mode.EVAL and (simulated or operator is Operator.SCRIPTED)
    return Operator.NONE if needless else operator


def request_from(values: Mapping[str, str]) -> GraphRequest:
    """The graph that launch arguments ask for; makes or opens the run folder.

    Args:
        values: Argument name -> text; missing ones take their default.

    Raises:
        ValueError: A value that cannot be used.
        TaskFileError, RobotFileError, GraphError, MethodError: What was asked for does not fit.
    """
    text = texts(values)
    robot, mode = find_robot(text["robot"]), Mode(text["mode"])
    if text["actor_only"] == text["learner_only"] == "true":
        raise GraphError("actor_only and learner_only exclude each other; give neither to run both here")
    if text["learner_only"] == "true" and mode is not Mode.TRAIN:
        raise GraphError(f"learner_only goes with mode:=train, not {mode}")
    options = MethodOptions(
        reward=cast(RewardKind, text["reward"]) if text["reward"] else None,
        classifier=_path(text["classifier"]),
        partner_classifier=_path(text["partner_classifier"]),
        algorithm=text["algorithm"],
    )
    folder = _folder(text, mode, robot, options)
    facts = options.facts()
    link_agents(folder)
    resume = mode is Mode.TRAIN and folder.begin_part("train") > 0
    checkpoints = [text["checkpoint"], ""]
    if mode is Mode.EVAL and not text["checkpoint"]:
        checkpoints = [str(path) for path in latest_checkpoints(folder)] + [""]
    here = text["learner_only"] != "true"
    if text["rviz"] == "true":
        observers.make_layouts(robot, folder.task(), text["namespace"], folder.path / observers.LAYOUTS)
    return GraphRequest(
        task=str(folder.task_file),
        mode=mode,
        run_dir=folder.path,
        operator=_operator(text, mode, robot.simulated),
        seed=folder.seed,
        speed=text["speed"],
        episodes=_episodes(text["episodes"], mode, folder),
        resume=resume,
        algorithm=facts["algorithm"],
        actor_id=text["actor_id"],
        checkpoint=checkpoints[0],
        partner=str(folder.partner_file) if folder.partner_file.exists() else "",
        partner_checkpoint=checkpoints[1],
        classifier=facts["classifier"],
        partner_classifier=facts["partner_classifier"],
        deterministic=text["deterministic"] == "true" if mode is Mode.EVAL else None,
        display=text["display"] == "true",
        device=text["device"],
        learner_threads=int(text["learner_threads"]),
        namespace=text["namespace"],
        monitor=True,
        rviz=text["rviz"] == "true",
        actors=text["actors"],
        dds_profile=str(
            profile_file(text["dds_profile"], "true" in (text["actor_only"], text["learner_only"])) or ""
        ),
        record=text["record"] == "true",
        record_images=text["record_images"],
        learner=text["actor_only"] != "true",
        actor=here,
        **robot_fields(robot, folder.task(), folder.task_file, text["namespace"], folder.path, here),
    )


def _folder(text: Mapping[str, str], mode: Mode, robot: Robot, options: MethodOptions) -> RunFolder:
    path = _path(text["run_dir"])
    known = path if path is not None and (path / "run.json").exists() else None
    if text["resume"] == "true" and known is None:
        where = f"{path} holds no run" if path is not None else "no run_dir was given"
        raise RunFolderError(f"resume:=true, but {where}; give run_dir:= the folder of the run to go on with")
    if text["resume"] == "false" and known is not None:
        raise RunFolderError(f"resume:=false, but {path} holds a run; give run_dir:= a new folder")
    if mode is Mode.EVAL and known is None:
        raise RunFolderError("mode:=eval needs run_dir:= the folder of a trained run")
    seed = int(text["seed"])
    if mode is Mode.RECORD_CLASSIFIER:  # what is recorded there makes the judge
        task = recording_task(find_task(text["task"], robot.has_twin), robot.simulated)
        return open_folder(task, seed, "launch", path, known)
    return options.open_judged(text["task"], seed, "launch", path, known, robot)


def _episodes(text: str, mode: Mode, folder: RunFolder) -> int:
    if text:
        return int(text)
    return {
        Mode.RECORD_DEMOS: demonstrations_of(folder, None) * len(folder.agents),
        Mode.RECORD_CLASSIFIER: LEAST_EPISODES,
        Mode.EVAL: EVALUATED_EPISODES * len(folder.agents),
        Mode.TRAIN: 0,
    }[mode]


def run_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """Processes that launch arguments ask for, and the folder of their logs; errors as for `request_from`."""
    text = texts(values)
    if text["mode"] == REPLAY:
        path = _path(text["run_dir"])
        if path is None:
            raise RunFolderError("mode:=replay needs run_dir:= the folder of a run")
        return observers.replay(path.absolute(), text["rviz"] == "true"), ""
    request = request_from(values)
    _expect_demonstrations(request)
    return build_graph(request), str(request.run_dir / "logs")


def _expect_demonstrations(request: GraphRequest) -> None:
    """Say before anything starts that a learner would find no demonstrations; `hil-serl train` records them itself."""
    needed = (
        request.learner and request.mode is Mode.TRAIN and method_named(request.algorithm).uses_demonstrations
    )
    if needed and not any((request.run_dir / "bags" / str(Mode.RECORD_DEMOS)).rglob("*.mcap")):
        raise RunFolderError(
            f"there are no demonstrations in {request.run_dir}, and {request.algorithm} trains on them; record them first: "
            f"mode:=record_demos run_dir:={request.run_dir} (algorithm:=rlpd_scratch needs none)"
        )


def two_arm_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """As `run_processes`, for tasks with two arms.

    Raises:
        GraphError: The task has one.
    """
    text = texts(values)
    path = _path(text["run_dir"])
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
        **robot_fields(robot, task, file, text["namespace"], None),
    )
    processes = build_graph(request, [part])
    if not processes:
        raise GraphError(f"the robot file '{robot.name}' names nothing to start as {part}")
    return processes, ""


WINDOWS: Mapping[str, Argument] = {
    "rviz": Argument("true", "open RViz: arm, trail, target, workspace, cameras", YES_NO),
    "rqt": Argument("false", "open rqt: rates, rewards, learner, diagnostics", YES_NO),
    "plotjuggler": Argument("false", "open PlotJuggler", YES_NO),
}
"""Arguments of monitor.launch.py, besides those of a cell."""


def viewer_processes(values: Mapping[str, str]) -> tuple[list[ProcessSpec], str]:
    """Viewers of a run that goes on elsewhere.

    Raises:
        TaskFileError, RobotFileError: What was asked for does not exist.
    """
    text = {**texts(values), **values}
    robot = find_robot(text["robot"])
    file = find_task_file(text["task"], robot.has_twin).absolute()
    layouts = Path(tempfile.mkdtemp(prefix="hil-serl-"))
    observers.make_layouts(robot, find_task(str(file), robot.has_twin), text["namespace"], layouts)
    clock = {"use_sim_time": True} if robot.simulated else {}
    windows = [name for name in WINDOWS if text[name] == "true"]
    return observers.viewers(layouts, str(file), text["namespace"], windows, clock), ""


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None
