# SPDX-License-Identifier: Apache-2.0
"""What grippers were told, and whether one was opened by something else than a command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.action import GripperSpec

WIDE = 0.9
"""Share of the stroke from which a hand counts as open."""

SLIGHT = 0.02
"""Share of the stroke below which a change is no movement of the fingers."""

_LONGEST = 0.5  # s that one look counts at most: the clock may be set, and between two looks the loop may have paused


class ClosedHand:
    """Notices that a hand which was told to close was opened by something else: a person, or another program.

    A hand is slow to obey. It waits before it starts (a Franka hand for up to a second), its stroke takes time, a goal
    that is under way may have to end first, and a part may be nearly as wide as the hand opens. That it is wide after a
    command therefore says nothing, until it was seen to leave its open position or its goals have ended at the latest
    (``travel_time``). From then on it was opened if it has gone back to where it was before it closed, or, where it never
    moved, if it is as wide as it was seen to open.
    """

    def __init__(self, spec: GripperSpec) -> None:
        stroke = spec.open_position - spec.close_position
        self._travel, self._lasting = spec.travel_time, spec.reopened_time
        self._wide, self._slight = spec.close_position + WIDE * stroke, SLIGHT * stroke
        self._full = spec.open_position
        self._now, self._due = (
            0.0,
            0.0,
        )  # s of looking at the hand; the second: when its goals have ended at the latest
        self._stamp, self._opening = math.nan, -math.inf  # of the last look
        self._widest_seen = -math.inf
        self.begin(closed=False)

    def begin(self, *, closed: bool) -> None:
        """The cell has brought the hand to where episodes begin, and it may still be closing."""
        self._due, self._opening = self._now, -math.inf
        self.told()
        if not closed:
            self._due = self._now

    def told(self) -> None:
        """The hand was told to close, or to open; the goal that is under way may have to end first."""
        self._due = min(max(self._due, self._now), self._now + self._travel) + self._travel
        self._top = self._low = self._opening
        self._left_open = False
        self._open_since = math.nan

    def look(self, stamp: float, opening: float, closed: bool) -> bool:
        """Take a measured state.

        Args:
            stamp: Its time [s].
            opening: Measured, 0 closed to 1 open; NaN says nothing.
            closed: The hand was told to close last.

        Returns:
            It was told to close and something else has opened it.
        """
        self._now += min(max(stamp - self._stamp, 0.0), _LONGEST) if math.isfinite(self._stamp) else 0.0
        self._stamp = stamp
        if not math.isfinite(opening):
            return False
        self._opening = opening
        if not closed:
            self._widest_seen = max(self._widest_seen, opening)
            return False
        self._follow(opening)
        if not self._is_open_again(opening):
            self._open_since = math.nan
            return False
        if math.isnan(self._open_since):
            self._open_since = self._now
        return self._now - self._open_since >= self._lasting - 1e-6

    def _follow(self, opening: float) -> None:
        """Note how wide the hand was before it began to close, and how far it has closed."""
        settled = self._left_open or self._now >= self._due
        if opening > self._top and (not settled or self._top == -math.inf):
            self._top = self._low = opening  # an older command to open may still be under way
        self._low = min(self._low, opening)
        self._left_open |= self._top >= self._wide and opening < self._wide - self._slight

    def _is_open_again(self, opening: float) -> bool:
        if not self._left_open and self._now < self._due:
            return False
        if self._top < self._wide or self._top - self._low >= self._slight:
            return opening >= max(self._wide, 0.5 * (self._top + self._low))
        seen = self._full if self._widest_seen == -math.inf else min(self._widest_seen, self._full)
        return opening >= max(self._wide, seen - self._slight)


class GripperStates:
    """What the grippers were last told: open or closed; a command that changes it is a toggle."""

    def __init__(self, spec: TaskSpec) -> None:
        self._gripper: GripperSpec | None = spec.action.gripper
        self._arms = spec.arm_names[: spec.grippers]
        self._open = [False] * spec.grippers
        self._hands = [ClosedHand(self._gripper) for _ in self._arms] if self._gripper is not None else []
        self.reset()

    def reset(self) -> None:
        """The cell was reset: the task's initial state."""
        if self._gripper is not None:
            self._open = [self._gripper.initial == "open"] * len(self._open)
            for hand in self._hands:
                hand.begin(closed=self._gripper.initial == "closed")

    def observe(self, arms: Mapping[str, ArmSample]) -> list[str]:
        """Once per tick: notices a gripper that was forced open, so that closing it again is a decision.

        Returns:
            Names of the arms whose gripper counts as open from now on though it was told to close.
        """
        noticed = []
        for k, (arm, hand) in enumerate(zip(self._arms, self._hands, strict=True)):
            if hand.look(arms[arm].stamp, arms[arm].gripper, not self._open[k]):
                self._open[k] = True
                hand.told()
                noticed.append(arm)
        return noticed

    def toggles(self, commands: np.ndarray) -> int:
        """How many grippers commands (G,) would open or close."""
        return sum(self._changes(commands))

    def command(self, commands: np.ndarray) -> list[float]:
        """Take commands (G,); returns the opening each gripper holds from now on. Repeating it changes nothing."""
        for k, changed in enumerate(self._changes(commands)):
            if changed:
                self._open[k] = not self._open[k]
                self._hands[k].told()
        return self.openings

    def _changes(self, commands: Sequence[float] | np.ndarray) -> list[bool]:
        """Whether each gripper is told something else than last time."""
        return [
            bool((command > 0.5 and not is_open) or (command < -0.5 and is_open))
            for command, is_open in zip(commands, self._open, strict=True)
        ]

    @property
    def openings(self) -> list[float]:
        """Opening each gripper is told to hold; empty without gripper control."""
        if self._gripper is None:
            return []
        return [self._gripper.open_position if o else self._gripper.close_position for o in self._open]
