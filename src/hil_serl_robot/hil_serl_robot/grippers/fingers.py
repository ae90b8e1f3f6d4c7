# SPDX-License-Identifier: Apache-2.0
"""Measured fingers: which of a driver's joints shows the opening, and whether what it says can be. No ROS."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hil_serl_robot.grippers.adapters import Hand

_BEYOND = 0.5  # openings beyond open or closed that no hand reaches: it is another joint, or another unit
_STROKE = 0.2  # openings; a goal that is further away has to show in the measured fingers
_PATIENCE = 1.0  # s after the end of a goal until its motion has to show


class Fingers:
    """Takes a driver's joint states and gives the opening.

    Attributes:
        trouble: Why there is no opening, with the remedy; empty if nothing is wrong.
    """

    def __init__(self, hand: Hand, topic: str) -> None:
        """``topic``: where the joint states come from, for people."""
        self._hand, self._topic = hand, topic
        self._names: dict[str, None] = {}
        self._position = self._opening = math.nan
        self._changed = self._heard = -math.inf
        self.trouble = ""

    def measure(self, names: Sequence[str], positions: Sequence[float], now: float) -> float | None:
        """Opening from a message, 0 closed to 1 open; None where it shows none.

        Args:
            names: Joints of the message; drivers of a single joint may leave them out.
            positions: Their positions [m or rad].
            now: Time of arrival on any steady clock [s].
        """
        position = self._position_in(names, positions)
        if position is None or not math.isfinite(position):
            return None
        share = self._hand.share(position)
        if not -_BEYOND <= share <= 1.0 + _BEYOND:
            self.trouble = (
                f"{self._topic}: {self._joint} stands at {position:.4g}, far outside joint_closed "
                f"{self._hand.joint_closed:g} to joint_open {self._hand.joint_open:g}: set the gripper node's "
                "parameter 'joint' to the finger's, and joint_open and joint_closed to what it shows when open and closed"
            )
            return None
        self.trouble = ""
        if position != self._position:
            self._position, self._changed = position, now
        self._heard = now
        self._opening = self._hand.opening(position)
        return self._opening

    @property
    def opening(self) -> float:
        """The last one measured; NaN before the first."""
        return self._opening

    def silence(self, now: float, limit: float) -> str:
        """What is wrong where no opening was measured for ``limit`` [s]; empty for nothing."""
        if self.trouble or now - self._heard <= limit:
            return self.trouble
        return (
            f"{self._topic} shows no position of {self._joint}; is the gripper's driver running, is 'joint' its joint's "
            "name?"
        )

    def frozen(self, before: float, opening: float, sent: float, ended: float, now: float) -> str:
        """Whether the fingers did not show a goal that ended well; empty if they did, or need not.

        Args:
            before: Opening when the goal was sent.
            opening: Opening that was asked for.
            sent: When it was sent [s].
            ended: When the hand said that it was done [s].
            now: Time [s].
        """
        still = self._changed < sent and min(self._heard, now) > ended + _PATIENCE
        if not still or not abs(opening - before) > _STROKE:  # NaN: nothing was measured before
            return ""
        return (
            f"{self._topic}: the hand says that it went from {before:.2f} to {opening:.2f}, but {self._joint} has not "
            "changed by a single bit: does its driver repeat an old state, or are the fingers blocked?"
        )

    @property
    def _joint(self) -> str:
        return f"joint '{self._hand.joint}'" if self._hand.joint else "a joint"

    def _position_in(self, names: Sequence[str], positions: Sequence[float]) -> float | None:
        if self._hand.joint:  # a message without it is of other joints on the same topic
            index = names.index(self._hand.joint) if self._hand.joint in names else len(positions)
            return positions[index] if index < len(positions) else None
        self._names |= dict.fromkeys(names)
        known = max(len(self._names), len(positions))
        if known > 1:
            listed = ", ".join(self._names) or f"{known} without names"
            self.trouble = (
                f"{self._topic} carries {known} joints ({listed}), and nothing says which one is the finger: set the "
                "gripper node's parameter 'joint' to its name (robot file: gripper.parameters.joint)"
            )
            return None
        return positions[0] if len(positions) else None
