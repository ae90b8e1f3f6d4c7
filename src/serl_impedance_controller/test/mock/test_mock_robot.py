# SPDX-License-Identifier: Apache-2.0
"""The other controllers of the mock robot beside the plugin, and the plugin and the mock arm with another arm."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("controller_manager_msgs", reason="needs ros2_control")
pytest.importorskip("xacro", reason="needs xacro")
pytest.importorskip("domain_coordinator")

from control_msgs.action import ParallelGripperCommand
from control_process import CONTROLLER, PACKAGE, control_process, mock_urdf, parameters_file
from controller_manager_msgs.srv import ListControllerTypes
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

JOINTS = [f"joint{i}" for i in range(1, 8)]
START = np.array([0.2, -0.6, 0.3, -2.1, 0.1, 1.7, 0.5])


@pytest.fixture
def process(tmp_path):
    """A controller manager with the mock arm."""
    with control_process(mock_urdf(), parameters_file(tmp_path), tmp_path) as started:
        yield started


def load_or_skip(process, controller, kind):
    """Loads a controller of a package that need not be installed."""
    types = process.call(ListControllerTypes, "controller_manager/list_controller_types").types
    if kind not in types:
        pytest.skip(f"{kind} is not installed")
    assert process.load(controller), process.log.read_text()


def test_joints_move_to_a_start_pose_by_a_trajectory_and_back_to_cartesian_control(process):
    load_or_skip(
        process, "joint_trajectory_controller", "joint_trajectory_controller/JointTrajectoryController"
    )
    assert process.load()
    assert process.switch(start=[CONTROLLER])
    start = process.spin(0.2)[-1].joint_position
    assert process.switch(start=["joint_trajectory_controller"], stop=[CONTROLLER]), process.log.read_text()
    name = "joint_trajectory_controller/joint_trajectory"
    publisher = process.node.create_publisher(JointTrajectory, name, 1)
    process.wait_for(lambda: publisher.get_subscription_count() > 0, "the trajectory controller")
    goal = np.array(start) + np.array((0.3, 0.1, -0.2, 0.2, 0.2, -0.2, 0.3))
    point = JointTrajectoryPoint(positions=list(goal), velocities=[0.0] * 7)
    point.time_from_start.sec = 2
    publisher.publish(JointTrajectory(joint_names=JOINTS, points=[point]))
    process.wait(3.5)
    assert process.switch(start=[CONTROLLER], stop=["joint_trajectory_controller"]), process.log.read_text()
    states = process.spin(0.5)
    assert np.abs(np.array(states[0].joint_position) - goal).max() < 0.01
    assert np.abs(np.array(states[-1].joint_position) - goal).max() < 0.01
    assert states[-1].fault == 0


def test_gripper_takes_its_action_and_its_joints_are_published(process):
    load_or_skip(
        process, "gripper_action_controller", "parallel_gripper_action_controller/GripperActionController"
    )
    load_or_skip(process, "joint_state_broadcaster", "joint_state_broadcaster/JointStateBroadcaster")
    assert process.switch(start=["gripper_action_controller", "joint_state_broadcaster"]), (
        process.log.read_text()
    )
    seen: list[dict[str, float]] = []
    process.node.create_subscription(
        JointState, "joint_states", lambda m: seen.append(dict(zip(m.name, m.position, strict=True))), 10
    )
    client = ActionClient(process.node, ParallelGripperCommand, "gripper_action_controller/gripper_cmd")
    process.wait_for(client.server_is_ready, "the gripper's action")
    command = JointState(name=["finger_joint1"], position=[0.01])
    sent = client.send_goal_async(ParallelGripperCommand.Goal(command=command))
    process.wait_for(sent.done, "the answer to the goal")
    result = sent.result().get_result_async()
    process.wait_for(result.done, "the gripper's result")
    assert result.result().result.reached_goal
    process.wait_for(lambda: bool(seen) and abs(seen[-1]["finger_joint1"] - 0.01) < 1e-6, "the closed finger")
    assert seen[-1]["finger_joint2"] == pytest.approx(0.01)  # it mimics the other
    assert set(JOINTS) < set(seen[-1])
    client.destroy()


def test_another_arm_with_a_turned_base_and_a_joint_without_limits(tmp_path):
    urdf = (PACKAGE / "test" / "plugin" / "test_arm.urdf").read_text()
    joints = "".join(
        f'<joint name="{name}"><command_interface name="effort"/><state_interface name="position">'
        f'<param name="initial_value">{value}</param></state_interface><state_interface name="velocity"/></joint>'
        for name, value in zip(JOINTS, START, strict=True)
    )
    control = (
        '<ros2_control name="arm" type="system"><hardware><plugin>serl_impedance_controller/MockArm</plugin></hardware>'
        f"{joints}</ros2_control></robot>"
    )
    parameters = parameters_file(tmp_path, base_frame="arm_base", tcp_frame="tool", gravity_compensation=True)
    with control_process(re.sub("</robot>", control, urdf), parameters, tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert process.switch(start=[CONTROLLER]), process.log.read_text()
        states = process.spin(1.5)
        assert np.abs(np.array(states[-1].joint_position) - START).max() < 2e-3
        assert max(np.abs(s.joint_velocity).max() for s in states) < 0.05
        assert states[-1].header.frame_id == "arm_base"
