# SPDX-License-Identifier: Apache-2.0
"""Publishes commands of the arms: gripper first, then the target that lets a simulated cell move on."""

from __future__ import annotations

from collections.abc import Mapping

from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from std_msgs.msg import Float64

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import TaskSpec
from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_stamped, wrench_stamped
from hil_serl_ros.stamps import seconds_to_ns


class CommandPublishers:
    """Target pose, target wrench and gripper command of each arm, under its names."""

    def __init__(self, node: Node, spec: TaskSpec) -> None:
        self._arms = {arm: spec.arm(arm) for arm in spec.arm_names}
        self._poses = {
            arm: node.create_publisher(PoseStamped, names.for_arm(names.TARGET_POSE, arm), qos.TARGET)
            for arm in self._arms
        }
        self._wrenches = {
            arm: node.create_publisher(WrenchStamped, names.for_arm(names.TARGET_WRENCH, arm), qos.TARGET)
            for arm in self._arms
            if spec.action.kind == "wrench"
        }
        self._grippers = {
            arm: node.create_publisher(
                Float64, names.for_arm(names.GRIPPER_COMMAND, arm), qos.GRIPPER_COMMAND
            )
            for arm in self._arms
            if spec.grippers
        }

    def publish(self, commands: Mapping[str, ArmCommand], stamp: float) -> None:
        """One tick's commands, stamped with its time [s]; the gripper's opening is repeated every tick."""
        stamp_ns = seconds_to_ns(stamp)
        for arm, command in commands.items():
            if command.gripper is not None:
                self._grippers[arm].publish(Float64(data=command.gripper))
        for arm, command in commands.items():
            if command.pose is not None:
                self._poses[arm].publish(pose_stamped(command.pose, stamp_ns, self._arms[arm].base_frame))
            if command.wrench is not None:
                self._wrenches[arm].publish(
                    wrench_stamped(command.wrench, stamp_ns, self._arms[arm].tcp_frame)
                )
