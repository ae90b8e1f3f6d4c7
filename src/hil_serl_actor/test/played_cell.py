# SPDX-License-Identifier: Apache-2.0
"""The actor node over topics against a cell played by the test: no simulator, and an arm that stands still."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from hil_serl_actor.actor_node import ActorNode
from hil_serl_core.action import nominal_pose
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.msg import ArmState, EpisodeSummary
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_to_message
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns, stamp_from_seconds


class Cell:
    """A cell that answers resets at once, whose arm stands still, and that keeps what it hears."""

    def __init__(self, spec, pose, cameras):
        self.spec, self.pose, self.resets = spec, pose, 0
        self.offset, self.opening = 0.0, 1.0  # s, of its clock; measured opening of the gripper
        self._noise = np.random.default_rng(0)
        self.node = rclpy.create_node("played_cell", use_global_arguments=False)
        self.arm = self.node.create_publisher(ArmState, names.ARM_STATE, qos.ARM_STATE)
        self.cameras = {
            camera: self.node.create_publisher(Image, names.camera_image(camera.name), qos.CAMERA)
            for camera in spec.cameras
            if camera.name in cameras
        }
        self.node.create_service(ResetEpisode, names.RESET_EPISODE, self._on_reset)
        self.targets, self.episodes, self.stopped, self.diagnostics = [], [], [], []
        for kind, name, profile, heard in (
            (PoseStamped, names.TARGET_POSE, qos.TARGET, self.targets),
            (EpisodeSummary, names.EPISODE, qos.EPISODE, self.episodes),
            (DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS, self.diagnostics),
        ):
            self.node.create_subscription(kind, name, heard.append, profile)

    @property
    def now(self):
        return self.node.get_clock().now().nanoseconds * 1e-9 + self.offset

    def _on_reset(self, request, response):
        self.resets += 1
        response.success, response.stamp = True, stamp_from_seconds(self.now)
        return response

    def publish(self):
        """One state of arm and cameras."""
        zeros, joints = np.zeros(6), np.zeros(7)
        sample = ArmSample(
            self.now, self.spec.base_frame, self.pose, zeros, zeros, joints, joints, self.opening
        )
        self.arm.publish(arm_state_to_message(sample, tcp_frame=self.spec.tcp_frame, target_pose=self.pose))
        for camera, publisher in self.cameras.items():
            pixels = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
            pixels[0, 0] = self._noise.integers(0, 256, 3)  # no sensor shows the same twice
            publisher.publish(image_from_array(pixels, seconds_to_ns(self.now), camera.name))


def ros_arguments(parameters):
    """Command line of a node."""
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return ["--ros-args", *arguments]


@contextmanager
def actor_and_cell(task, run_dir, cameras=("wrist_1", "wrist_2"), **parameters):
    """The node of the actor and a cell with these cameras in one executor; yields the cell.

    ``cell.spin_until`` plays on until something holds, ``cell.call`` calls a service.
    """
    parameters = {"task": task, "run_dir": run_dir, "mode": "record_demos", **parameters}
    with cell_with(task, cameras, (ActorNode,), parameters) as played:
        yield played


@contextmanager
def cell_with(task, cameras=("wrist_1", "wrist_2"), make_nodes=(), parameters=None):
    """A cell and nodes in one executor, all with these parameters; yields the cell, see ``actor_and_cell``."""
    spec = load_task(task)
    rclpy.init(args=ros_arguments(parameters or {}))
    executor, nodes = SingleThreadedExecutor(), [make() for make in make_nodes]
    played = Cell(spec, nominal_pose(spec.arm("")), cameras)
    nodes.append(played.node)
    for node in nodes:
        executor.add_node(node)

    def play():
        played.publish()
        executor.spin_once(timeout_sec=0.05)

    def spin_until(condition, what):
        wait_for(condition, what, play)

    def call(kind, name):
        client = played.node.create_client(kind, name)
        future = client.call_async(kind.Request())
        spin_until(future.done, name)
        return future.result()

    played.executor = executor
    played.spin_until, played.call = spin_until, call
    try:
        yield played
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
