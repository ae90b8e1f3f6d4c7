# SPDX-License-Identifier: Apache-2.0
"""Listens to a run from inside the command-line tool, and publishes what it counts and advises."""

from __future__ import annotations

import time
from collections.abc import Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from hil_serl_bringup.monitor.advice import Advice
from hil_serl_bringup.monitor.state import RunMonitor
from hil_serl_bringup.monitor.topics import MonitorTopics


class MonitorNode:
    """A node inside the calling process that feeds monitors; it spins only inside `spin` and needs no thread.

    Args:
        namespace: ROS namespace of the run.
    """

    def __init__(self, namespace: str = "") -> None:
        self._context = rclpy.Context()
        # Ctrl-C belongs to the supervisor.
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(
            "monitor", context=self._context, namespace=namespace, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._topics = MonitorTopics(self.node)

    @property
    def monitor(self) -> RunMonitor | None:
        """Takes what is heard; None: nobody is interested."""
        return self._topics.monitor

    @monitor.setter
    def monitor(self, monitor: RunMonitor | None) -> None:
        self._topics.monitor = monitor

    def spin(self, seconds: float) -> None:
        """Handle messages for about `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def report(self, task: str, advice: Sequence[Advice]) -> None:
        """Publish rates and advice."""
        self._topics.report(task, advice)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
