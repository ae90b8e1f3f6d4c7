# SPDX-License-Identifier: Apache-2.0
"""Parameters of the actor node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from hil_serl_actor.teleop import DEVICES
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_ros.parameters import Parameters


@dataclass(frozen=True)
class ActorOptions:
    """What an actor is told at its start.

    Attributes:
        spec: The task.
        run_dir: Run folder; steps go to its ``bags/<mode>/<actor_id>``.
        mode: What episodes are run for.
        actor_id: Name of this actor, kept across restarts.
        seed: Seed of initial states and exploration.
        episodes: End after so many counted episodes, 0 for no limit.
        operator: Operator device, a key of ``teleop.DEVICES``, or none.
        lockstep: Tick on complete inputs of one stamp instead of on time.
        checkpoint: Policy file or checkpoint folder, empty to wait for a learner.
        deterministic: Act with the policy's mode instead of samples.
        device: torch device of the policy.
    """

    spec: TaskSpec
    run_dir: Path
    mode: Mode
    actor_id: str
    seed: int
    episodes: int
    operator: str
    lockstep: bool
    checkpoint: str
    deterministic: bool
    device: str


def read_options(node: Node) -> ActorOptions:
    """Declare and read the node's parameters; raises ParameterError or TaskFileError."""
    read = Parameters(node)
    mode = Mode(read.string("mode", "train", choices=[str(mode) for mode in Mode]))
    read.string("algorithm", "hil_serl", description="the learner's; the actor acts alike for all")
    return ActorOptions(
        spec=load_task(read.path("task", must_exist=True, description="task file")),
        run_dir=read.path("run_dir", description="run folder; steps go to its bags/"),
        mode=mode,
        actor_id=read.string("actor_id", "actor_0", description="kept across restarts"),
        seed=read.integer("seed", 0, minimum=0),
        episodes=read.integer("episodes", 0, minimum=0, description="end after so many; 0: no limit"),
        operator=read.string("operator", "none", choices=[*DEVICES, "none"]),
        lockstep=read.boolean("lockstep", False, description="tick on complete inputs of one stamp"),
        checkpoint=read.string("checkpoint", "", description="policy file or checkpoint folder"),
        deterministic=read.boolean("deterministic", mode is Mode.EVAL),
        device=read.string("device", "cpu", description="torch device of the policy"),
    )
