# SPDX-License-Identifier: Apache-2.0
"""The process graph of a run: which processes start, with which parameters, and what their end means.

`build_graph` is a pure function from a request to a list of `ProcessSpec`. Two readers exist:
`supervisor.Supervisor` starts the list as child processes, `launch_actions` maps it to launch actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.arm_processes import join
from hil_serl_bringup.graph.dds import VARIABLE as DDS_VARIABLE
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec, Scalar, Value
from hil_serl_bringup.graph.request import GraphError, GraphRequest, Operator, Part, check, switched, words_of
from hil_serl_bringup.graph.robot_model import OperatorDevice
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_runs.agents import BACKWARD, FORWARD
from hil_serl_teleop.layouts import layout_to_text

__all__ = [
    "GraphError",
    "GraphRequest",
    "Operator",
    "Part",
    "build_graph",
    "learning_agents",
]


def build_graph(request: GraphRequest, parts: Sequence[Part] = tuple(Part)) -> list[ProcessSpec]:
    """Compute the processes of a run, in starting order.

    Args:
        request: The run.
        parts: Which parts of it.

    Returns:
        Processes; names are unique.

    Raises:
        GraphError: The request contradicts itself; the message says what to change.
    """
    check(request)
    made = {
        Part.LEARNER: _learners,
        Part.SIM: lambda r: [_sim(r)] if r.simulated else [],
        Part.ROBOT: lambda r: list(r.cell.drivers),
        Part.CAMERAS: lambda r: list(r.cell.cameras),
        Part.OPERATOR: _operator,
        Part.ACTOR: lambda r: [_actor(r)],
        Part.OBSERVERS: _observers,
    }
    here = [part for part in Part if part in parts and (request.actor or part is Part.LEARNER)]
    processes = [process for part in here for process in made[part](request)]
    names = [process.name for process in processes]
    unknown = sorted(set(request.extra) - set(names))
    if unknown:
        raise GraphError(
            f"parameters were given for {', '.join(unknown)}, but this run starts {', '.join(names)}"
        )
    if len(set(names)) != len(names):
        raise GraphError(f"two processes of one run have the same name: {', '.join(names)}")
    return processes


def learning_agents(request: GraphRequest) -> tuple[str, ...]:
    """Agents that a run has a learner for: one without a name, forward and backward, or none."""
    if not request.learner or request.mode is not Mode.TRAIN:
        return ()
    return (FORWARD, BACKWARD) if request.partner else ("",)


def _learners(request: GraphRequest) -> list[ProcessSpec]:
    return [_learner(request, agent) for agent in learning_agents(request)]


def _observers(request: GraphRequest) -> list[ProcessSpec]:
    clock = {"use_sim_time": True} if request.simulated else {}
    processes = []
    if request.monitor:
        parameters: dict[str, Scalar] = {
            "task": request.task,
            "mode": str(request.mode),
            "phase": request.phase,
            "words": words_of(request),
            "episodes": request.episodes,
            "checkpoints": ",".join(filter(None, (request.checkpoint, request.partner_checkpoint))),
            "algorithm": request.algorithm,
            "person": request.operator not in (Operator.SCRIPTED, Operator.NONE),
            "run_dir": str(request.run_dir),
            "agents": ",".join((FORWARD, BACKWARD) if request.partner else ()),
        }
        processes.append(observers.run_monitor(parameters, request.namespace))
    if request.rviz:
        processes.append(observers.markers(request.task, request.namespace, clock))
        processes.append(observers.rviz(request.run_dir / observers.LAYOUTS, request.namespace, clock))
    if request.record:
        topics = observers.topics_of_run(
            request.arms, request.cameras, request.record_images, request.namespace, request.simulated
        )
        processes.append(observers.recorder(request.run_dir, topics))
    return processes


def _process(
    request: GraphRequest,
    name: str,
    package: str,
    executable: str,
    parameters: Mapping[str, Value],
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
    if request.cell.image_transport == "compressed" or request.record_images == "compressed":
        parameters["compressed"] = True
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
        case Operator.SPACENAV:
            return _devices(request, "spacenav_node")
        case Operator.JOY:
            return _devices(request, "joy_node")
        case Operator.KEYBOARD:
            keyboard = _process(
                request, "keyboard", "hil_serl_teleop", "keyboard_teleop", {"task": request.task}
            )
            return [replace(keyboard, interactive=True)]
        case Operator.NONE:
            return []


def _devices(request: GraphRequest, executable: str) -> list[ProcessSpec]:
    """Driver of each operator's device; they live in real time."""
    kind = str(request.operator)
    known = request.cell.devices.get(kind, {})
    arms = request.arms if len(request.arms) > 1 and not switched(request) else ("",)
    processes = []
    for arm in arms:
        device = known.get(arm, OperatorDevice())
        name = f"{kind}_{arm}" if arm else kind
        driver = _process(
            request,
            name,
            kind,
            "game_controller_node" if device.layout == "game_controller" else executable,
            device.ros_parameters,
            sim_time=False,
            max_restarts=10,
        )
        processes.append(
            replace(
                driver,
                node=kind,
                namespace=join(request.namespace, arm),
                environment={**driver.environment, **device.environment},
            )
        )
    return processes


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
    if request.operator in (Operator.SPACENAV, Operator.JOY) and switched(request):
        parameters["switched_operator"] = True
    parameters |= _layouts(request)
    if request.partner:
        parameters |= {
            "partner_task": request.partner,
            "partner_checkpoint": request.partner_checkpoint,
            "partner_classifier": request.partner_classifier,
        }
    if request.cell.image_transport != "raw":
        parameters["image_transport"] = request.cell.image_transport
    parameters |= {f"{camera}.image_transport": how for camera, how in request.cell.transports.items()}
    ends_run = request.episodes > 0
    actor = _process(request, "actor", "hil_serl_actor", "actor_node", parameters, ends_run=ends_run)
    actor = _scheduled(request, _across_machines(request, actor), "actor")
    return replace(actor, remappings=dict(request.cell.remappings))


def _scheduled(request: GraphRequest, process: ProcessSpec, part: str) -> ProcessSpec:
    """The process with what the robot file says about its priority."""
    return replace(process, environment={**process.environment, **request.cell.scheduling.get(part, {})})


def _layouts(request: GraphRequest) -> dict[str, Scalar]:
    """Layouts of the operator's devices that are not their drivers' usual ones, as parameters of the actor."""
    known = request.cell.devices.get(str(request.operator), {})
    arms = ("",) if switched(request) else request.arms
    return {
        f"{arm}.device_layout" if arm else "device_layout": layout_to_text(known[arm].layout)
        for arm in arms
        if arm in known and known[arm].layout is not None
    }


def _across_machines(request: GraphRequest, process: ProcessSpec) -> ProcessSpec:
    """The process with the DDS profile of nodes whose other end may be on another machine."""
    if not request.dds_profile:
        return process
    return replace(process, environment={**process.environment, DDS_VARIABLE: request.dds_profile})


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
    if not request.actor and method_named(request.algorithm).needs_online_data:
        parameters["bags_elsewhere"] = True
    if request.actors:
        cells = (cell.strip() for cell in request.actors.split(",") if cell.strip())
        parameters["actors"] = ",".join(f"/{join(request.namespace, cell, agent)}" for cell in cells)
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
    process = _scheduled(request, _across_machines(request, process), "learner")
    return replace(process, namespace=join(request.namespace, agent))
