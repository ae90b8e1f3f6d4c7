# SPDX-License-Identifier: Apache-2.0
"""A subscription whose messages wait in the middleware until they are asked for.

An executor in Python wakes up for every message of an ordinary subscription, which costs it more than the message is worth
where a driver sends hundreds a second and their reader acts ten times. This one costs nothing until it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile


class _LeftAlone(CallbackGroup):
    """The executor never waits for what is in this group."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return


class PolledSubscription:
    """Messages of one topic, as many as the profile's depth keeps between two looks."""

    def __init__(self, node: Node, kind: type, topic: str, profile: QoSProfile) -> None:
        self._group = _LeftAlone()  # the node itself keeps a weak reference only
        self._kind = kind
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, profile, callback_group=self._group
        )

    def take(self) -> Iterator[Any]:
        """The messages that have come since the last look, the oldest first."""
        handle = self._subscription.handle
        while True:
            with handle:
                taken = handle.take_message(self._kind, False)
            if taken is None:
                return
            yield taken[0]
