# SPDX-License-Identifier: Apache-2.0
"""When a gripper's action is asked for what: only on change, one goal at a time where the hand knows no other."""

from __future__ import annotations

import math

_SAME = 0.01  # openings that differ by less are the same command


class GripperServo:
    """Turns openings that are repeated every tick into goals.

    Args:
        preempts: A new goal may replace one under way; else the newest opening waits for its end.
        retry: A goal that failed is sent again after this time, if it is still wanted [s].
    """

    def __init__(self, preempts: bool, retry: float = 2.0) -> None:
        self._preempts, self._retry = preempts, retry
        self._sent = math.nan
        self._under_way = False
        self._not_before = -math.inf
        self._asked = False
        self.wanted = math.nan

    @property
    def sent(self) -> float:
        """Opening of the last goal, NaN before the first."""
        return self._sent

    def command(self, opening: float) -> None:
        """Take an opening, 0 closed to 1 open; values outside are the nearest one inside.

        Raises:
            ValueError: Not a finite number.
        """
        self.wanted = _opening(opening)
        self._asked = True

    def due(self, now: float) -> float | None:
        """Opening to ask the hand for at ``now`` [s], None for nothing."""
        if not self._asked or now < self._not_before:
            return None
        if abs(self.wanted - self._sent) < _SAME:  # False for NaN: nothing was sent
            return None
        return None if self._under_way and not self._preempts else self.wanted

    def started(self, opening: float) -> None:
        """A goal was sent."""
        self._sent, self._under_way = opening, True

    def finished(self, success: bool, now: float) -> None:
        """The last goal has ended at ``now`` [s]; ``success``: it did what it was asked for."""
        self._under_way = False
        if not success:
            self._sent, self._not_before = math.nan, now + self._retry

    def forget(self) -> None:
        """Nobody knows what the hand does or did: the next command is sent to it, and none from before.

        A hand that comes back must not move by itself, minutes after people have looked away from it.
        """
        self._sent, self._under_way, self._asked = math.nan, False, False


class MockGripper:
    """A hand without hardware: follows its command with a constant speed, a while after it was told.

    Attributes:
        opening: Where it is, 0 closed to 1 open.
        wanted: Where it was told to be.
        trouble: Nothing is ever wrong with it.
    """

    trouble = ""

    def __init__(self, speed: float, opening: float = 1.0, delay: float = 0.0) -> None:
        """``speed``: openings per second; ``opening``: at the start; ``delay``: from a command to the motion [s]."""
        self._speed, self._delay, self._wait = speed, delay, 0.0
        self.opening, self.wanted = opening, opening

    def command(self, opening: float) -> None:
        """Take an opening; raises ValueError for NaN and infinity."""
        wanted = _opening(opening)
        if abs(wanted - self.wanted) >= _SAME:
            self._wait = self._delay
        self.wanted = wanted

    def step(self, seconds: float) -> float:
        """Opening after some more time [s]."""
        seconds = max(seconds, 0.0)
        waited = min(seconds, self._wait)
        self._wait -= waited
        way = self.wanted - self.opening
        reach = self._speed * (seconds - waited)
        self.opening += math.copysign(min(abs(way), reach), way)
        return self.opening


def _opening(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no opening; it has to be from 0 (closed) to 1 (open)")
    return min(max(value, 0.0), 1.0)
