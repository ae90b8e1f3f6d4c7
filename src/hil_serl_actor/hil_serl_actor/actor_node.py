# SPDX-License-Identifier: Apache-2.0
"""ROS node of the actor: wires topics, services and timers to ``ControlLoop`` and its agents' links."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image, Joy
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from hil_serl_actor import reports
from hil_serl_actor.agent import Agent
from hil_serl_actor.agent_link import AgentLink
from hil_serl_actor.command_publishers import CommandPublishers
from hil_serl_actor.control_loop import ControlLoop
from hil_serl_actor.inputs import SceneVerdict
from hil_serl_actor.markers import MarkerScene
from hil_serl_actor.options import read_options
from hil_serl_actor.ports import LogFull, LoopConfig, Phase, Reset
from hil_serl_actor.teleop import DEVICES, TeleopDecoder
from hil_serl_core.action import ArmCommand
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Outcome, Tick
from hil_serl_core.step import Step
from hil_serl_msgs.msg import ArmState, EpisodeSummary, InterventionState, SceneTruth
from hil_serl_msgs.srv import LabelEpisode, ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.bag import BagWriteError
from hil_serl_ros.conversions import arm_state_from_message
from hil_serl_ros.diagnostics import diagnostic_array
from hil_serl_ros.images import image_to_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.stamps import stamp_from_seconds, stamp_to_seconds

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
        self._spec, self._mode = options.agents[0].spec, options.mode
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._warned: dict[str, float] = {}
        self._links = {
            own.actor_id: AgentLink(self, options, own, self.warn, self._pump_lockstep)
            for own in options.agents
        }
        # Lockstep is a simulated cell: its truth is noted beside the opinion of a reward model.
        noted = options.lockstep and any(
            own.spec.reward.kind in ("classifier", "pose") for own in options.agents
        )
        judged = any(own.spec.reward.kind == "ground_truth" for own in options.agents)
        # VICE gives its reward in the learner; demonstrations and trials still need somebody who sees success.
        vice = any(own.spec.reward.kind == "vice" for own in options.agents) and self._mode is not Mode.TRAIN
        recorded = (vice or self._mode is Mode.RECORD_CLASSIFIER) and self._spec.sim is not None
        self._truth = judged or noted or recorded
        self._loop = ControlLoop(self._loop_config(), [link.agent for link in self._links.values()], self)
        self._scenes = {name: MarkerScene(self._spec.arm(name), name) for name in self._spec.arm_names}
        arms = [names.for_arm(names.ARM_STATE, arm) for arm in self._spec.arm_names]
        sources = [*arms, *(names.camera_image(camera.name) for camera in self._spec.cameras)]
        self._heard = dict.fromkeys(sources, time.monotonic() + _START_GRACE - _SILENCE)
        self._reset_in_flight = False
        self._done_since: float | None = None
        self._make_publishers()
        self._make_subscriptions()
        self._make_services()
        self._make_timers()

    # ----------------------------------------------------------------- set-up

    def _loop_config(self) -> LoopConfig:
        return LoopConfig(
            mode=self._mode,
            lockstep=self._options.lockstep,
            await_operator=self._options.operator == "scripted",
            await_truth=self._truth,
            episodes=self._options.episodes,
            seed=self._options.seed,
            switched_operator=self._options.switched_operator,
        )

    def _make_publishers(self) -> None:
        self._commands = CommandPublishers(self, self._spec)
        self._intervention_pub = self.create_publisher(
            InterventionState, names.INTERVENTION, qos.INTERVENTION
        )
        self._episode_pub = self.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self._marker_pub = self.create_publisher(MarkerArray, names.MARKERS, qos.MARKERS)
        self._diagnostics_pub = self.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)
        self._stopped_pub = self.create_publisher(Bool, names.STOPPED, qos.STOPPED)
        self._stopped_pub.publish(Bool(data=False))

    def _make_subscriptions(self) -> None:
        for arm in self._spec.arm_names:
            topic = names.for_arm(names.ARM_STATE, arm)
            self.create_subscription(ArmState, topic, partial(self._on_arm, arm, topic), qos.ARM_STATE)
        for camera in self._spec.cameras:
            self.create_subscription(
                Image, names.camera_image(camera.name), partial(self._on_image, camera.name), qos.CAMERA
            )
        if self._options.operator in DEVICES:
            device = DEVICES[self._options.operator]
            for arm in ("",) if self._options.switched_operator else self._spec.arm_names:
                heard = partial(self._on_joy, arm, TeleopDecoder(device))
                self.create_subscription(Joy, names.for_arm(device.topic, arm), heard, qos.OPERATOR)
        if self._truth:
            self.create_subscription(SceneTruth, names.SCENE_TRUTH, self._on_truth, qos.SCENE_TRUTH)

    def _make_services(self) -> None:
        self._reset_client = self.create_client(ResetEpisode, names.RESET_EPISODE)
        self.create_service(LabelEpisode, names.LABEL_EPISODE, self._on_label)
        self.create_service(Trigger, names.CONFIRM_RESET, self._on_confirm_reset)
        self.create_service(SetBool, names.PAUSE, self._on_pause)
        self.create_service(Trigger, names.STOP, self._on_stop)
        self.create_service(Trigger, names.CLEAR_STOP, self._on_clear_stop)

    def _make_timers(self) -> None:
        if not self._options.lockstep:
            self.create_timer(self._spec.period, self._pump)
        # On the wall clock: these must run while simulated time stands still.
        self.create_timer(0.05, self._on_idle_timer, clock=self._wall)
        self.create_timer(1.0, self._publish_diagnostics, clock=self._wall)

    # ----------------------------------------------------------------- inputs

    def _on_arm(self, arm: str, topic: str, message: ArmState) -> None:
        self._heard[topic] = time.monotonic()
        try:
            self._loop.inputs.put_arm(arm_state_from_message(message), arm)
        except ValueError as error:
            self.warn(f"{topic}: {error}")
        self._pump_lockstep()

    def _on_image(self, camera: str, message: Image) -> None:
        self._heard[names.camera_image(camera)] = time.monotonic()
        try:
            pixels = image_to_array(message, camera)
        except ValueError as error:
            self.warn(str(error))
            return
        self._loop.inputs.put_frame(camera, stamp_to_seconds(message.header.stamp), pixels)
        self._pump_lockstep()

    def _on_joy(self, arm: str, decoder: TeleopDecoder, message: Joy) -> None:
        stamp = stamp_to_seconds(message.header.stamp)
        try:
            value = decoder.decode(stamp, message.axes, message.buttons)
        except ValueError as error:
            self.warn(str(error))
            if OperatorInput(stamp, np.zeros(6), message.buttons).pressed(
                self._spec.intervention.stop_button
            ):
                self._loop.stop("the stop button of a device whose axes cannot be used")
            return
        self._loop.put_operator(value, arm)
        self._pump_lockstep()

    def _on_truth(self, message: SceneTruth) -> None:
        goals = dict(zip(message.goals, message.reached, strict=True))
        stamp = stamp_to_seconds(message.header.stamp)
        self._loop.inputs.verdict = SceneVerdict(stamp, message.success, message.failure, goals)
        self._pump_lockstep()

    # ------------------------------------------------------- effects (Ports)

    def log_step(self, step: Step) -> None:
        """See ``Ports``."""
        try:
            self._links[step.actor_id].append(step)
        except BagWriteError as error:
            raise LogFull(str(error)) from error

    def send_step(self, step: Step) -> None:
        """See ``Ports``."""
        self._links[step.actor_id].send_due()

    def label_step(self, step: Step, label: str) -> None:
        """See ``Ports``."""
        self._links[step.actor_id].label(step, label)

    def send_commands(self, commands: Mapping[str, ArmCommand], stamp: float) -> None:
        """See ``Ports``."""
        for arm, command in commands.items():
            self._scenes[arm].set_target(command.pose)
        self._commands.publish(commands, stamp)

    def request_reset(self, reset: Reset) -> None:
        """See ``Ports``; asks until the cell's service is there."""
        if self._reset_in_flight:
            return
        if not self._reset_client.service_is_ready():
            self._loop.reset_finished(False, f"no service '{self._reset_client.srv_name}' yet", 0.0)
            return
        self._reset_in_flight = True
        request = ResetEpisode.Request(seed=reset.seed, arm_only=reset.arm_only)
        self._reset_client.call_async(request).add_done_callback(self._on_reset_done)

    def _on_reset_done(self, future: Future) -> None:
        self._reset_in_flight = False
        reply = future.result()
        self._loop.reset_finished(reply.success, reply.message, stamp_to_seconds(reply.stamp))
        self._pump_lockstep()

    def report_tick(self, tick: Tick, runner: EpisodeRunner) -> None:
        """See ``Ports``."""
        frame = self._spec.arm(self._spec.arm_names[0]).tcp_frame
        header = Header(stamp=stamp_from_seconds(tick.step.stamp), frame_id=frame)
        self._intervention_pub.publish(reports.intervention_state(header, tick.arbitration, runner))
        for scene, pose in zip(self._scenes.values(), tick.step.tcp_poses, strict=True):
            scene.add(pose, tick.arbitration.active)
        if self._marker_pub.get_subscription_count() > 0:
            driver = "operator" if tick.arbitration.active else "policy"
            text = f"{driver}  episode {runner.episode}  step {tick.step.step_index}"
            drawn = [marker for scene in self._scenes.values() for marker in scene.draw(header.stamp, text)]
            self._marker_pub.publish(MarkerArray(markers=drawn))

    def report_start(self, agent: Agent, seed: int, stamp: float) -> None:
        """See ``Ports``."""
        for scene in self._scenes.values():
            scene.start_episode()
        self._episode_pub.publish(reports.episode_start(stamp_from_seconds(stamp), agent, self._mode, seed))

    def report_episode(self, agent: Agent, result: EpisodeResult, stamp: float) -> None:
        """See ``Ports``."""
        self._episode_pub.publish(reports.episode_end(stamp_from_seconds(stamp), agent, self._mode, result))
        if result.aborted:
            self.get_logger().warning(f"episode {result.episode} aborted: {result.reason}")

    def report_stop(self) -> None:
        """See ``Ports``."""
        self._stopped_pub.publish(Bool(data=self._loop.latch.engaged))
        self._publish_diagnostics()

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
        self._loop.tick(self._loop.inputs.assembler.stamp or 0.0)
        if self._loop.phase is Phase.IDLE:
            self._loop.tick(self._loop.inputs.assembler.stamp or 0.0)

    def _on_idle_timer(self) -> None:
        self._pump_lockstep()
        for link in self._links.values():
            link.send_due()
        if self._loop.phase is Phase.DONE:
            self._leave_when_delivered()

    def _leave_when_delivered(self) -> None:
        now = time.monotonic()
        if self._done_since is None:
            self._done_since = now
        waiting = any(link.undelivered for link in self._links.values())
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
        stamp = self._loop.inputs.assembler.stamp
        ros_now = self.get_clock().now().nanoseconds
        now = stamp if self._options.lockstep and stamp is not None else ros_now * 1e-9
        statuses = [reports.loop_status(self._loop, now)]
        if self._mode is Mode.TRAIN:
            several = len(self._links) > 1
            statuses += [
                reports.sender_status(link.sender, actor_id if several else "")
                for actor_id, link in self._links.items()
            ]
        self._diagnostics_pub.publish(diagnostic_array(ros_now, statuses))

    # --------------------------------------------------------------- services

    def _on_label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        outcomes = {
            LabelEpisode.Request.SUCCESS: Outcome(success=True, final=True),
            LabelEpisode.Request.FAILURE: Outcome(failure=True, final=True),
            LabelEpisode.Request.DISCARD: None,
        }
        if request.label not in outcomes:
            response.message = f"label {request.label} is none of 1 (success), 2 (failure), 3 (discard)"
            return response
        response.success = self._loop.label(outcomes[request.label])
        response.message = "taken" if response.success else "no episode is running"
        return response

    def _on_confirm_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._loop.confirm_reset()
        response.message = "the episode starts" if response.success else "no reset is waiting for a person"
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._loop.pause(request.data)
        response.success = True
        response.message = self._loop.latch.text or self._loop.phase.name.lower()
        return response

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._loop.stop("the service stop")
        response.success = self._loop.latch.engaged
        response.message = self._loop.latch.text or "the run is over, nothing moves the robot"
        return response

    def _on_clear_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refused = self._loop.clear_stop()
        response.success = not refused
        response.message = refused or f"cleared; the actor is {self._loop.phase.name.lower()}"
        return response

    def destroy_node(self) -> None:
        """Finish the bags, then the node."""
        for link in getattr(self, "_links", {}).values():
            link.close()
        super().destroy_node()


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(ActorNode))


if __name__ == "__main__":
    main()
