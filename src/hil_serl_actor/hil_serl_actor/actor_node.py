# SPDX-License-Identifier: Apache-2.0
"""ROS node of the actor: wires topics, services and timers to ``ControlLoop`` and its agents' links."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Bool, Header

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_actor.loop.ports import LogFull, LoopConfig, Phase, Reset
from hil_serl_actor.options import read_options
from hil_serl_actor.sending.agent_link import AgentLink
from hil_serl_actor.wiring import reports
from hil_serl_actor.wiring.actor_services import ActorServices
from hil_serl_actor.wiring.namesakes import Namesakes
from hil_serl_actor.wiring.reset_client import ResetClient
from hil_serl_actor.wiring.subscriptions import Senses
from hil_serl_core.action import ArmCommand
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Tick
from hil_serl_core.step import Step
from hil_serl_msgs.msg import EpisodeSummary, InterventionState
from hil_serl_ros import names, qos
from hil_serl_ros.bag import BagWriteError
from hil_serl_ros.clocks import STEADY, ClockWatch, ThrottledLog, timer_clock
from hil_serl_ros.command_publishers import CommandPublishers
from hil_serl_ros.diagnostics import diagnostic_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.stamps import stamp_from_seconds

_BUTTON_PERIOD = 0.02  # s between two looks at the devices' buttons: a stop does not wait for the next tick
_FLUSH_TIME = 10.0  # s; how long a finished training actor waits for acknowledgements


class ActorNode(Node):
    """The actor of one cell. Parameters: see ``options``."""

    def __init__(self) -> None:
        super().__init__("actor")
        torch.set_num_threads(1)
        options = self._options = read_options(self)
        self._spec, self._mode = options.agents[0].spec, options.mode
        self.warn = ThrottledLog(self.get_logger().warning)  # see ``Ports``
        self._clock_watch = ClockWatch.of(self)
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
        self._done_since: float | None = None
        self._make_publishers()
        self._senses = Senses(self, options, self._loop, self.warn, self._pump_lockstep, self._truth)
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
            interventions=self._options.interventions,
        )

    def _make_publishers(self) -> None:
        self._commands = CommandPublishers(self, self._spec)
        self._intervention_pub = self.create_publisher(
            InterventionState, names.INTERVENTION, qos.INTERVENTION
        )
        self._namesakes = Namesakes(self, names.INTERVENTION)
        self._episode_pub = self.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self._diagnostics_pub = self.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)
        self._stopped_pub = self.create_publisher(Bool, names.STOPPED, qos.STOPPED)
        self._stopped_pub.publish(Bool(data=False))
        self._paused_pub = self.create_publisher(Bool, names.PAUSED, qos.PAUSED)
        self._paused_pub.publish(Bool(data=False))

    def _make_services(self) -> None:
        self._resets = ResetClient(self, self._on_reset)
        ActorServices(self, self._loop)

    def _make_timers(self) -> None:
        if not self._options.lockstep:
            self.create_timer(self._spec.period, self._pump, clock=timer_clock(self))
        # On the wall clock: these must run while simulated time stands still.
        self.create_timer(_BUTTON_PERIOD, self._senses.hear, clock=STEADY)
        self.create_timer(0.05, self._on_idle_timer, clock=STEADY)
        self.create_timer(1.0, self._publish_diagnostics, clock=STEADY)

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
        self._commands.publish(commands, stamp)
        self._senses.commanded(commands)

    def request_reset(self, reset: Reset) -> None:
        """See ``Ports``; asks until the cell's service is there."""
        self._resets.request(reset)

    def _on_reset(self, success: bool, message: str, stamp: float, objects_reset: bool) -> None:
        if (
            not self._options.lockstep
        ):  # by a cell whose clock is ahead, or that was set back since, no input would count
            stamp = min(stamp, self.get_clock().now().nanoseconds * 1e-9)
        self._loop.reset_finished(success, message, stamp, objects_reset)
        if success:  # a failure may come from within the request: the timer tries again
            self._pump_lockstep()

    def report_tick(self, tick: Tick, runner: EpisodeRunner) -> None:
        """See ``Ports``."""
        frame = self._spec.arm(self._spec.arm_names[0]).tcp_frame
        header = Header(stamp=stamp_from_seconds(tick.step.stamp), frame_id=frame)
        self._intervention_pub.publish(reports.intervention_state(header, tick.arbitration, runner))

    def report_start(self, agent: Agent, seed: int, stamp: float) -> None:
        """See ``Ports``."""
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

    def report_pause(self) -> None:
        """See ``Ports``."""
        self._paused_pub.publish(Bool(data=self._loop.phase is Phase.PAUSED))

    # ----------------------------------------------------------------- timing

    def _pump(self) -> None:
        self._senses.look()  # what came before a step of the clock is dropped with the rest
        now, step = self._clock_watch.look()
        if step:  # arms are looked at again at the next tick, by when their states are the new clock's
            self._loop.clock_was_set(now, step)
        else:
            self._loop.tick(now)

    def _pump_lockstep(self) -> None:
        if not self._options.lockstep:
            return
        self._loop.tick(self._loop.inputs.assembler.stamp or 0.0)
        if self._loop.phase is Phase.IDLE:
            self._loop.tick(self._loop.inputs.assembler.stamp or 0.0)

    def _on_idle_timer(self) -> None:
        self._resets.look()
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

    def _publish_diagnostics(self) -> None:
        if others := self._namesakes.look():
            self.warn(others)
        silence = self._senses.silence()
        if silence and self._loop.phase is not Phase.DONE:
            self.warn(silence)
        for doubt in self._senses.doubts():
            self.warn(doubt)
        stamp = self._loop.inputs.assembler.stamp
        ros_now = self.get_clock().now().nanoseconds
        now = stamp if self._options.lockstep and stamp is not None else ros_now * 1e-9
        statuses = [reports.loop_status(self._loop, now), reports.stop_status(self._loop.latch)]
        statuses += self._senses.statuses(now)
        if self._mode is Mode.TRAIN:
            several = len(self._links) > 1
            statuses += [
                reports.sender_status(link.sender, actor_id if several else "")
                for actor_id, link in self._links.items()
            ]
        self._diagnostics_pub.publish(diagnostic_array(ros_now, statuses))

    def destroy_node(self) -> None:
        """Finish the bags, then the node."""
        for link in getattr(self, "_links", {}).values():
            link.close()
        if hasattr(self, "_loop"):
            self._loop.inputs.cameras.close()
        super().destroy_node()


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(ActorNode))


if __name__ == "__main__":
    main()
