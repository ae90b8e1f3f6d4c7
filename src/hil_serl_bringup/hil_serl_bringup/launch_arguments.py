# SPDX-License-Identifier: Apache-2.0
"""Arguments of task.launch.py, and how they become a request for a graph. Needs no `launch` to be tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from hil_serl_bringup.graph import GraphRequest, Operator
from hil_serl_bringup.options import MethodOptions, open_folder
from hil_serl_bringup.phases import latest_checkpoints, link_agents
from hil_serl_bringup.robots import find_robot
from hil_serl_core.episode import Mode
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

ARGUMENTS: Mapping[str, Argument] = {
    "task": Argument("ram_insertion", "name of a task, or path of a task file"),
    "mode": Argument("train", "what to do", [str(mode) for mode in Mode]),
    "operator": Argument("spacenav", "who corrects", [str(operator) for operator in Operator]),
    "robot": Argument(
        "panda_sim", "robot file by name or path; external: a real cell whose drivers run already"
    ),
    "speed": Argument("1.0", "simulated time: lockstep, or a factor of real time"),
    "seed": Argument("0", "seed of initial states, networks and exploration"),
    "episodes": Argument("0", "episodes to complete, 0 for no limit"),
    "run_dir": Argument("", "run folder; empty: a new one under runs/; one that exists is resumed"),
    "checkpoint": Argument("", "checkpoint folder for mode:=eval; empty: the newest of run_dir"),
    "deterministic": Argument("true", "in mode:=eval, act with the policy's mode instead of samples", YES_NO),
    "algorithm": Argument("hil_serl", "learner algorithm"),
    "reward": Argument("", "who judges success; empty: as the task file says", ["", *get_args(RewardKind)]),
    "classifier": Argument("", "folder of the trained reward classifier"),
    "partner_classifier": Argument("", "that of the backward task in forward-backward training"),
    "device": Argument("auto", "device of the learner", ["cpu", "cuda", "auto"]),
    "learner_threads": Argument("1", "CPU threads of the learner"),
    "learner": Argument("true", "start the learner here; false: it runs on another machine", YES_NO),
    "actor": Argument("true", "start cell and actor here; false: they run on another machine", YES_NO),
    "actor_id": Argument("actor_0", "name of this actor in bags and acknowledgements"),
    "namespace": Argument("", "ROS namespace"),
    "display": Argument("false", "publish the simulated display camera", YES_NO),
}


def request_from(values: Mapping[str, str]) -> GraphRequest:
    """The graph that launch arguments ask for; makes or opens the run folder.

    Args:
        values: Argument name -> text; missing ones take their default.

    Raises:
        ValueError: A value that cannot be used.
        TaskFileError, GraphError, MethodError: What was asked for does not fit the task.
    """
    text = {name: values.get(name, argument.default) for name, argument in ARGUMENTS.items()}
    robot = find_robot(text["robot"])
    mode, path = Mode(text["mode"]), Path(text["run_dir"]) if text["run_dir"] else None
    known = path if path is not None and (path / "run.json").exists() else None
    options = MethodOptions(
        reward=cast(RewardKind, text["reward"]) if text["reward"] else None,
        classifier=_path(text["classifier"]),
        partner_classifier=_path(text["partner_classifier"]),
        algorithm=text["algorithm"],
    )
    if mode is Mode.RECORD_CLASSIFIER:  # what is recorded there makes the judge
        folder = open_folder(text["task"], int(text["seed"]), "launch", path, known, robot.has_twin)
    else:
        folder = options.open_judged(text["task"], int(text["seed"]), "launch", path, known, robot)
    facts = options.facts()
    link_agents(folder)
    resume = mode is Mode.TRAIN and folder.begin_part("train") > 0
    checkpoints = [text["checkpoint"], ""]
    if mode is Mode.EVAL and not text["checkpoint"]:
        checkpoints = [str(path) for path in latest_checkpoints(folder)] + [""]
    return GraphRequest(
        task=str(folder.task_file),
        mode=mode,
        run_dir=folder.path,
        operator=Operator(text["operator"]),
        simulated=robot.simulated,
        gym=robot.gym.model_dump() if robot.gym is not None else {},
        drivers=[driver.process(text["namespace"]) for driver in robot.drivers],
        remappings=robot.remappings,
        seed=folder.seed,
        speed=text["speed"],
        episodes=int(text["episodes"]),
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
        learner=text["learner"] == "true",
        actor=text["actor"] == "true",
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
