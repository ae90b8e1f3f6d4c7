# SPDX-License-Identifier: Apache-2.0
"""Parameters of the actor node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS, method_named
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_ros import names
from hil_serl_ros.parameters import Parameters
from hil_serl_teleop.devices import DEVICES
from hil_serl_teleop.layouts import layout_from_text

FORWARD, BACKWARD = "forward", "backward"
"""Names of the two agents of forward-backward training; their topics lie under them."""


@dataclass(frozen=True)
class AgentOptions:
    """What differs between the agents of one actor.

    Attributes:
        name: ``forward`` or ``backward``; empty for a single agent.
        spec: Its task.
        actor_id: Under which its records are kept, across restarts.
        checkpoint: Policy file or checkpoint folder, empty to wait for a learner.
        classifier: Trained reward classifier, empty for none.
    """

    name: str
    spec: TaskSpec
    actor_id: str
    checkpoint: str
    classifier: str


@dataclass(frozen=True)
class ActorOptions:
    """What an actor is told at its start.

    Attributes:
        agents: One, or two for forward-backward training.
        run_dir: Run folder; steps go to its ``bags/<mode>/<actor_id>``.
        mode: What episodes are run for.
        seed: Seed of initial states and exploration.
        episodes: End after so many counted episodes of all agents together, 0 for no limit.
        operator: Operator device, a key of ``teleop.DEVICES``, or none.
        switched_operator: Two arms are driven by one device, switched by a button.
        devices: Arm ("" for a single or switched device) to the layout of its device: a name, JSON, or empty for the usual.
        interventions: The device may drive; else only its buttons for stop and labels count.
        lockstep: Tick on complete inputs of one stamp instead of on time.
        deterministic: Act with the policy's mode instead of samples.
        device: torch device of the policy.
        image_transport: Camera to the transport its pictures come by, one of ``names.TRANSPORTS``.
    """

    agents: tuple[AgentOptions, ...]
    run_dir: Path
    mode: Mode
    seed: int
    episodes: int
    operator: str
    switched_operator: bool
    devices: Mapping[str, str]
    interventions: bool
    lockstep: bool
    deterministic: bool
    device: str
    image_transport: Mapping[str, str]


def read_options(node: Node) -> ActorOptions:
    """Declare and read the node's parameters; raises ParameterError or TaskFileError."""
    read = Parameters(node)
    mode = Mode(read.string("mode", "train", choices=[str(mode) for mode in Mode]))
    method = method_named(
        read.string("algorithm", "hil_serl", choices=list(METHODS), description="the learner's")
    )
    explores = mode is Mode.TRAIN and method.explores
    agents = _read_agents(read)
    switched = read.boolean(
        "switched_operator",
        False,
        description="one device for two arms, switched by intervention.switch_button",
    )
    return ActorOptions(
        agents=agents,
        run_dir=read.path("run_dir", description="run folder; steps go to its bags/"),
        mode=mode,
        seed=read.integer("seed", 0, minimum=0),
        episodes=read.integer("episodes", 0, minimum=0, description="end after so many; 0: no limit"),
        operator=read.string("operator", "none", choices=[*DEVICES, "none"]),
        switched_operator=switched,
        devices=_read_layouts(read, ("",) if switched else agents[0].spec.arm_names),
        interventions=read.boolean(
            "interventions",
            mode is not Mode.EVAL,
            description="the device may drive, not only stop and label",
        ),
        lockstep=read.boolean("lockstep", False, description="tick on complete inputs of one stamp"),
        deterministic=read.boolean("deterministic", not explores),
        device=read.string("device", "cpu", description="torch device of the policy"),
        image_transport=_read_transports(read, agents[0].spec),
    )


def _read_layouts(read: Parameters, arms: Sequence[str]) -> dict[str, str]:
    """``device_layout``, of two arms ``left.device_layout`` and ``right.device_layout``; ValueError for a bad one."""
    found = {}
    for arm in arms:
        name = f"{arm}.device_layout" if arm else "device_layout"
        found[arm] = read.string(name, "", description="layout of the device: a known name, or JSON")
        if found[arm]:
            layout_from_text(found[arm])
    return found


def _read_transports(read: Parameters, spec: TaskSpec) -> dict[str, str]:
    """``image_transport`` for all cameras, as in ROS's own image nodes, and ``NAME.image_transport`` for one."""
    common = read.string(
        "image_transport", names.RAW, choices=names.TRANSPORTS, description="how pictures come"
    )
    return {
        camera.name: read.string(f"{camera.name}.image_transport", common, choices=names.TRANSPORTS)
        for camera in spec.cameras
    }


def _read_agents(read: Parameters) -> tuple[AgentOptions, ...]:
    task = load_task(read.path("task", must_exist=True, description="task file"))
    partner = read.string("partner_task", "", description="task file of the backward agent; empty: one agent")
    actor_id = read.string("actor_id", "actor_0", description="kept across restarts")
    checkpoint = read.string("checkpoint", "", description="policy file or checkpoint folder")
    classifier = read.string("classifier", "", description="trained reward classifier")
    other = (
        read.string("partner_checkpoint", "", description="policy of the backward agent"),
        read.string("partner_classifier", "", description="reward classifier of the backward agent"),
    )
    if not partner:
        return (AgentOptions("", task, actor_id, checkpoint, classifier),)
    back = load_task(partner)
    _check_partners(task, back)
    return (
        AgentOptions(FORWARD, task, f"{actor_id}_{FORWARD}", checkpoint, classifier),
        AgentOptions(BACKWARD, back, f"{actor_id}_{BACKWARD}", *other),
    )


def _check_partners(task: TaskSpec, partner: TaskSpec) -> None:
    """Raises ValueError unless both tasks can run on one cell."""
    for field in (
        "arms", "joints", "base_frame", "tcp_frame", "cameras", "state", "action", "control", "workspace"
    ):  # fmt: skip
        if getattr(task, field) != getattr(partner, field):
            raise ValueError(
                f"tasks '{task.name}' and '{partner.name}' differ in '{field}'; forward and backward agents share one "
                "cell, so these parts of their task files must be equal"
            )
