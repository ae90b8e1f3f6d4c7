# SPDX-License-Identifier: Apache-2.0
"""How well a camera delivers: frame rate, latency, pictures that could not be used. No ROS."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

WINDOW = 30  # pictures that rates and latencies are taken over
FROZEN = 3.0  # s; a sensor's noise changes some of the bits of every picture
_FEWEST = 5  # pictures that repeat the one before them, from which on a camera counts as frozen


class CameraHealth:
    """Statistics of one camera's latest pictures.

    Attributes:
        name: Camera in the task.
        received: Pictures so far.
        bad: Of these, the ones that could not be used.
        problem: What is wrong with the newest picture that was looked at; empty if it could be used.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.received = 0
        self.bad = 0
        self.problem = ""
        self._stamps: deque[float] = deque(maxlen=WINDOW)
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._same = 0  # pictures in a row that are the same as the one before them
        self._same_since = self._same_until = math.nan  # stamps of the first and the last one of that content

    def arrived(self, stamp: float, latency: float = math.nan) -> None:
        """Note a picture taken at ``stamp`` [s] that needed ``latency`` [s] to get here (NaN: unknown)."""
        self.received += 1
        if self._stamps and stamp < self._stamps[-1]:  # a clock was set, or a bag is played again
            self.clock_was_set()
        self._stamps.append(stamp)
        if math.isfinite(latency):
            self._latencies.append(latency)

    def clock_was_set(self) -> None:
        """Stamps from before cannot be compared with those to come."""
        self._stamps.clear()
        self._latencies.clear()
        self._same = 0
        self._same_since = self._same_until = math.nan

    def compared(self, stamp: float, same: bool) -> None:
        """Note whether the picture taken at ``stamp`` [s] is bit for bit the one before it."""
        if not same or not stamp >= self._same_since:
            self._same, self._same_since = 0, stamp
        else:
            self._same += stamp > self._same_until
        self._same_until = stamp

    def frozen(self) -> str:
        """Whether a real camera's driver repeats one picture, with the remedy; empty if not. A simulator's may do that."""
        still = self._same_until - self._same_since
        if self._same < _FEWEST or not still >= FROZEN:
            return ""
        return (
            f"the picture has not changed by a bit for {still:.0f} s, though its stamps are new: its driver repeats an "
            "old one, or the lens is covered; start the driver again, and look at the picture (hil-serl camera-check)"
        )

    def accepted(self) -> None:
        """Note that the newest picture could be used."""
        self.problem = ""

    def refused(self, problem: str) -> None:
        """Note that the newest picture could not be used, and why."""
        self.bad += 1
        self.problem = problem

    @property
    def rate(self) -> float:
        """Pictures per second by their stamps; NaN before the second one."""
        if len(self._stamps) < 2 or self._stamps[-1] == self._stamps[0]:
            return math.nan
        return (len(self._stamps) - 1) / (self._stamps[-1] - self._stamps[0])

    @property
    def longest_gap(self) -> float:
        """Longest time between two pictures [s]; NaN before the second one."""
        return float(np.diff(self._stamps).max()) if len(self._stamps) > 1 else math.nan

    @property
    def latency(self) -> float:
        """Median time from a picture's stamp to its arrival [s]; NaN where it is unknown."""
        return float(np.median(self._latencies)) if self._latencies else math.nan

    def age(self, now: float) -> float:
        """Age of the newest picture at ``now`` [s]; infinite before the first one."""
        return now - self._stamps[-1] if self._stamps else math.inf

    def problems(self, now: float, needed_rate: float, timeout: float) -> list[str]:
        """What a person should cure, most important first; empty if all is well.

        Args:
            now: Time [s], by the clock of the stamps.
            needed_rate: Pictures per second that the control loop uses.
            timeout: Age [s] from which on a picture is no observation any more (``observation_timeout``).
        """
        if not self.received:
            return ["no picture yet; is its driver running, and on this topic?"]
        found = [self.problem] if self.problem else []
        age = self.age(now)
        if age > timeout:
            found.append(
                f"newest picture is {age:.2f} s old, limit {timeout:g} s; see the driver's log and its cable"
            )
        elif age < -timeout:
            found.append(
                f"pictures are stamped {-age:.2f} s in the future; synchronise the clocks of the machines"
            )
        elif self.latency > timeout / 2:
            found.append(
                f"pictures arrive {self.latency:.2f} s after their stamp, with a limit of {timeout:g} s; take a smaller "
                "picture, a compressed topic or a faster network"
            )
        if self.rate < 0.9 * needed_rate:
            found.append(
                f"{self.rate:.1f} pictures/s, the control loop uses {needed_rate:g}; raise the driver's frame rate, or use "
                "the compressed topic if the network is the limit"
            )
        return found
