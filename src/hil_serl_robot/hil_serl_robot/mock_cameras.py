# SPDX-License-Identifier: Apache-2.0
"""Cameras of a cell that has none, in the place of their drivers: pictures drawn from the measured poses of the arms."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_core.spec import load_task
from hil_serl_msgs.msg import ArmState
from hil_serl_robot.mock_scene import MockScene
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import timer_clock
from hil_serl_ros.conversions import arm_state_from_message
from hil_serl_ros.images import compressed_from_array, image_from_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters


class MockCameras(Node):
    """Publishes ``camera/NAME/image_raw`` or ``camera/NAME/image_raw/compressed``, stamped when they are drawn.

    Parameters:
        task: path of the task file.
        cameras: names of the task's cameras to stand for; empty: all.
        fps: pictures a second of each.
        compressed: names of the cameras whose pictures are JPEG instead of raw.
    """

    def __init__(self) -> None:
        super().__init__("mock_cameras")
        parameters = Parameters(self)
        spec = load_task(parameters.path("task", must_exist=True, description="task file"))
        known = [camera.name for camera in spec.cameras]
        chosen = parameters.strings("cameras", known, description="cameras to stand for") or known
        unknown = sorted(set(chosen) - set(known))
        if unknown:
            raise ValueError(f"parameter 'cameras' names {unknown}, task '{spec.name}' has cameras {known}")
        fps = parameters.number("fps", 10.0, minimum=0.1, maximum=200.0)
        self._scene = MockScene(spec)
        self._rng = np.random.default_rng(0)
        self._poses: dict[str, np.ndarray] = {}
        self._openings: dict[str, float] = {}
        compressed = parameters.strings("compressed", (), description="cameras that publish JPEG")
        self._images = {
            camera: self.create_publisher(CompressedImage, names.camera_compressed(camera), qos.CAMERA)
            if camera in compressed
            else self.create_publisher(Image, names.camera_image(camera), qos.CAMERA)
            for camera in chosen
        }
        for arm in spec.arm_names:
            topic = names.for_arm(names.ARM_STATE, arm)
            self.create_subscription(ArmState, topic, partial(self._on_arm, arm), qos.ARM_STATE)
        self.create_timer(1.0 / fps, self._publish, clock=timer_clock(self))

    def _on_arm(self, arm: str, message: ArmState) -> None:
        sample = arm_state_from_message(message)
        if np.isfinite(sample.tcp_pose).all():
            self._poses[arm] = sample.tcp_pose
            self._openings[arm] = sample.gripper

    def _publish(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        for camera, publisher in self._images.items():
            # Flickers as a real light does: a picture that never changes by a bit is taken for a frozen driver's.
            flicker = self._rng.integers(0, 3, dtype=np.uint8)
            pixels = np.minimum(self._scene.draw(camera, self._poses, self._openings), 253) + flicker
            make = compressed_from_array if publisher.msg_type is CompressedImage else image_from_array
            publisher.publish(make(pixels, stamp, f"{camera}_optical_frame"))


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(MockCameras))


if __name__ == "__main__":
    main()
