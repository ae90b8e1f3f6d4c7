# SPDX-License-Identifier: Apache-2.0
"""The latched stop: anybody sets it, and only an explicit request takes it back."""

from __future__ import annotations

from hil_serl_ros.stop import REMEDY


class StopLatch:
    """Whether the robot is stopped, why, and what the loop goes back to.

    Attributes:
        paused: The loop is to be paused after the stop is cleared: it was paused before, or was told to meanwhile.
    """

    def __init__(self) -> None:
        self.paused = False
        self._cause: str | None = None

    @property
    def engaged(self) -> bool:
        """The robot is stopped."""
        return self._cause is not None

    @property
    def cause(self) -> str:
        """Who or what stopped it, of several stops the first; empty when it is not stopped."""
        return self._cause or ""

    @property
    def text(self) -> str:
        """State, cause and remedy in one line for people; empty when it is not stopped."""
        return f"stopped: {self._cause}; {REMEDY}" if self.engaged else ""

    def engage(self, cause: str, paused: bool) -> bool:
        """Latch; ``paused`` as the attribute. Returns False when it was latched already."""
        if self.engaged:
            return False
        self._cause, self.paused = cause, paused
        return True

    def release(self) -> None:
        """Take the stop back."""
        self._cause = None
