# SPDX-License-Identifier: Apache-2.0
"""ROS node of the actor: wires topics, services and timers to ``ControlLoop``, ``StepLog`` and ``StepSender``."""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image, Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

from hil_serl_actor import reports
from hil_serl_actor.acting_policy import ActingPolicy
from hil_serl_actor.control_loop import ControlLoop
from hil_serl_actor.markers import MarkerScene
from hil_serl_actor.options import read_options
from hil_serl_actor.ports import LogFull, LoopConfig, Phase
from hil_serl_actor.step_log import StepLog
from hil_serl_actor.step_sender import DeliveryConflict, StepSender
from hil_serl_actor.teleop import DEVICES, TeleopDecoder
from hil_serl_core.arbiter import Arbitration
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Outcome, Tick
from hil_serl_core.step import Step
from hil_serl_core.weights import WeightsError
from hil_serl_msgs.msg import (
    ArmState,
    EpisodeSummary,
    InterventionState,
    LearnerStatus,
    PolicyWeights,
    SceneTruth,
)
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_msgs.srv import LabelEpisode, ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.bag import BagWriteError
from hil_serl_ros.conversions import arm_state_from_message, step_to_message
from hil_serl_ros.diagnostics import diagnostic_array
from hil_serl_ros.geometry_messages import pose_stamped
from hil_serl_ros.images import image_to_array
from hil_serl_ros.node_main import ERROR_PREFIX, EXIT_USER_ERROR, run_node
from hil_serl_ros.stamps import seconds_to_ns, stamp_from_seconds, stamp_to_seconds

_WARNING_PERIOD = 5.0  # s; a repeated warning is shown this often
_SILENCE = 3.0  # s of wall-clock time without a message from a source of the cell
_START_GRACE = 10.0  # s; a source that was never heard is named after so long
_FLUSH_TIME = 10.0  # s; how long a finished training actor waits for acknowledgements


class ActorNode(Node):
    """The actor of one cell. Parameters: see ``options``."""

    def __init__(self) -> None:
        super().__init__("actor")
        torch.set_num_threads(1)
        options = self._options = read_options(self)
        self._spec, self._mode = options.spec, options.mode
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._log = StepLog(
            self._options.run_dir / "bags" / str(self._mode) / self._options.actor_id,
            topic=self.resolve_topic_name(names.STEP),
            frame_id=self._spec.base_frame,
        )
        for recovery in self._log.recovered:
            self.get_logger().warning(f"finished a bag that an earlier process left open: {recovery}")
        self._sender = StepSender(self._log)
        self._policy = ActingPolicy(options) if self._mode is not Mode.RECORD_DEMOS else None
        self._decoder = (
            TeleopDecoder(DEVICES[self._options.operator]) if self._options.operator in DEVICES else None
        )
        self._loop = self._make_loop()
        self._scene = MarkerScene(self._spec.base_frame, *self._loop.box)
        self._warned: dict[str, float] = {}
        sources = [names.ARM_STATE, *(names.camera_image(camera.name) for camera in self._spec.cameras)]
        self._heard = dict.fromkeys(sources, time.monotonic() + _START_GRACE - _SILENCE)
        self._reset_in_flight = False
        self._done_since: float | None = None
        self._make_publishers()
        self._make_subscriptions()
        self._make_services()
        self._make_timers()

    # ----------------------------------------------------------------- set-up

    def _make_loop(self) -> ControlLoop:
        config = LoopConfig(
            mode=self._mode,
            lockstep=self._options.lockstep,
            await_operator=self._options.operator == "scripted",
            await_truth=self._spec.reward.kind == "ground_truth",
            episodes=self._options.episodes,
            seed=self._options.seed,
            first_transition=self._log.count_transitions(),
        )
        runner = EpisodeRunner(
            self._spec, self._options.actor_id, self._mode, self._log.next_sequence, self._log.next_episode
        )
        source = self._policy.source if self._policy is not None else None
        return ControlLoop(self._spec, config, runner, source, self)

    def _make_publishers(self) -> None:
        self._target_pub = self.create_publisher(PoseStamped, names.TARGET_POSE, qos.TARGET)
        self._step_pub = self.create_publisher(StepMessage, names.STEP, qos.STEP)
        self._intervention_pub = self.create_publisher(
            InterventionState, names.INTERVENTION, qos.INTERVENTION
        )
        self._episode_pub = self.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self._marker_pub = self.create_publisher(MarkerArray, names.MARKERS, qos.MARKERS)
        self._diagnostics_pub = self.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)

    def _make_subscriptions(self) -> None:
        self.create_subscription(ArmState, names.ARM_STATE, self._on_arm, qos.ARM_STATE)
        for camera in self._spec.cameras:
            self.create_subscription(
                Image,
                names.camera_image(camera.name),
                partial(self._on_image, camera.name),
                qos.CAMERA,
            )
        if self._decoder is not None:
            self.create_subscription(Joy, DEVICES[self._options.operator].topic, self._on_joy, qos.OPERATOR)
        if self._spec.reward.kind == "ground_truth":
            self.create_subscription(SceneTruth, names.SCENE_TRUTH, self._on_truth, qos.SCENE_TRUTH)
        if self._mode is Mode.TRAIN:
            self.create_subscription(
                PolicyWeights, names.POLICY_WEIGHTS, self._on_weights, qos.POLICY_WEIGHTS
            )
            self.create_subscription(
                LearnerStatus, names.LEARNER_STATUS, self._on_learner_status, qos.LEARNER_STATUS
            )

    def _make_services(self) -> None:
        self._reset_client = self.create_client(ResetEpisode, names.RESET_EPISODE)
        self.create_service(LabelEpisode, names.LABEL_EPISODE, self._on_label)
        self.create_service(SetBool, names.PAUSE, self._on_pause)

    def _make_timers(self) -> None:
        if not self._options.lockstep:
            self.create_timer(self._spec.period, self._pump)
        # On the wall clock: these must run while simulated time stands still.
        self.create_timer(0.05, self._on_idle_timer, clock=self._wall)
        self.create_timer(1.0, self._publish_diagnostics, clock=self._wall)

    # ----------------------------------------------------------------- inputs

    def _on_arm(self, message: ArmState) -> None:
        self._heard[names.ARM_STATE] = time.monotonic()
        try:
            self._loop.put_arm(arm_state_from_message(message))
        except ValueError as error:
            self.warn(f"arm_state: {error}")
        self._pump_lockstep()

    def _on_image(self, camera: str, message: Image) -> None:
        self._heard[names.camera_image(camera)] = time.monotonic()
        try:
            pixels = image_to_array(message, camera)
        except ValueError as error:
            self.warn(str(error))
            return
        self._loop.put_frame(camera, stamp_to_seconds(message.header.stamp), pixels)
        self._pump_lockstep()

    def _on_joy(self, message: Joy) -> None:
        assert self._decoder is not None
        try:
            value = self._decoder.decode(
                stamp_to_seconds(message.header.stamp), message.axes, message.buttons
            )
        except ValueError as error:
            self.warn(str(error))
            return
        self._loop.put_operator(value)
        self._pump_lockstep()

    def _on_truth(self, message: SceneTruth) -> None:
        outcome = Outcome(success=message.success, failure=message.failure)
        self._loop.put_outcome(stamp_to_seconds(message.header.stamp), outcome)
        self._pump_lockstep()

    def _on_weights(self, message: PolicyWeights) -> None:
        assert self._policy is not None
        try:
            self._policy.receive(message)
        except (WeightsError, ValueError) as error:
            self.get_logger().error(f"policy_weights refused, the present policy goes on: {error}")
            return
        self._pump_lockstep()

    def _on_learner_status(self, message: LearnerStatus) -> None:
        if message.spec_hash and message.spec_hash != self._spec.hash:
            self.warn(
                f"the learner runs task spec {message.spec_hash}, this actor {self._spec.hash}; "
                "start both with the same task file"
            )
            return
        acknowledged = next(
            (a.acknowledged for a in message.acks if a.actor_id == self._options.actor_id), -1
        )
        try:
            self._sender.on_ack(message.run_id, acknowledged, time.monotonic())
        except DeliveryConflict as error:
            print(f"{ERROR_PREFIX}{error}", file=sys.stderr, flush=True)
            raise SystemExit(EXIT_USER_ERROR) from error
        self._send_due()

    # ------------------------------------------------------- effects (Ports)

    def log_step(self, step: Step) -> None:
        """See ``Ports``."""
        try:
            self._sender.append(step)
        except BagWriteError as error:
            raise LogFull(str(error)) from error

    def send_step(self, step: Step) -> None:
        """See ``Ports``; only training experience goes to the learner."""
        if self._mode is Mode.TRAIN:
            self._send_due()

    def send_target(self, pose: np.ndarray, stamp: float) -> None:
        """See ``Ports``."""
        self._scene.set_target(pose)
        self._target_pub.publish(pose_stamped(pose, seconds_to_ns(stamp), self._spec.base_frame))

    def request_reset(self, seed: int) -> None:
        """See ``Ports``; asks until the cell's service is there."""
        if self._reset_in_flight:
            return
        if not self._reset_client.service_is_ready():
            self._loop.reset_finished(False, f"no service '{self._reset_client.srv_name}' yet", 0.0)
            return
        self._reset_in_flight = True
        future = self._reset_client.call_async(ResetEpisode.Request(seed=seed))
        future.add_done_callback(self._on_reset_done)

    def _on_reset_done(self, future: Future) -> None:
        self._reset_in_flight = False
        reply = future.result()
        self._loop.reset_finished(reply.success, reply.message, stamp_to_seconds(reply.stamp))
        self._pump_lockstep()

    def report_tick(self, arbitration: Arbitration, tick: Tick, runner: EpisodeRunner) -> None:
        """See ``Ports``."""
        header = Header(stamp=stamp_from_seconds(tick.step.stamp), frame_id=self._spec.tcp_frame)
        self._intervention_pub.publish(reports.intervention_state(header, arbitration, runner))
        self._scene.add(tick.step.tcp_pose, arbitration.active)
        if self._marker_pub.get_subscription_count() > 0:
            driver = "operator" if arbitration.active else "policy"
            text = f"{driver}  episode {runner.episode}  step {tick.step.step_index}"
            self._marker_pub.publish(self._scene.draw(header.stamp, text))

    def report_start(self, episode: int, seed: int, stamp: float) -> None:
        """See ``Ports``."""
        self._scene.start_episode()
        self._episode_pub.publish(
            reports.episode_start(
                stamp_from_seconds(stamp), self._options.actor_id, self._mode, episode, seed
            )
        )

    def report_episode(self, result: EpisodeResult, stamp: float) -> None:
        """See ``Ports``."""
        self._episode_pub.publish(
            reports.episode_end(stamp_from_seconds(stamp), self._options.actor_id, self._mode, result)
        )
        if result.aborted:
            self.get_logger().warning(f"episode {result.episode} aborted: {result.reason}")

    def warn(self, text: str) -> None:
        """See ``Ports``."""
        now = time.monotonic()
        key = "".join(c for c in text if not c.isdigit())
        if now - self._warned.get(key, -np.inf) >= _WARNING_PERIOD:
            self._warned[key] = now
            self.get_logger().warning(text)

    # ----------------------------------------------------------------- timing

    def _pump(self) -> None:
        self._loop.tick(self.get_clock().now().nanoseconds * 1e-9)

    def _pump_lockstep(self) -> None:
        if not self._options.lockstep:
            return
        arm = self._loop.arm
        self._loop.tick(arm.stamp if arm is not None else 0.0)
        if self._loop.phase is Phase.IDLE:
            self._loop.tick(arm.stamp if arm is not None else 0.0)

    def _on_idle_timer(self) -> None:
        self._pump_lockstep()
        if self._mode is Mode.TRAIN:
            self._send_due()
        if self._loop.phase is Phase.DONE:
            self._leave_when_delivered()

    def _send_due(self) -> None:
        for step in self._sender.due(time.monotonic()):
            self._step_pub.publish(step_to_message(step, self._spec.base_frame))

    def _leave_when_delivered(self) -> None:
        now = time.monotonic()
        if self._done_since is None:
            self._done_since = now
        waiting = self._mode is Mode.TRAIN and self._sender.unacknowledged > 0
        if not waiting or now - self._done_since > _FLUSH_TIME:
            raise SystemExit(0)

    def _warn_of_silence(self) -> None:
        """Staleness is judged in ROS time; a dead simulator stops that time, so silence is also noticed in wall time."""
        now = time.monotonic()
        silent = [name for name, heard in self._heard.items() if now - heard > _SILENCE]
        if silent and self._loop.phase is not Phase.DONE:
            self.warn(
                f"nothing heard for {_SILENCE:.0f} s on {', '.join(silent)}; are the cell and its drivers running?"
            )

    def _publish_diagnostics(self) -> None:
        self._warn_of_silence()
        arm = self._loop.arm
        now = (
            arm.stamp
            if self._options.lockstep and arm is not None
            else self.get_clock().now().nanoseconds * 1e-9
        )
        statuses = [reports.loop_status(self._loop, now)]
        if self._mode is Mode.TRAIN:
            statuses.append(reports.sender_status(self._sender))
        self._diagnostics_pub.publish(diagnostic_array(self.get_clock().now().nanoseconds, statuses))

    # --------------------------------------------------------------- services

    def _on_label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        outcomes = {
            LabelEpisode.Request.SUCCESS: Outcome(success=True),
            LabelEpisode.Request.FAILURE: Outcome(failure=True),
            LabelEpisode.Request.DISCARD: None,
        }
        if request.label not in outcomes:
            response.message = f"label {request.label} is none of 1 (success), 2 (failure), 3 (discard)"
            return response
        response.success = self._loop.label(outcomes[request.label])
        response.message = "taken" if response.success else "no episode is running"
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._loop.pause(request.data)
        response.success = True
        response.message = self._loop.phase.name.lower()
        return response

    def destroy_node(self) -> None:
        """Finish the bag, then the node."""
        self._log.close()
        super().destroy_node()


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(ActorNode))


if __name__ == "__main__":
    main()
