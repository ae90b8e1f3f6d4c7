# SPDX-License-Identifier: Apache-2.0
"""What the actor listens to: arms, cameras, operator's devices, the simulated cell's truth; and which of them is silent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, Joy

from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_actor.options import ActorOptions
from hil_serl_actor.senses.arm_health import ArmHealth
from hil_serl_actor.senses.camera_input import CameraMessage
from hil_serl_actor.senses.device_input import DeviceInput
from hil_serl_actor.senses.exposure import ExposureWatch
from hil_serl_actor.senses.inputs import SceneVerdict
from hil_serl_actor.senses.source_health import SourceHealth
from hil_serl_actor.wiring import reports
from hil_serl_core.action import ArmCommand
from hil_serl_core.observation import ArmSample
from hil_serl_msgs.msg import ArmState, SceneTruth
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_from_message
from hil_serl_ros.polled import PolledSubscription
from hil_serl_ros.stamps import stamp_to_seconds
from hil_serl_teleop.devices import DEVICES, device_of

_SILENCE = 3.0  # s of wall-clock time without a message from a source of the cell
_NOBODY = ": nobody can intervene or stop the robot with it (hil-serl teleop-check)"
_START_GRACE = 10.0  # s; a source that was never heard is named after so long


class Senses:
    """Subscriptions of the actor.

    Staleness is judged in ROS time by the loop; a dead simulator stops that time, so silence is also noticed in
    wall-clock time, here.
    """

    def __init__(
        self,
        node: Node,
        options: ActorOptions,
        loop: ControlLoop,
        warn: Callable[[str], None],
        heard: Callable[[], None],
        truth: bool,
    ) -> None:
        """Subscribe to what the task names.

        Args:
            node: The actor.
            options: Its parameters.
            loop: Takes what is heard.
            warn: Called with what is wrong with a message.
            heard: Called after each message.
            truth: Whether the cell's ``sim/truth`` is listened to.
        """
        self._node, self._options, self._loop = node, options, loop
        self._warn, self._tell = warn, heard
        self._spec = options.agents[0].spec
        self._topics = {
            camera.name: names.camera_topic(camera.name, options.image_transport[camera.name])
            for camera in self._spec.cameras
        }
        arms = {arm: names.for_arm(names.ARM_STATE, arm) for arm in self._spec.arm_names}
        grace = time.monotonic() + _START_GRACE - _SILENCE
        self._arms = {arm: SourceHealth(topic, grace) for arm, topic in arms.items()}
        self._cameras = {camera: SourceHealth(topic, grace) for camera, topic in self._topics.items()}
        self._alive = {arm: ArmHealth("tcp_wrench" in self._spec.state) for arm in arms}
        self._real = not (
            options.lockstep or node.get_parameter("use_sim_time").value
        )  # simulators have no noise
        self._devices: dict[str, SourceHealth] = {}
        for arm, topic in arms.items():
            node.create_subscription(ArmState, topic, partial(self._on_arm, arm), qos.ARM_STATE)
        for camera, topic in self._topics.items():
            kind = CompressedImage if options.image_transport[camera] == names.COMPRESSED else Image
            node.create_subscription(kind, topic, partial(self._on_image, camera), qos.CAMERA)
        self._inputs: dict[str, DeviceInput] = {}
        self._polled: dict[str, PolledSubscription] = {}
        if options.operator in DEVICES:
            for arm in options.devices:
                self._listen_to_device(arm, grace)
        if truth:
            node.create_subscription(SceneTruth, names.SCENE_TRUTH, self._on_truth, qos.SCENE_TRUTH)
        self._exposure = None if options.lockstep else ExposureWatch(node, self._topics)

    # ----------------------------------------------------------------- inputs

    def _on_arm(self, arm: str, message: ArmState) -> None:
        self._arms[arm].heard(time.monotonic())
        try:
            self._loop.inputs.put_arm(arm_state_from_message(message), arm)
        except ValueError as error:
            self._warn(f"{self._arms[arm].topic}: {error}")
        self._tell()

    def _on_image(self, camera: str, message: CameraMessage) -> None:
        self._cameras[camera].heard(time.monotonic())
        latency = math.nan
        if not self._options.lockstep:
            now = self._node.get_clock().now().nanoseconds * 1e-9
            latency = now - stamp_to_seconds(message.header.stamp)
        self._loop.inputs.put_image(camera, message, latency)
        self._tell()

    def _listen_to_device(self, arm: str, grace: float) -> None:
        device = device_of(self._options.operator, self._options.devices[arm])
        topic = names.for_arm(device.topic, arm)
        self._devices[arm] = SourceHealth(topic, grace)
        self._inputs[arm] = DeviceInput(self._spec, device)
        if self._options.lockstep:  # the loop waits for every message
            self._node.create_subscription(Joy, topic, partial(self._on_joy, arm), qos.OPERATOR_HEARD)
        else:
            self._polled[arm] = PolledSubscription(self._node, Joy, topic, qos.OPERATOR_HEARD)

    def _on_joy(self, arm: str, message: Joy) -> None:
        self._put_joy(arm, message)
        self._look_at(arm)
        self._tell()

    def hear(self) -> None:
        """Take what the devices have sent since the last call; what their buttons ask for is done at once."""
        for arm, subscription in self._polled.items():
            for message in subscription.take():
                if self._put_joy(arm, message):
                    self._look_at(arm)

    def look(self) -> None:
        """Give the loop the newest input of every device, for a tick."""
        self.hear()
        for arm in self._polled:
            self._look_at(arm)

    def _put_joy(self, arm: str, message: Joy) -> bool:
        self._devices[arm].heard(time.monotonic())
        return self._inputs[arm].put(stamp_to_seconds(message.header.stamp), message.axes, message.buttons)

    def _look_at(self, arm: str) -> None:
        device = self._inputs[arm]
        try:
            value = device.look(time.monotonic())
        except ValueError as error:
            self._warn(str(error))
            if device.pressed(self._spec.intervention.stop_button):
                self._loop.stop("the stop button of a device whose axes cannot be used")
            return
        if value is None:
            return
        if not self._options.lockstep:  # a clock that runs ahead must not hide that the device falls silent
            value = replace(value, stamp=min(value.stamp, self._node.get_clock().now().nanoseconds * 1e-9))
        self._loop.put_operator(value, arm)

    def _on_truth(self, message: SceneTruth) -> None:
        goals = dict(zip(message.goals, message.reached, strict=True))
        stamp = stamp_to_seconds(message.header.stamp)
        self._loop.inputs.verdict = SceneVerdict(stamp, message.success, message.failure, goals)
        self._tell()

    # ---------------------------------------------------------------- reports

    def silence(self) -> str:
        """What has not been heard for some seconds of wall-clock time, and a guess why; empty for nothing.

        In lockstep devices speak when they are asked.
        """
        now = time.monotonic()
        devices = [] if self._options.lockstep else list(self._devices.values())
        silent = [
            s for s in (*self._arms.values(), *self._cameras.values(), *devices) if s.silent(now) > _SILENCE
        ]
        reasons = [
            f"{source.topic} ({self._guess(source.topic)})" + (_NOBODY if source in devices else "")
            for source in silent
        ]
        return f"nothing heard for {_SILENCE:.0f} s on {'; '.join(reasons)}" if reasons else ""

    def _guess(self, topic: str) -> str:
        resolved = self._node.resolve_topic_name  # the graph knows no remappings
        if self._node.count_publishers(resolved(topic)):
            return "its publisher is there but sends nothing: see its log"
        for camera, own in self._topics.items():
            for transport in names.TRANSPORTS:
                other = names.camera_topic(camera, transport)
                if own == topic != other and self._node.count_publishers(resolved(other)):
                    return f"but {other} is published: set {camera}.image_transport to {transport}"
        return f"nobody publishes {resolved(topic)}: is the driver running, in this ROS domain and namespace?"

    def doubts(self) -> list[str]:
        """What arrives in time and is yet not believed, for people."""
        found = [device.stuck.problem() for device in self._inputs.values()]
        found += [
            f"{self._arms[arm].topic}: {problem}"
            for arm, alive in self._alive.items()
            if (problem := alive.problem())
        ]
        if self._real:
            cameras = self._loop.inputs.cameras.health
            found += [f"camera '{name}': {problem}" for name, h in cameras.items() if (problem := h.frozen())]
        return [problem for problem in found if problem]

    def commanded(self, commands: Mapping[str, ArmCommand]) -> None:
        """Take what the arms are asked for, by which one shows whose state does not live."""
        if self._real:
            for arm, command in commands.items():
                self._alive[arm].commanded(command)

    def statuses(self, now: float) -> list[DiagnosticStatus]:
        """One line per arm, operator's device and camera for /diagnostics, at ``now`` [s]."""
        if self._exposure is not None:
            self._exposure.poll()
        wall, arms = time.monotonic(), self._loop.inputs.arms or {}
        if self._real:
            for arm, alive in self._alive.items():
                alive.look(arms.get(arm), wall)
        statuses = [
            reports.arm_status(arm, source, wall, _fault(arms.get(arm)), self._alive[arm].problem())
            for arm, source in self._arms.items()
        ]
        statuses += [
            reports.device_status(arm, source, wall, self._inputs[arm].stuck.problem())
            for arm, source in self._devices.items()
        ]
        for name, health in self._loop.inputs.cameras.health.items():
            problems = health.problems(now, self._spec.control.frequency, self._spec.observation_timeout)
            problems += [health.frozen()] if self._real and health.frozen() else []
            problems += [] if self._exposure is None else self._exposure.problems(name)
            lost = not health.received or health.age(now) > self._spec.observation_timeout
            statuses.append(reports.camera_status(health, self._topics[name], now, problems, lost))
        return statuses


def _fault(arm: ArmSample | None) -> str:
    """Fault that an arm's controller has latched, in words; empty for none."""
    return (arm.fault_text or f"code {arm.fault}") if arm is not None and arm.fault else ""
