# SPDX-License-Identifier: Apache-2.0
"""A cell without physics for tests over the middleware: arms that follow their targets, cameras that show nothing."""

from __future__ import annotations

import itertools
import time

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from hil_serl_core import geometry
from hil_serl_core.action import nominal_pose
from hil_serl_core.observation import ArmSample
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.msg import ArmState
from hil_serl_robot.cell.reset_motion import distances
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_to_message
from hil_serl_ros.geometry_messages import pose_to_array
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns, stamp_to_seconds


class FollowingArm:
    """Goes a share of the way to its newest target at each publication, unless it is blocked or silent.

    Attributes:
        targets: (stamp [s], (7,) target, (7,) pose measured when it arrived), in the order of arrival.
    """

    SHARE = 0.3

    def __init__(self, node, spec, name, pose):
        self.spec, self.name, self.pose = spec.arm(name), name, np.array(pose, dtype=float)
        self.joints = np.zeros(7)
        self.fault, self.blocked, self.silent = "", False, False
        self.targets, self.wrenches, self.openings = [], [], []
        self._node, self._target = node, None
        for kind, topic, profile, heard in (
            (PoseStamped, names.TARGET_POSE, qos.TARGET, self._on_target),
            (WrenchStamped, names.TARGET_WRENCH, qos.TARGET, self.wrenches.append),
            (Float64, names.GRIPPER_COMMAND, qos.GRIPPER_COMMAND, lambda m: self.openings.append(m.data)),
        ):
            node.create_subscription(kind, names.for_arm(topic, name), heard, profile)
        self._publisher = node.create_publisher(ArmState, names.for_arm(names.ARM_STATE, name), qos.ARM_STATE)

    def _on_target(self, message):
        assert message.header.frame_id == self.spec.base_frame
        self._target = pose_to_array(message.pose)
        self.targets.append((stamp_to_seconds(message.header.stamp), self._target, self.pose.copy()))

    def publish(self, now):
        """Move a little and show the state."""
        if self.silent:
            return
        if self._target is not None and not self.blocked and not self.fault:
            step = geometry.relative(self.pose, self._target)
            turn = geometry.rotation_of(step).as_rotvec() * self.SHARE
            rotation = geometry.rotation_of(self.pose) * geometry.Rotation.from_rotvec(turn)
            way = geometry.rotation_of(self.pose).apply(step[:3]) * self.SHARE
            self.pose = geometry.make_pose(self.pose[:3] + way, rotation)
        zeros = np.zeros(6)
        sample = ArmSample(
            now,
            self.spec.base_frame,
            self.pose,
            zeros,
            zeros,
            self.joints,
            np.zeros(7),
            1.0,
            1 if self.fault else 0,
            self.fault,
        )
        self._publisher.publish(
            arm_state_to_message(sample, tcp_frame=self.spec.tcp_frame, target_pose=self.pose)
        )

    def speeds(self):
        """(n, 2) linear [m/s] and angular [rad/s] speed between targets of different stamps."""
        result = []
        for (before, one, _), (after, other, _) in itertools.pairwise(self.targets):
            if after > before:
                length, angle = distances(one, other)
                result.append((length / (after - before), angle / (after - before)))
        return np.array(result)


class World:
    """Arms, cameras and nodes under test in one executor."""

    def __init__(self, spec, poses, *make_nodes):
        """``poses``: arm name to where it is at the start; ``make_nodes``: called after the world's own node is there."""
        self.node = rclpy.create_node("world", use_global_arguments=False)
        self.arms = {name: FollowingArm(self.node, spec, name, pose) for name, pose in poses.items()}
        self._cameras = {
            camera: self.node.create_publisher(Image, names.camera_image(camera.name), qos.CAMERA)
            for camera in spec.cameras
        }
        self.offset = 0.0  # s, of its clock
        self._executor = SingleThreadedExecutor()
        self._nodes = [self.node, *(make() for make in make_nodes)]
        for node in self._nodes:
            self._executor.add_node(node)

    @property
    def now(self):
        return self.node.get_clock().now().nanoseconds * 1e-9 + self.offset

    def silence_cameras(self):
        """No pictures from now on."""
        self._cameras = {}

    def play(self):
        """One state of arms and cameras, and what the nodes make of it."""
        for arm in self.arms.values():
            arm.publish(self.now)
        for camera, publisher in self._cameras.items():
            pixels = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
            publisher.publish(image_from_array(pixels, seconds_to_ns(self.now), camera.name))
        end = time.monotonic() + 0.02
        while time.monotonic() < end:  # always the same timeout: rclpy starts its round anew when it changes
            self._executor.spin_once(timeout_sec=0.005)

    def until(self, condition, what):
        """Play on until something holds."""
        wait_for(condition, what, self.play)

    def start(self, kind, name, request=None):
        """Future of a service's answer."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, name)
        return client.call_async(request or kind.Request())

    def call(self, kind, name, request=None):
        """Answer of a service."""
        future = self.start(kind, name, request)
        self.until(future.done, f"the answer of {name}")
        return future.result()

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()


def displaced(spec, arm="", by=(0.0, 0.0, 0.0)):
    """(7,) nominal pose of an arm, displaced in its base frame [m]."""
    pose = nominal_pose(spec.arm(arm))
    pose[:3] += by
    return pose
