# SPDX-License-Identifier: Apache-2.0
"""Topics of a monitor: what it hears, and the report it publishes once a second. Wires a node to a `RunMonitor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Bool

from hil_serl_core.episode import Mode
from hil_serl_monitor.advice import Advice
from hil_serl_monitor.reports import advice_status, learner_status, run_status
from hil_serl_monitor.state import RunMonitor
from hil_serl_msgs.msg import EpisodeSummary, InterventionState, LearnerStatus, RunStatus
from hil_serl_ros import names, qos
from hil_serl_ros.diagnostics import diagnostic_array
from hil_serl_runs.agents import BACKWARD, FORWARD

REPORT_PERIOD = 1.0  # s, as other diagnostics


class MonitorTopics:
    """Feeds a monitor while there is one.

    Attributes:
        monitor: Takes what is heard; None: nobody is interested.
    """

    def __init__(self, node: Node) -> None:
        self.monitor: RunMonitor | None = None
        self._node = node
        for kind, name, profile, handler in (
            (EpisodeSummary, names.EPISODE, qos.EPISODE_LIVE, "on_episode"),
            (InterventionState, names.INTERVENTION, qos.INTERVENTION, "on_intervention"),
            (Bool, names.STOPPED, qos.STOPPED, "on_stopped"),
        ):
            node.create_subscription(kind, name, self._forward(handler), profile)
        for agent in ("", FORWARD, BACKWARD):
            name = f"{agent}/{names.LEARNER_STATUS}" if agent else names.LEARNER_STATUS
            handle = self._forward("on_learner_status", agent)
            node.create_subscription(LearnerStatus, name, handle, qos.LEARNER_STATUS)
        self._status = node.create_publisher(RunStatus, names.RUN_STATUS, qos.RUN_STATUS)
        self._diagnostics = node.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)

    def _forward(self, handler: str, *details: str) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            if self.monitor is not None:
                getattr(self.monitor, handler)(message, *details)

        return callback

    def report(self, task: str, advice: Sequence[Advice]) -> None:
        """Publish rates and advice, and how the learner of a training is; nothing without a monitor."""
        if self.monitor is None:
            return
        now = self._node.get_clock().now()
        self._status.publish(run_status(self.monitor, task, advice, now.to_msg()))
        if self.monitor.phase == str(Mode.TRAIN):
            learners = [learner_status(self.monitor, agent) for agent in self.monitor.learners]
            statuses = [advice_status(advice), *learners]
            self._diagnostics.publish(diagnostic_array(now.nanoseconds, statuses))
