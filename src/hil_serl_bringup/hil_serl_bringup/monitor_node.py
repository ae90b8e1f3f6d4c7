# SPDX-License-Identifier: Apache-2.0
"""Listens to a run from inside the command-line tool, and publishes what it advises."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from hil_serl_bringup.advice import Advice
from hil_serl_bringup.graph import FORWARD
from hil_serl_bringup.monitor import RunMonitor
from hil_serl_msgs.msg import EpisodeSummary, InterventionState, LearnerStatus
from hil_serl_ros import names, qos
from hil_serl_ros.diagnostics import Level, diagnostic_array, diagnostic_status


class MonitorNode:
    """A node inside the calling process that feeds monitors; it spins only inside `spin` and needs no thread.

    Args:
        namespace: ROS namespace of the run.
    """

    def __init__(self, namespace: str = "") -> None:
        self.monitor: RunMonitor | None = None
        self._context = rclpy.Context()
        # Ctrl-C belongs to the supervisor.
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(
            "monitor", context=self._context, namespace=namespace, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        for kind, name, profile, handler in (
            (EpisodeSummary, names.EPISODE, qos.EPISODE_LIVE, "on_episode"),
            (LearnerStatus, names.LEARNER_STATUS, qos.LEARNER_STATUS, "on_learner_status"),
            (LearnerStatus, f"{FORWARD}/{names.LEARNER_STATUS}", qos.LEARNER_STATUS, "on_learner_status"),
            (InterventionState, names.INTERVENTION, qos.INTERVENTION, "on_intervention"),
            (Bool, names.STOPPED, qos.STOPPED, "on_stopped"),
        ):
            self.node.create_subscription(kind, name, self._forward(handler), profile)
        self._diagnostics = self.node.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)

    def _forward(self, handler: str) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            if self.monitor is not None:
                getattr(self.monitor, handler)(message)

        return callback

    def spin(self, seconds: float) -> None:
        """Handle messages for about `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def publish_advice(self, advice: Sequence[Advice]) -> None:
        """Say on ``/diagnostics`` what the operator should know; nothing is OK."""
        text = " ".join(one.text for one in advice) or "nothing to advise"
        level = Level.WARN if advice else Level.OK
        status = diagnostic_status("monitor/advice", level, text)
        self._diagnostics.publish(diagnostic_array(self.node.get_clock().now().nanoseconds, [status]))

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
