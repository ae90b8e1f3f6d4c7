# SPDX-License-Identifier: Apache-2.0
"""Listens to a run from inside the command-line tool, and publishes what it counts and advises."""

from __future__ import annotations

from collections.abc import Sequence

from hil_serl_monitor.advice import Advice
from hil_serl_monitor.state import RunMonitor
from hil_serl_monitor.topics import MonitorTopics
from hil_serl_ros.tool_node import ToolNode


class MonitorNode:
    """A node inside the calling process that feeds monitors; it spins only inside `spin` and needs no thread.

    Args:
        namespace: ROS namespace of the run.
    """

    def __init__(self, namespace: str = "") -> None:
        self._tool = ToolNode("monitor", namespace)
        self.node = self._tool.node
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
        self._tool.spin(seconds)

    def report(self, task: str, advice: Sequence[Advice]) -> None:
        """Publish rates and advice."""
        self._topics.report(task, advice)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._tool.close()
