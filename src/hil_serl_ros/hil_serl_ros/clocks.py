# SPDX-License-Identifier: Apache-2.0
"""Clocks that are set: timers and warnings that do not stand still, and a watch that says it happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.node import Node

_STEP = 0.2  # s; less is slewing, and no age is misjudged by it
_READING = 0.02  # s that reading both clocks may take; longer, and the process was kept waiting in between
_READINGS = 3

STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""Never set; for whatever needs no time of day."""


def timer_clock(node: Node) -> Clock:
    """Clock for a node's timers: the steady one, or the node's own where its time is simulated.

    A timer on the system's clock does not fire for as long as that is set back.
    """
    own: Clock = node.get_clock()
    return own if is_simulated(node) else STEADY


def is_simulated(node: Node) -> bool:
    """Whether the node takes its time from the topic ``/clock``."""
    clock = node.get_clock()
    return isinstance(clock, ROSClock) and bool(clock.ros_time_is_active)


class ClockWatch:
    """Reads a clock, and notices by the steady one beside it that it was set.

    A simulated clock goes at a pace of its own, so that of its steps only those back are noticed.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        simulated: bool = False,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``now``: the clock that is watched [s]; ``steady``: one that is never set [s]."""
        self._now, self._steady, self._simulated = now, steady, simulated
        self._last: tuple[float, float] | None = None

    @classmethod
    def of(cls, node: Node) -> ClockWatch:
        """Watch over a node's clock."""
        clock = node.get_clock()
        return cls(lambda: float(clock.now().nanoseconds) * 1e-9, simulated=is_simulated(node))

    def look(self) -> tuple[float, float]:
        """The time now [s], and by how much the clock was set since the last look [s]: 0 for not at all."""
        for _ in range(_READINGS):
            before, now = self._steady(), self._now()
            if self._steady() - before <= _READING:
                break
        else:  # a process that is kept waiting cannot tell
            return now, 0.0
        step = 0.0
        if self._last is not None:
            last_now, last_steady = self._last
            step = now - last_now - (0.0 if self._simulated else before - last_steady)
            if step > -_STEP and (self._simulated or step < _STEP):
                step = 0.0
        self._last = now, before
        return now, step


def step_in_words(step: float) -> str:
    """What happened to a clock that was set by ``step`` [s]."""
    size = abs(step)
    if size < 120.0:
        amount = f"{size:.1f} s"
    else:
        amount = f"{size / 60.0:.0f} min" if size < 7200.0 else f"{size / 3600.0:.1f} h"
    return f"the clock was set {'forward' if step > 0.0 else 'back'} by {amount}"


class ThrottledLog:
    """Says a text at most once in a while, by the steady clock; texts that differ in digits only are the same one."""

    def __init__(
        self, say: Callable[[str], object], period: float = 5.0, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """``say``: takes a text, such as a logger's ``warning``; ``period``: [s]."""
        self._say, self._period, self._steady = say, period, steady
        self._said: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        """Say it, unless it was said a moment ago."""
        now = self._steady()
        key = "".join(c for c in text if not c.isdigit())
        if now - self._said.get(key, -math.inf) >= self._period:
            self._said[key] = now
            self._say(text)
