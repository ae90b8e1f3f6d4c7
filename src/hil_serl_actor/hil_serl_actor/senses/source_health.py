# SPDX-License-Identifier: Apache-2.0
"""Whether an arm, a camera or a device is heard, in wall-clock time. No ROS."""

from __future__ import annotations


class SourceHealth:
    """Counts the messages of one topic; times ``now`` are of a steady clock [s].

    Attributes:
        topic: The topic.
    """

    def __init__(self, topic: str, now: float) -> None:
        """``now``: from when on the source counts as silent if it is never heard."""
        self.topic = topic
        self._last = now
        self._count = 0
        self._asked = now

    def heard(self, now: float) -> None:
        """A message has come."""
        self._last = now
        self._count += 1

    def silent(self, now: float) -> float:
        """Seconds since the last message; 0 before the source counts as silent."""
        return max(now - self._last, 0.0)

    def rate(self, now: float) -> float:
        """Messages per second since the last call."""
        span = now - self._asked
        if span <= 0.0:
            return 0.0
        rate = self._count / span
        self._asked, self._count = now, 0
        return rate
