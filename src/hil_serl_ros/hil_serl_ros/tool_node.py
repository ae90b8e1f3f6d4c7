# SPDX-License-Identifier: Apache-2.0
"""The node of a command-line tool, which lives beside whatever else its process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from hil_serl_ros.process_setup import NO_LOG_FILE


class ToolNode:
    """A node in a context of its own that spins only inside `spin`; a context manager.

    Ctrl-C stays the tool's: no signal handlers are installed.

    Attributes:
        node: The node.
    """

    def __init__(self, name: str, namespace: str = "") -> None:
        """``namespace``: ROS namespace, empty for none."""
        self._context = rclpy.Context()
        # The console is enough for a tool: it starts without a home, and on a full disk.
        signals = SignalHandlerOptions.NO
        rclpy.init(args=list(NO_LOG_FILE), context=self._context, signal_handler_options=signals)
        self.node = rclpy.create_node(
            name, context=self._context, namespace=namespace, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def spin(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Handle messages for about ``seconds``, or until ``until`` holds after one."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until is not None and until()):
            self._executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
