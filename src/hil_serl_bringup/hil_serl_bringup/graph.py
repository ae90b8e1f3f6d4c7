# SPDX-License-Identifier: Apache-2.0
"""The process graph of a run: which processes start, with which parameters, and what their end means.

`build_graph` is a pure function from a request to a list of `ProcessSpec`. Two readers exist:
`supervisor.Supervisor` starts the list as child processes, `launch/task.launch.py` maps it to launch_ros
actions.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hil_serl_bringup.process_spec import THREAD_ENVIRONMENT, ProcessSpec, Scalar
from hil_serl_core.episode import Mode


class Operator(enum.StrEnum):
    """Who corrects the policy."""

    SCRIPTED = "scripted"
    SPACENAV = "spacenav"
    JOY = "joy"
    KEYBOARD = "keyboard"
    NONE = "none"


#: Agents of forward-backward training; each has its learner, topics and run folder under its name.
FORWARD, BACKWARD = "forward", "backward"


class GraphError(ValueError):
    """A run that contradicts itself; the message says what to change."""


@dataclass(frozen=True)
class GraphRequest:
    """What a person asks for; everything `build_graph` looks at.

    Attributes:
        task: Path of the task file.
        mode: What to do.
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
        drivers: Processes of the robot file (arm, cameras), started in all modes with an actor.
        remappings: Remappings of the robot file, applied to the actor.
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
    resume: bool = False
    algorithm: str = "hil_serl"
    actor_id: str = "actor_0"
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
    drivers: Sequence[ProcessSpec] = ()
    remappings: Mapping[str, str] = field(default_factory=dict)
    learner: bool = True
    actor: bool = True
    extra: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)

    @property
    def lockstep(self) -> bool:
        """Whether simulated time waits for the nodes."""
        return self.simulated and self.speed == "lockstep"


def build_graph(request: GraphRequest) -> list[ProcessSpec]:
    """Compute the processes of a run, in starting order.

    Args:
        request: The run.

    Returns:
        Processes; names are unique.

    Raises:
        GraphError: The request contradicts itself; the message says what to change.
    """
    _check(request)
    processes: list[ProcessSpec] = []
    if request.learner and request.mode is Mode.TRAIN:
        agents = (FORWARD, BACKWARD) if request.partner else ("",)
        processes += [_learner(request, agent) for agent in agents]
    if request.actor:
        processes += [_sim(request)] if request.simulated else list(request.drivers)
        processes += _operator(request)
        processes.append(_actor(request))
    names = [process.name for process in processes]
    unknown = sorted(set(request.extra) - set(names))
    if unknown:
        raise GraphError(
            f"parameters were given for {', '.join(unknown)}, but this run starts {', '.join(names)}"
        )
    if len(set(names)) != len(names):
        raise GraphError(f"two processes of one run have the same name: {', '.join(names)}")
    return processes


def _check(request: GraphRequest) -> None:
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
    if request.lockstep and request.operator not in (Operator.SCRIPTED, Operator.NONE):
        raise GraphError(
            f"operator {request.operator} cannot steer simulated time that waits for nobody: use speed 1.0"
        )


def _process(
    request: GraphRequest,
    name: str,
    package: str,
    executable: str,
    parameters: Mapping[str, Scalar],
    *,
    sim_time: bool = True,
    threads: int = 1,
    max_restarts: int = 0,
    ends_run: bool = False,
) -> ProcessSpec:
    clock = {"use_sim_time": True} if request.simulated and sim_time else {}
    return ProcessSpec(
        name=name,
        package=package,
        executable=executable,
        parameters={**clock, **parameters, **request.extra.get(name, {})},
        namespace=request.namespace,
        environment={**THREAD_ENVIRONMENT, "OMP_NUM_THREADS": str(threads)},
        max_restarts=max_restarts,
        ends_run=ends_run,
    )


def _sim(request: GraphRequest) -> ProcessSpec:
    parameters: dict[str, Scalar] = {
        "task": request.task,
        "speed": request.speed,
        "seed": request.seed,
        "display": request.display,
    }
    if request.perturbation != "none":
        parameters |= {"perturbation": request.perturbation, "perturbation_step": request.perturbation_step}
    # It is the source of /clock itself.
    executable = "gym_node" if request.gym else "sim_node"
    return _process(
        request, "sim", "hil_serl_sim", executable, parameters | dict(request.gym), sim_time=False
    )


def _operator(request: GraphRequest) -> list[ProcessSpec]:
    match request.operator:
        case Operator.SCRIPTED:
            parameters: dict[str, Scalar] = {
                "task": request.task,
                "seed": request.seed,
                "lockstep": request.lockstep,
            }
            if request.partner:
                parameters["partner_task"] = request.partner
            return [_process(request, "operator", "hil_serl_sim", "operator_node", parameters)]
        case Operator.SPACENAV:  # drivers of devices live in real time
            return [
                _process(
                    request, "spacenav", "spacenav", "spacenav_node", {}, sim_time=False, max_restarts=10
                )
            ]
        case Operator.JOY:
            return [_process(request, "joy", "joy", "joy_node", {}, sim_time=False, max_restarts=10)]
        case Operator.KEYBOARD:
            keyboard = _process(
                request, "keyboard", "hil_serl_actor", "keyboard_teleop", {"task": request.task}
            )
            return [replace(keyboard, interactive=True)]
        case Operator.NONE:
            return []


def _actor(request: GraphRequest) -> ProcessSpec:
    parameters: dict[str, Scalar] = {
        "task": request.task,
        "run_dir": str(request.run_dir),
        "mode": str(request.mode),
        "actor_id": request.actor_id,
        "seed": request.seed,
        "episodes": request.episodes,
        "operator": str(request.operator),
        "lockstep": request.lockstep,
        "checkpoint": request.checkpoint,
        "algorithm": request.algorithm,
        "classifier": request.classifier,
    }
    if request.deterministic is not None:
        parameters["deterministic"] = request.deterministic
    if request.partner:
        parameters |= {
            "partner_task": request.partner,
            "partner_checkpoint": request.partner_checkpoint,
            "partner_classifier": request.partner_classifier,
        }
    ends_run = request.episodes > 0
    actor = _process(request, "actor", "hil_serl_actor", "actor_node", parameters, ends_run=ends_run)
    return replace(actor, remappings=dict(request.remappings))


def _learner(request: GraphRequest, agent: str) -> ProcessSpec:
    parameters: dict[str, Scalar] = {
        "task": request.partner if agent == BACKWARD else request.task,
        "run_dir": str(request.run_dir / agent),
        "seed": request.seed,
        "resume": request.resume,
        "device": request.device,
        "threads": request.learner_threads,
        "algorithm": request.algorithm,
        "lockstep": request.lockstep,
    }
    process = _process(
        request,
        f"learner_{agent}" if agent else "learner",
        "hil_serl_learner",
        "learner_node",
        parameters,
        sim_time=False,  # its clock must run while simulated time stands still
        threads=request.learner_threads,
        ends_run=not request.actor,
    )
    namespace = "/".join(part for part in (request.namespace.strip("/"), agent) if part)
    return replace(process, namespace=namespace)
