# SPDX-License-Identifier: Apache-2.0
"""A robot file and a task as processes of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil_serl_bringup.graph.arm_processes import arm_processes, controller_joints, driver_process
from hil_serl_bringup.graph.camera_drivers import camera_processes
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec
from hil_serl_bringup.graph.robot_model import OperatorDevice, Robot, RobotFileError
from hil_serl_core.spec import TaskSpec

PARAMETER_FOLDER = "parameters"
"""Folder of a run with the parameter files made for it."""


@dataclass(frozen=True)
class Cell:
    """What a robot file brings into a graph.

    Attributes:
        drivers: Arms, grippers, the node that resets, further drivers; in starting order.
        cameras: Drivers of the task's cameras.
        devices: Kind of operator's device (spacenav, joy) -> arm -> how it is told from others; '' for a single one.
        remappings: Of the actor.
        image_transport: How pictures reach the actor, raw or compressed.
        transports: The same for cameras that differ.
        scheduling: Variables of actor and learner that say how the system schedules them; none for a simulated cell,
            whose time waits.
    """

    drivers: Sequence[ProcessSpec] = ()
    cameras: Sequence[ProcessSpec] = ()
    devices: Mapping[str, Mapping[str, OperatorDevice]] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    image_transport: str = "raw"
    transports: Mapping[str, str] = field(default_factory=dict)
    scheduling: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def cell_of(robot: Robot, task: TaskSpec, task_file: Path, namespace: str, folder: Path) -> Cell:
    """What has to run for a robot to do a task; nothing but the actor's remappings for a simulated one.

    Args:
        robot: The robot file.
        task: The task.
        task_file: Its path, for nodes that read it.
        namespace: ROS namespace of the run.
        folder: Where parameter files are written: the run folder, or one that is removed after the nodes' end.

    Raises:
        RobotFileError: The robot does not fit the task, or a file it names is missing.
        ExecutableNotFound: A package that makes the robot's description is missing.
    """
    devices = devices_of(robot)
    if robot.simulated:
        return Cell(devices=devices, remappings=robot.remappings, image_transport=robot.image_transport)
    cameras = camera_processes(
        robot.cameras, task, str(task_file), namespace, compressed=robot.image_transport == "compressed"
    )
    drivers: list[ProcessSpec] = []
    arms = robot.arms_by_name
    if arms:
        _check_arms(robot, task)
        _check_joints(task, robot, joints_of(robot, task.arm_names) if task.shows_joints else {})
        files = folder / PARAMETER_FOLDER
        for name, arm in arms.items():
            drivers += arm_processes(arm, name, task, namespace, files)
        drivers.append(_cell_node(robot, str(task_file), namespace))
    drivers += [driver_process(driver, namespace) for driver in robot.drivers]
    known = (camera.name for camera in task.cameras if camera.name in robot.cameras)
    transports = {name: str(robot.cameras[name].transport) for name in known if robot.cameras[name].transport}
    scheduling = {
        "actor": robot.scheduling.actor.environment,
        "learner": robot.scheduling.learner.environment,
    }
    return Cell(drivers, cameras, devices, robot.remappings, robot.image_transport, transports, scheduling)


def devices_of(robot: Robot) -> dict[str, dict[str, OperatorDevice]]:
    """Kind of operator's device -> arm -> what the robot file says of it; '' for a single one."""
    return {
        kind: {"" if key == "single" else key: device for key, device in known.items()}
        for kind, known in (("spacenav", robot.spacenav), ("joy", robot.joy))
    }


def joints_of(robot: Robot, arms: Sequence[str]) -> dict[str, int]:
    """How many joints a robot's arms have, as far as its file and those of its controllers say.

    Args:
        robot: The robot file.
        arms: The task's names of its arms.

    Raises:
        RobotFileError, ExecutableNotFound: A controller file cannot be read.
    """
    if isinstance(robot.joints, int):
        return dict.fromkeys(arms, robot.joints)
    stated = {str(arm): count for arm, count in (robot.joints or {}).items()}
    found = {name: controller_joints(arm) for name, arm in robot.arms_by_name.items() if name not in stated}
    return {arm: count for arm, count in {**found, **stated}.items() if count is not None and arm in arms}


def fitted(task: TaskSpec, robot: Robot) -> TaskSpec:
    """The task for the arms of a robot: what its policy sees of joints depends on how many they have.

    Raises:
        RobotFileError: The task file states another number.
    """
    if not task.shows_joints or robot.has_twin:
        return task
    joints = joints_of(robot, task.arm_names)
    _check_joints(task, robot, joints)
    return task.with_joints(joints)


def _check_joints(task: TaskSpec, robot: Robot, joints: Mapping[str, int]) -> None:
    for arm, count in joints.items():
        stated = task.stated_joints(arm)
        if task.shows_joints and stated not in (None, count):
            name = f"{arm} arm of " if arm else ""
            raise RobotFileError(
                f"the {name}robot '{robot.name}' has {count} joints, and task '{task.name}' is for {stated}: its policy "
                "sees joint positions or velocities, so choose the robot that it was made for, or take 'joints' out of the "
                "task file"
            )


def _check_arms(robot: Robot, task: TaskSpec) -> None:
    have, need = sorted(robot.arms_by_name), sorted(task.arm_names)
    if have != need:
        words = {True: "one arm", False: "arms " + " and ".join(filter(None, have))}[have == [""]]
        wanted = "one arm" if need == [""] else "arms " + " and ".join(need)
        raise RobotFileError(
            f"robot '{robot.name}' has {words}, task '{task.name}' needs {wanted}; choose a robot file that fits"
        )


def _cell_node(robot: Robot, task_file: str, namespace: str) -> ProcessSpec:
    return ProcessSpec(
        "cell",
        "hil_serl_robot",
        "cell_node",
        {"task": task_file, **robot.cell.ros_parameters},
        namespace=namespace,
        environment={**THREAD_ENVIRONMENT, **robot.scheduling.cell.environment},
    )


def robot_fields(
    robot: Robot, task: TaskSpec, task_file: Path, namespace: str, folder: Path, driven: bool = True
) -> dict[str, Any]:
    """Fields of a ``GraphRequest`` that follow from robot and task.

    Args:
        robot: The robot file.
        task: The task.
        task_file: Its path, for nodes that read it.
        namespace: ROS namespace of the run.
        folder: As for ``cell_of``.
        driven: The cell is started here; otherwise nothing of the robot is looked up.
    """
    return {
        "simulated": robot.simulated,
        "gym": robot.gym.model_dump() if robot.gym is not None else {},
        "cell": cell_of(robot, task, task_file, namespace, folder) if driven else Cell(),
        "arms": task.arm_names,
        "cameras": tuple(camera.name for camera in task.cameras),
        "switch_button": task.intervention.switch_button is not None,
    }
