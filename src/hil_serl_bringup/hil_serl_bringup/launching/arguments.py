# SPDX-License-Identifier: Apache-2.0
"""Arguments of the launch files. Needs no `launch` to be tested."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from hil_serl_bringup.graph.build import Operator
from hil_serl_bringup.graph.robots import robots
from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS
from hil_serl_core.spec import RewardKind
from hil_serl_runs.labels import LEAST_EPISODES


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


WINDOWS: Mapping[str, Argument] = {
    "rviz": Argument(
        "auto",
        "open RViz: arm, trail, target, workspace, cameras; auto: unless another window is asked for",
        ["auto", *YES_NO],
    ),
    "rqt": Argument("false", "open rqt: rates, rewards, learner, diagnostics", YES_NO),
    "plotjuggler": Argument("false", "open PlotJuggler", YES_NO),
}
"""Arguments of monitor.launch.py, besides those of a cell."""


NEAR = 0.75
"""Likeness of two names from which one is taken for the other misspelt."""


COUNTS: Mapping[str, int] = {"seed": 0, "episodes": 0, "learner_threads": 1}
"""Arguments that are whole numbers -> the least one."""


class ArgumentError(ValueError):
    """A launch argument that there is not, or a value that it cannot have; the message says what may be meant."""


def misspelt(given: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Names that no argument has but that look like one -> that one."""
    near = {
        name: difflib.get_close_matches(name, known, n=1, cutoff=NEAR) for name in given if name not in known
    }
    return {name: found[0] for name, found in near.items() if found}


def check_names(words: Iterable[str], known: Collection[str]) -> None:
    """Refuse arguments that a launch file does not have; launch itself passes them over in silence.

    Args:
        words: What follows the launch file's name, NAME:=VALUE.
        known: Names of its arguments.

    Raises:
        ArgumentError: One has another name.
    """
    given = [word.partition(":=")[0] for word in words if ":=" in word]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
            raise ArgumentError(
                f"this launch file has no argument '{name}'; {hint} (--show-args explains them)"
            )


def texts(values: Mapping[str, str]) -> dict[str, str]:
    """All arguments, with the default of those that are not given.

    Raises:
        ArgumentError: A value that its argument cannot have; `launch` checks choices, on a command line only, no numbers.
    """
    for name in ARGUMENTS.keys() & values.keys():
        if values[name] != ARGUMENTS[name].default:
            _check(name, values[name])
    return {name: values.get(name, argument.default) for name, argument in ARGUMENTS.items()}


def _check(name: str, value: str) -> None:
    argument = ARGUMENTS[name]
    if argument.choices is not None and value not in argument.choices:
        near = difflib.get_close_matches(value, argument.choices, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"it has to be one of {', '.join(argument.choices)}"
        raise ArgumentError(f"{name}:={value} is not possible; {hint}")
    if name in COUNTS and not (value.isdecimal() and int(value) >= COUNTS[name]):
        raise ArgumentError(
            f"{name}:={value} is not possible; it has to be a whole number from {COUNTS[name]} on: {argument.description}"
        )


def path_of(text: str) -> Path | None:
    """A path that may be left out."""
    return Path(text).expanduser() if text else None
