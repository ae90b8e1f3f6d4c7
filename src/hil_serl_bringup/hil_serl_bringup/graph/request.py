# SPDX-License-Identifier: Apache-2.0
"""What a person can ask a run to be, and what of it contradicts itself."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil_serl_bringup.graph.process import Scalar
from hil_serl_bringup.graph.robot_processes import Cell
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_runs.agent_links import ACTOR_ID


class Operator(enum.StrEnum):
    """Who corrects the policy."""

    SCRIPTED = "scripted"
    SPACENAV = "spacenav"
    JOY = "joy"
    KEYBOARD = "keyboard"
    NONE = "none"


class Part(enum.StrEnum):
    """Parts of a run that may be started apart."""

    LEARNER = "learner"
    SIM = "sim"
    ROBOT = "robot"
    CAMERAS = "cameras"
    OPERATOR = "operator"
    ACTOR = "actor"
    OBSERVERS = "observers"


class GraphError(ValueError):
    """A run that contradicts itself; the message says what to change."""


@dataclass(frozen=True)
class GraphRequest:
    """What a person asks for; everything `build_graph` looks at.

    Attributes:
        task: Path of the task file.
        mode: What to do.
        phase: Name of this phase in episodes.csv; empty: the mode's.
        run_dir: Run folder, absolute.
        operator: Who corrects.
        simulated: Start the simulated cell (else the robot's own drivers provide the same topics).
        gym: Parameters of the Gymnasium environment that stands for the simulated cell; empty: the task's twin.
        seed: Seed of simulator, operator, actor and learner.
        speed: 'lockstep', or the factor of real time the simulator runs at.
        episodes: Episodes to complete, 0 for no limit.
        resume: Continue the run in `run_dir` from its last checkpoint.
        algorithm: Learner algorithm, a name in `hil_serl_core.methods`.
        actor_id: Name of the actor in bags and acknowledgements.
        checkpoint: Checkpoint folder whose policy an evaluation uses.
        deterministic: Act with the policy's mode instead of a sample; None: the actor decides (in evaluation
            the mode, in training what the method does).
        classifier: Trained reward classifier, empty for none.
        partner: Task file of the backward agent; empty for a single agent.
        partner_checkpoint: Its checkpoint, for an evaluation.
        partner_classifier: Its classifier.
        perturbation: What disturbs every simulated episode, 'none', 'move_target' or 'open_gripper' (Sec. 4.4).
        perturbation_step: Control step at which it does.
        display: Render the display camera for people (costs time on software GL).
        device: 'cpu', 'cuda' or 'auto', for the learner.
        learner_threads: CPU threads of the learner.
        namespace: ROS namespace of the whole run.
        cell: What the robot file brings: drivers, cameras, operator's devices, remappings of the actor.
        arms: The task's names of its arms.
        cameras: The task's names of its cameras.
        switch_button: The task has a button that moves one device to the other arm.
        monitor: Start a monitor beside the actor (the command-line tool has one inside).
        rviz: Open RViz, with the layout of the run folder.
        record: Record the topics of the run with rosbag2, besides the steps.
        record_images: Which camera topics to record: none, compressed or raw.
        actors: Namespaces under `namespace` of the actors that a learner on another machine serves, separated by commas;
            empty: one actor, in `namespace` itself.
        dds_profile: Fast DDS profile file of actor and learner, empty for none.
        learner: Start the learner of a training on this machine (else it runs elsewhere).
        actor: Start actor and cell. Without them the learner trains on the run's bags alone and ends the
            run itself.
        extra: Additional parameters by process name.
    """

    task: str
    mode: Mode
    run_dir: Path
    operator: Operator = Operator.SCRIPTED
    simulated: bool = True
    gym: Mapping[str, Scalar] = field(default_factory=dict)
    seed: int = 0
    speed: str = "lockstep"
    episodes: int = 0
    phase: str = ""
    resume: bool = False
    algorithm: str = "hil_serl"
    actor_id: str = ACTOR_ID
    checkpoint: str = ""
    deterministic: bool | None = None
    classifier: str = ""
    partner: str = ""
    partner_checkpoint: str = ""
    partner_classifier: str = ""
    perturbation: str = "none"
    perturbation_step: int = 10
    display: bool = False
    device: str = "cpu"
    learner_threads: int = 1
    namespace: str = ""
    cell: Cell = field(default_factory=Cell)
    arms: Sequence[str] = ("",)
    cameras: Sequence[str] = ()
    switch_button: bool = False
    monitor: bool = False
    rviz: bool = False
    record: bool = False
    record_images: str = "none"
    actors: str = ""
    dds_profile: str = ""
    learner: bool = True
    actor: bool = True
    extra: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)

    @property
    def lockstep(self) -> bool:
        """Whether simulated time waits for the nodes."""
        return self.simulated and self.speed == "lockstep"


def words_of(request: GraphRequest) -> str:
    """What a run does, for people."""
    match request.mode:
        case Mode.RECORD_DEMOS:
            return "Recording demonstrations"
        case Mode.RECORD_CLASSIFIER:
            return "Recording classifier data"
        case Mode.EVAL:
            return f"Evaluation of {Path(request.checkpoint).name}"
        case Mode.TRAIN:
            method = method_named(request.algorithm)
            intervenes = method.needs_operator and request.operator is not Operator.NONE
            return f"Training by {method.name}" + (" with interventions" if intervenes else "")


def check(request: GraphRequest) -> None:
    if not request.run_dir.is_absolute():
        raise GraphError(f"run_dir has to be an absolute path, got '{request.run_dir}'")
    if request.episodes < 0:
        raise GraphError(f"episodes has to be 0 (no limit) or more, got {request.episodes}")
    if request.mode is Mode.RECORD_DEMOS and request.operator is Operator.NONE:
        raise GraphError("recording demonstrations needs an operator: scripted, spacenav, joy or keyboard")
    if request.operator is Operator.SCRIPTED and not request.simulated:
        raise GraphError(
            "the scripted operator needs the simulator's ground truth; "
            "on a robot use spacenav, joy, keyboard or none"
        )
    if request.operator is Operator.SCRIPTED and request.gym:
        raise GraphError(
            "nobody has told the scripted operator how to solve a Gymnasium environment: use --operator none "
            "(with --algorithm rlpd_scratch), keyboard, spacenav or joy"
        )
    if request.gym and request.perturbation != "none":
        raise GraphError("perturbations are made by the twins; a Gymnasium environment has to bring its own")
    if request.mode is Mode.EVAL and not request.checkpoint:
        raise GraphError("an evaluation needs a checkpoint")
    if request.mode is Mode.EVAL and request.partner and not request.partner_checkpoint:
        raise GraphError("an evaluation of two agents needs the checkpoint of each")
    if request.perturbation != "none" and not request.simulated:
        raise GraphError("perturbations are made by the simulator; on a robot, disturb the task by hand")
    if request.simulated and request.speed != "lockstep":
        try:
            factor = float(request.speed)
        except ValueError:
            factor = math.nan
        if not (math.isfinite(factor) and factor > 0):
            raise GraphError(
                f"speed has to be 'lockstep' or a factor of real time above 0, got '{request.speed}'"
            )
    if request.actors and (request.actor or request.lockstep):
        raise GraphError(
            "several actors, each on its own machine, train with one learner in real time: give actors to a learner "
            "alone (learner_only), with speed 1.0"
        )
    if request.record_images != "none" and not request.record:
        raise GraphError("record_images says what a recording holds; ask for one with record")
    _check_devices(request)
    if request.lockstep and request.operator not in (Operator.SCRIPTED, Operator.NONE):
        raise GraphError(
            f"operator {request.operator} cannot steer simulated time that waits for nobody: use speed 1.0"
        )


def _check_devices(request: GraphRequest) -> None:
    """Two arms are driven by a device each, or by one that a button moves from arm to arm."""
    if request.operator not in (Operator.SPACENAV, Operator.JOY) or not switched(request):
        return
    if not request.switch_button:
        kind = request.operator
        raise GraphError(
            f"two arms and one {kind} device: name a device for left and right under '{kind}' in the robot file, or set "
            "intervention.switch_button in the task file to move one device from arm to arm"
        )


def switched(request: GraphRequest) -> bool:
    devices = request.cell.devices.get(str(request.operator), {})
    return len(request.arms) > 1 and not set(request.arms) <= set(devices)
