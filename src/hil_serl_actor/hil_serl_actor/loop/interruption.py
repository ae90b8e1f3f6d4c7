# SPDX-License-Identifier: Apache-2.0
"""Pauses that end by themselves: an input was lost in an episode, and nothing moves until it is back for good."""

from __future__ import annotations

import math

STEADY = 1.0  # s that every input has to be there before the next episode; a loose cable comes and goes


class Interruption:
    """What was lost, and whether it has been back for long enough.

    The episode is over, because its next observation is missing: the last recorded step starts no transition, so that
    nothing is learnt across the gap, and every step before it counts. The next episode begins with a reset.
    """

    def __init__(self) -> None:
        self.cause = ""  # in words; empty when nothing is interrupted
        self._complete_since = math.inf

    def begin(self, cause: str) -> None:
        """Inputs were lost; ``cause`` names them."""
        self.cause = cause
        self._complete_since = math.inf

    def over(self, now: float, complete: bool) -> bool:
        """Whether the loop may go on.

        Args:
            now: Time [s].
            complete: Every input is there and fresh.

        Returns:
            True when nothing is interrupted, and once after an interruption when its inputs have been back for a while.
        """
        if not self.cause:
            return complete
        if not complete:
            self._complete_since = math.inf
            return False
        self._complete_since = min(self._complete_since, now)
        return now - self._complete_since >= STEADY

    def end(self) -> str:
        """Go on; returns what had been lost, empty if nothing was interrupted."""
        cause, self.cause = self.cause, ""
        return cause
