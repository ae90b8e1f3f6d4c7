# SPDX-License-Identifier: Apache-2.0
"""ROS node that shows a cell: markers for RViz and Foxglove, and the cell's frames.

Run one beside any viewer (monitor.launch.py does); nothing depends on it, and it commands nothing.

Parameters:
    task: path of the task file.
    rate: pictures per second of wall-clock time.
    frames: publish the cell's frames on /tf. Needs tf2_msgs; a frame that somebody else places (robot_state_publisher) is
        left to them.

Subscribes: arm_state, target_pose and target_wrench of each arm; intervention, episode, stopped, run_status.
Publishes: markers (visualization_msgs/MarkerArray), /tf, /tf_static (tf2_msgs/TFMessage).
"""

from __future__ import annotations

import sys
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TransformStamped, WrenchStamped
from rclpy.node import Node
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from hil_serl_core import geometry
from hil_serl_core.spec import load_task
from hil_serl_monitor.viewing.cell_scene import CellScene
from hil_serl_monitor.viewing.frames import Rivals, base_transforms, start_frame, transform
from hil_serl_monitor.viewing.markers import ArmView
from hil_serl_msgs.msg import ArmState, EpisodeSummary, InterventionState, RunStatus
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import STEADY
from hil_serl_ros.geometry_messages import pose_to_array, wrench_to_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters

_WARNING_PERIOD = 5.0  # s
_LISTENING = 2.0  # s of listening to others' frames before we place any


class MarkersNode(Node):
    """Wires a ``CellScene`` to topics."""

    def __init__(self) -> None:
        super().__init__("markers")
        parameters = Parameters(self)
        self._spec = load_task(parameters.path("task", must_exist=True, description="task file"))
        rate = parameters.number(
            "rate", 15.0, minimum=1.0, maximum=60.0, description="pictures per second of wall-clock time"
        )
        frames = parameters.boolean("frames", True, description="publish the cell's frames on /tf")
        self._scene = CellScene(self._spec)
        self._stamps: dict[str, Time] = {}
        self._shown: dict[str, Time] = {}
        self._rivals = Rivals()
        self._tf: Any = None
        self._bases_placed = False
        self._publisher = self.create_publisher(MarkerArray, names.MARKERS, qos.MARKERS)
        self._listen()
        if frames and find_spec("tf2_msgs") is None:
            self.get_logger().warning("no frames on /tf: the ROS package tf2_msgs is not installed")
        elif frames:
            self._make_frames()
        # On the wall clock: a picture is for people, also while simulated time stands still.
        self.create_timer(1.0 / rate, self._draw, clock=STEADY)

    def _listen(self) -> None:
        for arm in self._spec.arm_names:
            for kind, name, profile, listener in (
                (ArmState, names.ARM_STATE, qos.ARM_STATE, self._on_arm),
                (PoseStamped, names.TARGET_POSE, qos.TARGET, self._on_target),
                (WrenchStamped, names.TARGET_WRENCH, qos.TARGET, self._on_wrench),
            ):
                self.create_subscription(kind, names.for_arm(name, arm), partial(listener, arm), profile)
        self.create_subscription(InterventionState, names.INTERVENTION, self._on_tick, qos.INTERVENTION)
        self.create_subscription(EpisodeSummary, names.EPISODE, self._on_episode, qos.EPISODE)
        self.create_subscription(Bool, names.STOPPED, self._on_stopped, qos.STOPPED)
        self.create_subscription(RunStatus, names.RUN_STATUS, self._on_status, qos.RUN_STATUS)

    def _make_frames(self) -> None:
        message = self._message = import_module("tf2_msgs.msg").TFMessage
        self._tf = self.create_publisher(message, names.TF, qos.TF)
        self._static = self.create_publisher(message, names.TF_STATIC, qos.TF_STATIC)
        self._started = time.monotonic()
        self.create_subscription(message, names.TF, self._on_frames, qos.TF)
        self.create_subscription(message, names.TF_STATIC, self._on_frames, qos.TF_STATIC)

    # ----------------------------------------------------------------- inputs

    def _on_arm(self, arm: str, message: ArmState) -> None:
        pose, target = pose_to_array(message.tcp_pose), pose_to_array(message.target_pose)
        if not geometry.is_pose(pose):
            self._warn(f"{names.for_arm(names.ARM_STATE, arm)}: tcp_pose {pose.tolist()} is no pose")
            return
        twist = self._spec.action.kind == "twist"
        view = ArmView(
            tcp_pose=pose,
            reference=target if twist and geometry.is_pose(target) else None,
            force=wrench_to_array(message.external_wrench)[:3],
            gripper=message.gripper_position,
            fault=message.fault_text or (f"code {message.fault}" if message.fault else ""),
        )
        self._stamps[arm] = message.header.stamp
        self._scene.on_arm(arm, view, time.monotonic())

    def _on_target(self, arm: str, message: PoseStamped) -> None:
        pose = pose_to_array(message.pose)
        if geometry.is_pose(pose):
            self._scene.arms[arm].set_target(pose)

    def _on_wrench(self, arm: str, message: WrenchStamped) -> None:
        wrench = wrench_to_array(message.wrench)
        if np.isfinite(wrench).all():
            self._scene.arms[arm].set_wrench(wrench)

    def _on_tick(self, message: InterventionState) -> None:
        self._scene.on_tick(message.active, message.episode, message.step_index, time.monotonic())

    def _on_episode(self, message: EpisodeSummary) -> None:
        self._scene.on_episode(message.started, message.mode)

    def _on_stopped(self, message: Bool) -> None:
        self._scene.stopped = message.data

    def _on_status(self, message: RunStatus) -> None:
        self._scene.advice = message.advice

    def _on_frames(self, message: Any) -> None:
        self._rivals.see(message.transforms)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(
            text, throttle_duration_sec=_WARNING_PERIOD, throttle_time_source_type=STEADY
        )

    # ---------------------------------------------------------------- picture

    def _draw(self) -> None:
        if not self._stamps:
            return
        if self._tf is not None and time.monotonic() - self._started > _LISTENING:
            self._publish_frames()
        if self._publisher.get_subscription_count():
            stamp = max(self._stamps.values(), key=lambda one: (one.sec, one.nanosec))
            self._publisher.publish(MarkerArray(markers=self._scene.draw(stamp, time.monotonic())))

    def _publish_frames(self) -> None:
        wanted: list[TransformStamped] = []
        for arm, stamp in self._stamps.items():
            if self._shown.get(arm) == stamp:
                continue  # listeners complain of frames that come twice with one stamp
            self._shown[arm] = stamp
            spec, scene = self._spec.arm(arm), self._scene.arms[arm]
            assert scene.arm is not None
            wanted.append(transform(spec.base_frame, spec.tcp_frame, scene.arm.tcp_pose, stamp))
            if scene.start is not None:
                wanted.append(transform(spec.base_frame, start_frame(spec.tcp_frame), scene.start, stamp))
        if not self._bases_placed:
            self._bases_placed = True
            self._place(self._static, base_transforms(self._spec, self.get_clock().now().to_msg()))
        self._place(self._tf, wanted)

    def _place(self, publisher: Any, wanted: list[TransformStamped]) -> None:
        for frame in self._rivals.given_up(wanted):
            self.get_logger().info(f"somebody else places the frame '{frame}' on /tf: left to them")
        allowed = self._rivals.allowed(wanted)
        if allowed:
            publisher.publish(self._message(transforms=allowed))


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(MarkersNode))


if __name__ == "__main__":
    main()
