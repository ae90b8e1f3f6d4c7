# SPDX-License-Identifier: Apache-2.0
"""Arms of a robot file as processes: robot state publisher, controller manager, spawners, gripper adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hil_serl_bringup.graph.description import path_of, urdf_of, with_frames
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec
from hil_serl_bringup.graph.robot_model import Arm, Driver, RobotFileError
from hil_serl_bringup.graph.task_control import controller_parameters
from hil_serl_core.spec import TaskSpec

CONTROLLER = "cartesian_controller"
"""Node name of serl_impedance_controller/CartesianController in every controller file."""
PATIENCE = ("--controller-manager-timeout", "60")
"""Of the spawners [s]: without hardware a controller manager never answers, and the run has to end and say so."""


def join(*names: str) -> str:
    """Namespace of several parts, without slashes at its ends."""
    return "/".join(part for part in (name.strip("/") for name in names) if part)


def arm_processes(arm: Arm, name: str, task: TaskSpec, namespace: str, folder: Path) -> list[ProcessSpec]:
    """Processes of one arm, in starting order.

    Args:
        arm: Of the robot file.
        name: The task's name for it, empty for a single one.
        task: Its frames, gains and clips are the controller's.
        namespace: ROS namespace of the run; the arm's own is added.
        folder: Where parameter files are written.

    Raises:
        RobotFileError: A file is missing or not usable.
        ExecutableNotFound: A package is missing.
    """
    own = join(namespace, name)
    prefix = f"{name}_" if name else ""
    spec = task.arm(name)
    urdf = with_frames(
        urdf_of(arm.description),
        {spec.base_frame: arm.base_link, spec.tcp_frame: arm.tcp_link},
        f"{prefix}robot_description",
        base_on_top=bool(name),
    )
    description = _write(folder / f"{prefix}robot_description.yaml", {"/**": {"robot_description": urdf}})
    controllers = _write(folder / f"{prefix}controllers.yaml", _controller_file(arm, name, task, own))
    manager = "/" + join(own, "controller_manager")
    remappings = {"~/robot_description": "robot_description", **arm.remappings}
    processes = [
        _process(
            f"{prefix}robot_state_publisher",
            "robot_state_publisher",
            "robot_state_publisher",
            own,
            node="robot_state_publisher",
            parameter_files=(description,),
        ),
        _process(
            f"{prefix}controller_manager",
            "controller_manager",
            "ros2_control_node",
            own,
            several_nodes=True,
            parameter_files=(controllers,),
            remappings=remappings,
        ),
    ]
    active = arm.active
    if arm.gripper is not None and task.grippers:
        active = (*active, *arm.gripper.controllers)
    for chosen, flags in ((active, ()), (arm.inactive, ("--inactive",))):
        if chosen:
            processes.append(
                _process(
                    f"{prefix}spawner{'_inactive' if flags else ''}",
                    "controller_manager",
                    "spawner",
                    own,
                    arguments=(
                        *chosen,
                        *flags,
                        "--controller-manager",
                        manager,
                        *PATIENCE,
                        "--param-file",
                        controllers,
                    ),
                    one_shot=True,
                )
            )
    processes += [driver_process(driver, own, prefix) for driver in arm.drivers]
    if arm.gripper is not None and task.grippers:
        parameters = {"kind": arm.gripper.kind, **arm.gripper.ros_parameters}
        processes.append(
            _process(
                f"{prefix}gripper",
                "hil_serl_robot",
                "gripper_node",
                own,
                node="gripper_adapter",
                parameters=parameters,
            )
        )
    return processes


def _process(name: str, package: str, executable: str, namespace: str, **fields: Any) -> ProcessSpec:
    return ProcessSpec(
        name, package, executable, namespace=namespace, environment=dict(THREAD_ENVIRONMENT), **fields
    )


def driver_process(driver: Driver, namespace: str, prefix: str = "") -> ProcessSpec:
    """A driver of the robot file as a process.

    A component runs in a container of its own, a launch file so that the first of its processes that fails ends it.
    """
    common: dict[str, Any] = {
        "environment": {**THREAD_ENVIRONMENT, **driver.environment},
        "max_restarts": driver.max_restarts,
    }
    name = prefix + driver.name
    if driver.launch_file:
        words = [f"{key}:={value}" for key, value in driver.launch_arguments.items()]
        arguments = ("--namespace", join(namespace), driver.package, driver.launch_file, *words)
        return ProcessSpec(
            name,
            "hil_serl_bringup",
            "included_launch",
            arguments=arguments,
            ros=False,
            requires=("launch_ros", driver.package),
            **common,
        )
    files = tuple(str(path_of(file)) for file in driver.parameter_files)
    node = ProcessSpec(
        name,
        driver.package,
        driver.executable,
        driver.ros_parameters,
        driver.remappings,
        namespace,
        parameter_files=files,
        node=driver.name,
        **common,
    )
    return _component(driver, node) if driver.component else node


def _component(driver: Driver, node: ProcessSpec) -> ProcessSpec:
    arguments = ["component", "standalone", driver.package, driver.component, "--node-name", driver.name]
    if node.namespace:
        arguments += ["--node-namespace", f"/{join(node.namespace)}"]
    for old, new in node.remappings.items():
        arguments += ["--remap-rule", f"{old}:={new}"]
    words = node.parameter_arguments()
    if node.parameter_files:
        raise RobotFileError(
            f"driver '{driver.name}': a component takes no parameter_files; write its parameters into the robot file"
        )
    arguments += ["--parameter" if word == "-p" else word for word in words]
    return ProcessSpec(
        node.name,
        "ros2component",
        "ros2",
        arguments=arguments,
        environment=node.environment,
        max_restarts=node.max_restarts,
        ros=False,
        requires=("ros2component", "rclcpp_components", driver.package),
    )


def controller_joints(arm: Arm) -> int | None:
    """How many joints the arm's controller moves; None where its file does not say.

    Raises:
        RobotFileError, ExecutableNotFound: As for ``arm_processes``.
    """
    return len(_controllers_of(arm).get(CONTROLLER, {}).get("joints", ())) or None


def _controllers_of(arm: Arm) -> dict[str, dict[str, Any]]:
    """Node name to parameters, as the controller file has them."""
    path = path_of(arm.controllers)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return {
            key.rsplit("/", 1)[-1]: dict(value["ros__parameters"])
            for key, value in content.items()
            if key != "/**"
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise RobotFileError(
            f"{path} is no ROS parameter file (node name, ros__parameters, values): {error}"
        ) from error


def _controller_file(arm: Arm, name: str, task: TaskSpec, namespace: str) -> dict[str, dict[str, Any]]:
    """Parameters of controller manager and controllers under their full names, with what the task decides."""
    nodes = _controllers_of(arm)
    joints = {
        joint
        for parameters in nodes.values()
        for joint in [*parameters.get("joints", ()), parameters.get("joint", "")]
    }
    nodes = _renamed(nodes, {joint: f"{arm.joint_prefix}{joint}" for joint in joints})
    nodes[CONTROLLER] = controller_parameters(task, name, nodes.get(CONTROLLER, {}))
    return {f"/{join(namespace, node)}": parameters for node, parameters in nodes.items()}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Nested parameters with other names of joints, as keys and as values."""
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _write(path: Path, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """A ROS parameter file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {node: {"ros__parameters": dict(parameters)} for node, parameters in nodes.items()}
    path.write_text(yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=10**6), encoding="utf-8")
    return str(path)


class _Dumper(yaml.SafeDumper):
    """Texts are quoted: rcl takes an unquoted 1e1 for a number. Floats keep their point."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)
