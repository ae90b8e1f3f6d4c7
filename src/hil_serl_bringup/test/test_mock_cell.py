# SPDX-License-Identifier: Apache-2.0
"""The cell of mock.yaml under ros2_control: resets, joint reset, fault and recovery, stop. Needs a full ROS 2."""

import shutil

import numpy as np
import pytest
import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hil_serl_bringup.graph.build import Part
from hil_serl_bringup.launching.processes import cell_processes
from hil_serl_bringup.supervisor import Supervisor
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.msg import ArmState
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_to_array

pytest.importorskip("controller_manager_msgs")
pytest.importorskip("control_msgs")
try:
    for package in ("controller_manager", "joint_trajectory_controller", "robot_state_publisher", "xacro"):
        get_package_prefix(package)
except PackageNotFoundError as missing:
    pytest.skip(f"no package {missing}", allow_module_level=True)

NAMESPACE = "mock_cell"


class Cell:
    """The processes of the cell, and a node that talks to them."""

    def __init__(self, folder):
        processes, _ = cell_processes(
            {"task": "ram_insertion", "robot": "mock", "namespace": NAMESPACE}, Part.ROBOT
        )
        self.supervisor = Supervisor(processes, folder)
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(
            "mock_cell_test", context=self._context, namespace=NAMESPACE, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.state = None
        self.node.create_subscription(ArmState, names.ARM_STATE, self._on_state, qos.ARM_STATE)
        self.stopped = self.node.create_publisher(Bool, names.STOPPED, qos.STOPPED)
        self.supervisor.start()

    def _on_state(self, message):
        self.state = message

    def until(self, condition, what):
        def spin():
            self.supervisor.poll()
            self._executor.spin_once(timeout_sec=0.05)

        wait_for(condition, what, spin)

    def ask(self, kind, name, request=None):
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, name)
        return client.call_async(request or kind.Request())

    def call(self, kind, name, request=None):
        future = self.ask(kind, name, request)
        self.until(future.done, f"the answer of {name}")
        return future.result()

    def first_reset(self, seed):
        """Answer of the cell once it has heard the arm."""
        while True:
            reply = self.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=seed))
            if "nothing heard on arm_state" not in reply.message:
                return reply

    def position(self):
        self.state = None
        self.until(lambda: self.state is not None, "arm_state")
        return pose_to_array(self.state.tcp_pose)[:3]

    def close(self):
        self.supervisor.stop()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mock_cell")
    made = Cell(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_arm_goes_to_the_start_of_the_seed_and_back_to_its_joint_pose(cell):
    cell.until(lambda: cell.state is not None, "the controller")
    reply = cell.first_reset(5)
    assert reply.success, reply.message
    start = pose_to_array(reply.tcp_poses[0])[:3]
    assert abs(cell.position() - start).max() < 0.01, "it holds there"
    joints = cell.call(Trigger, names.JOINT_RESET)
    assert joints.success, joints.message
    cell.position()
    assert cell.state.joint_position[3] == pytest.approx(-2.356, abs=0.02)
    again = cell.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=5))
    assert abs(pose_to_array(again.tcp_poses[0])[:3] - start).max() < 0.01


def test_a_fault_ends_only_on_request(cell):
    target = cell.node.create_publisher(PoseStamped, names.TARGET_POSE, qos.TARGET)
    cell.until(lambda: target.get_subscription_count() >= 2, "controller and cell")
    message = PoseStamped()
    message.header.frame_id = "somewhere_else"
    message.pose.orientation.w = 1.0

    def faulty():
        target.publish(message)
        return cell.state is not None and cell.state.fault

    cell.until(faulty, "the fault")
    refused = cell.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=6))
    assert not refused.success
    assert "hil-serl recover" in refused.message
    assert cell.call(Trigger, names.RECOVER).success
    cell.until(lambda: not cell.state.fault, "the end of the fault")
    assert cell.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=6)).success


def test_a_stop_holds_the_arm_on_its_way(cell):
    assert cell.call(Trigger, names.JOINT_RESET).success  # some 20 cm away
    away = cell.position()
    future = cell.ask(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=5))
    cell.until(lambda: abs(cell.position() - away).max() > 0.01, "a motion")
    cell.stopped.publish(Bool(data=True))
    cell.until(future.done, "its end")
    assert not future.result().success
    assert "stopped" in future.result().message
    cell.until(
        lambda: abs(cell.position() - np.mean([cell.position() for _ in range(20)], 0)).max() < 5e-4, "rest"
    )
    held = cell.position()
    for _ in range(50):
        assert abs(cell.position() - held).max() < 0.003
    cell.stopped.publish(Bool(data=False))
    assert cell.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=5)).success
