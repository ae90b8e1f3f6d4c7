# SPDX-License-Identifier: Apache-2.0
"""Waiting until grippers that were sent to the start of an episode are there."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable

from hil_serl_core.grippers import SLIGHT, WIDE
from hil_serl_core.spec.action import GripperSpec

_REST = 0.3  # s without movement
_LOOK = 0.05  # s between two looks


class HandsAtStart:
    """The fingers rest, and are open where they are to be; a hand that closes may rest at a part."""

    def __init__(self, gripper: GripperSpec) -> None:
        stroke = gripper.open_position - gripper.close_position
        self._open = gripper.initial == "open"
        self._wide, self._slight = gripper.close_position + WIDE * stroke, SLIGHT * stroke
        self._last: list[float] = []
        self._since = -math.inf

    def there(self, now: float, openings: Iterable[float]) -> bool:
        """Whether all hands are at the start.

        Args:
            now: Time of a steady clock [s].
            openings: Measured, 0 closed to 1 open; NaN: not known, so that nothing can be waited for.
        """
        known = [opening for opening in openings if math.isfinite(opening)]
        moved = len(known) != len(self._last) or any(
            abs(one - other) > self._slight for one, other in zip(known, self._last, strict=False)
        )
        if moved:
            self._last, self._since = known, now
        rests = not known or now - self._since >= _REST
        return rests and (not self._open or all(opening >= self._wide for opening in known))


async def wait_for_hands(
    gripper: GripperSpec,
    least: float,
    openings: Callable[[], Iterable[float]],
    halt: Callable[[], str],
    sleep: Callable[[float], Awaitable[None]],
    now: Callable[[], float] = time.monotonic,
) -> str:
    """Wait for hands whose command is repeated meanwhile: an arm that moved before would drag along what they still hold.

    Args:
        gripper: Of the task; ``travel_time`` is the longest wait beyond ``least``.
        least: Shortest wait [s]: a hand that was told something else just before may not have begun it, and shows its
            old opening until it does.
        openings: Measured, of each hand.
        halt: Why nothing may move, empty when it may; ends the wait.
        sleep: Lets some time [s] pass.
        now: Steady clock [s].

    Returns:
        What is wrong, for people; empty if the hands are there.
    """
    hands, began = HandsAtStart(gripper), now()
    while not halt():
        there, passed = hands.there(now(), openings()), now() - began
        if there and passed >= least:
            return ""
        if passed >= least + gripper.travel_time:
            measured = ", ".join(f"{opening:.2f}" for opening in openings())
            return (
                f"the gripper does not rest {gripper.initial} {passed:.1f} s after its command (measured opening "
                f"{measured}); the arm moves all the same. See the gripper's line in /diagnostics, and "
                "action.gripper.travel_time of the task file"
            )
        await sleep(_LOOK)
    return ""
