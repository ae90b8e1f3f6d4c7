# SPDX-License-Identifier: Apache-2.0
"""Parameters of the cell node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rclpy.node import Node

from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_robot.cell.reset_motion import MotionLimits
from hil_serl_robot.cell.reset_run import ResetLimits
from hil_serl_ros.parameters import ParameterError, Parameters


@dataclass(frozen=True)
class JointGoal:
    """Where the joint reset takes one arm.

    Attributes:
        joints: Names of the joints, in the order of ``arm_state``.
        position: Of each [rad].
    """

    joints: tuple[str, ...]
    position: tuple[float, ...]


@dataclass(frozen=True)
class CellOptions:
    """What a cell is told at its start; see the docstring of ``cell_node`` for the parameters' meaning."""

    spec: TaskSpec
    rate: float
    seed: int
    limits: ResetLimits
    gripper_wait: float
    controller: str
    controller_manager: str
    reset_profile: str
    episode_profile: str
    switch_mode: bool
    recovery: str
    recovery_action: str
    hardware_components: Mapping[str, str]
    trajectory_controller: str
    joint_speed: float
    joint_acceleration: float
    joint_leash: float
    joint_goals: Mapping[str, JointGoal]


def read_options(node: Node) -> CellOptions:
    """Declare and read the node's parameters; raises ParameterError or TaskFileError."""
    read = Parameters(node)
    spec = load_task(read.path("task", must_exist=True, description="task file"))
    recovery = read.string("recovery", "none", choices=("none", "franka"))
    return CellOptions(
        spec=spec,
        rate=read.number("rate", 50.0, minimum=5.0, maximum=1000.0, description="targets per second"),
        seed=read.integer("seed", 0, minimum=0, description="of resets that are asked for with seed -1"),
        limits=_limits(read, spec),
        gripper_wait=read.number("gripper_wait", 1.2, minimum=0.0, maximum=20.0),
        controller=read.string("controller", "cartesian_controller"),
        controller_manager=read.string("controller_manager", "controller_manager"),
        reset_profile=read.string("reset_profile", ""),
        episode_profile=read.string("episode_profile", ""),
        switch_mode=read.boolean("switch_mode", True) and spec.action.kind == "wrench",
        recovery=recovery,
        recovery_action=read.string("recovery_action", "action_server/error_recovery"),
        hardware_components={arm: _hardware(read, arm, recovery) for arm in spec.arm_names},
        trajectory_controller=read.string("trajectory_controller", "joint_trajectory_controller"),
        joint_speed=read.number("joint_speed", 0.3, minimum=0.01, maximum=2.0),
        joint_acceleration=read.number("joint_acceleration", 0.5, minimum=0.01, maximum=10.0),
        joint_leash=read.number("joint_leash", 0.1, minimum=0.005, maximum=1.0),
        joint_goals={arm: goal for arm in spec.arm_names if (goal := _joint_goal(node, read, arm))},
    )


def _limits(read: Parameters, spec: TaskSpec) -> ResetLimits:
    motion = MotionLimits(
        linear_speed=read.number("linear_speed", 0.1, minimum=0.005, maximum=1.0),
        angular_speed=read.number("angular_speed", 0.5, minimum=0.02, maximum=3.0),
        linear_acceleration=read.number("linear_acceleration", 0.3, minimum=0.01, maximum=5.0),
        angular_acceleration=read.number("angular_acceleration", 1.5, minimum=0.05, maximum=20.0),
        leash=read.number("leash", 0.05, minimum=0.002, maximum=0.5),
        angular_leash=read.number("angular_leash", 0.3, minimum=0.01, maximum=3.0),
    )
    return ResetLimits(
        motion=motion,
        position_tolerance=read.number("position_tolerance", 0.01, minimum=0.0005, maximum=0.2),
        rotation_tolerance=read.number("rotation_tolerance", 0.05, minimum=0.002, maximum=1.0),
        settle=read.number("settle", 0.2, minimum=0.0, maximum=5.0),
        time_limit=read.number("time_limit", 30.0, minimum=0.5, maximum=600.0),
        stale=read.number("stale", spec.observation_timeout, minimum=0.01),
    )


def _hardware(read: Parameters, arm: str, recovery: str) -> str:
    """Hardware component of an arm; franka_ros2's description names it after the arm."""
    usual = {"none": "", "franka": f"{arm}_FrankaHardwareInterface".lstrip("_")}[recovery]
    return read.string(f"{arm}.hardware_component" if arm else "hardware_component", usual)


def _joint_goal(node: Node, read: Parameters, arm: str) -> JointGoal | None:
    """Joint pose of an arm, None where none is configured."""
    prefix = f"{arm}." if arm else ""
    joints = tuple(read.strings(f"{prefix}joints", ()))
    position = tuple(read.numbers(f"{prefix}joint_position", ()))
    if len(joints) != len(position) or (joints and len(set(joints)) != len(joints)):
        raise ParameterError(
            f"{node.get_fully_qualified_name()}: parameters '{prefix}joints' ({list(joints)}) and "
            f"'{prefix}joint_position' ({list(position)}) must name each joint once with its angle; leave both empty "
            "where there is no joint reset"
        )
    return JointGoal(joints, position) if joints else None
