# SPDX-License-Identifier: Apache-2.0
"""When the cell moves on and shows its state: in lockstep with its clients, or by the wall clock. No ROS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hil_serl_core.action import ArmCommand

_NS_PER_TICK = 1_000_000


class PacedCell(Protocol):
    """What pacing needs of a cell."""

    period_ticks: int

    @property
    def ticks(self) -> int:
        """Ticks of 1 ms so far."""

    def advance(self, commands: None, ticks: int | None = None) -> None:
        """Run some ticks of 1 ms."""

    def command(self, command: ArmCommand, stamp: float, frame: str | None = None, arm: str = "") -> None:
        """Hand a command to one arm."""

    def reset(self, seed: int | None = None, arm_only: bool = False, goal: str | None = None) -> None:
        """New initial state."""


@dataclass(frozen=True)
class Due:
    """What to publish now."""

    arm: bool = False
    scene: bool = False  # cameras and truth

    def __bool__(self) -> bool:
        return self.arm or self.scene


NOTHING = Due()
EVERYTHING = Due(arm=True, scene=True)


class Lockstep:
    """One control period runs when the targets stamped like the present state have arrived, one an arm.

    In tasks with grippers it also takes one gripper command an arm, which carry no stamp: those that arrived
    since the last period.

    Args:
        cell: the cell.
        arms: names of its arms.
        grippers: whether they are commanded.
        patience: wall time until an unanswered state is shown again [s]; best-effort topics may lose one.
    """

    def __init__(
        self, cell: PacedCell, arms: Sequence[str] = ("",), grippers: bool = False, patience: float = 0.5
    ):
        self._cell, self._patience = cell, patience
        self._arms, self._grippers = tuple(arms), grippers
        self._targets: dict[str, tuple[ArmCommand, str]] = {}
        self._openings: dict[str, float] = {}
        self._shown = -math.inf

    @property
    def stamp_ns(self) -> int:
        """Stamp of the present state."""
        return self._cell.ticks * _NS_PER_TICK

    def target(self, arm: str, command: ArmCommand, stamp_ns: int, frame: str) -> Due:
        """A target has arrived; one for another tick is not for us (an answer to a repeated state)."""
        if stamp_ns != self.stamp_ns:
            return NOTHING
        self._targets[arm] = (command, frame)
        return self._advance_if_complete()

    def gripper(self, arm: str, opening: float) -> Due:
        """A gripper command has arrived."""
        self._openings[arm] = opening
        return self._advance_if_complete()

    def _advance_if_complete(self) -> Due:
        waiting = [arm for arm in self._arms if arm not in self._targets]
        waiting += [arm for arm in self._arms if self._grippers and arm not in self._openings]
        if waiting:
            return NOTHING
        stamp = self.stamp_ns * 1e-9
        for arm in self._arms:
            command, frame = self._targets[arm]
            self._cell.command(command, stamp, frame, arm)
            if self._grippers:
                self._cell.command(ArmCommand(gripper=self._openings[arm]), stamp, arm=arm)
        self._forget()
        self._cell.advance(None)
        return EVERYTHING

    def _forget(self) -> None:
        self._targets.clear()
        self._openings.clear()

    def reset(self, seed: int | None, arm_only: bool = False, goal: str | None = None) -> Due:
        """New initial state, under a later stamp; raises ValueError if the cell does not know the goal."""
        self._forget()
        self._cell.reset(seed, arm_only, goal)
        return EVERYTHING

    def poll(self, wall: float) -> Due:
        """Whether to show the present state again.

        Args:
            wall: any steady clock [s].
        """
        if wall - self._shown < self._patience:
            return NOTHING
        return EVERYTHING

    def shown(self, wall: float) -> None:
        """The state has just been published."""
        self._shown = wall


class RealTime:
    """Runs with the wall clock, ``factor`` times as fast. Nothing waits.

    Args:
        cell: the cell.
        factor: simulated over wall time.
        arm_ticks: ticks between arm states.
        scene_ticks: ticks between pictures, a multiple of ``arm_ticks``.
    """

    MAX_LAG = 0.2  # [s] wall; a machine that cannot keep up slows down simulated time instead of jumping

    def __init__(self, cell: PacedCell, factor: float, arm_ticks: int = 10, scene_ticks: int = 50):
        if not (math.isfinite(factor) and factor > 0.0):
            raise ValueError(f"speed must be 'lockstep' or a positive factor, got {factor}")
        self._cell, self._factor = cell, factor
        self._arm_ticks, self._scene_ticks = arm_ticks, scene_ticks
        self._anchor: tuple[float, int] | None = None  # wall [s], ticks

    @property
    def stamp_ns(self) -> int:
        """Stamp of the present state."""
        return self._cell.ticks * _NS_PER_TICK

    def target(self, arm: str, command: ArmCommand, stamp_ns: int, frame: str) -> Due:
        """The law takes the target at once and judges its age itself."""
        self._cell.command(command, stamp_ns * 1e-9, frame, arm)
        return NOTHING

    def gripper(self, arm: str, opening: float) -> Due:
        """The gripper obeys at once."""
        self._cell.command(ArmCommand(gripper=opening), self.stamp_ns * 1e-9, arm=arm)
        return NOTHING

    def reset(self, seed: int | None, arm_only: bool = False, goal: str | None = None) -> Due:
        """New initial state, under a later stamp; raises ValueError if the cell does not know the goal."""
        self._cell.reset(seed, arm_only, goal)
        self._anchor = None
        return EVERYTHING

    def poll(self, wall: float) -> Due:
        """Run at most one slice of physics, if it is due. Call again at once while it returns something."""
        if self._anchor is None:
            self._anchor = (wall, self._cell.ticks)
        since, ticks = self._anchor
        due = (wall - since) * self._factor * 1000.0 - (self._cell.ticks - ticks)
        if due < self._arm_ticks:
            return NOTHING
        if due > self.MAX_LAG * self._factor * 1000.0 + self._arm_ticks:
            self._anchor = (wall, self._cell.ticks + self._arm_ticks)
        self._cell.advance(None, self._arm_ticks)
        return Due(arm=True, scene=self._cell.ticks % self._scene_ticks == 0)

    def shown(self, wall: float) -> None:
        """The state has just been published."""


def make_pacing(
    cell: PacedCell, speed: str, arms: Sequence[str] = ("",), grippers: bool = False
) -> Lockstep | RealTime:
    """Pacing by name: 'lockstep' or a factor of real time; arms and grippers as in :class:`Lockstep`.

    Raises:
        ValueError: neither of the two.
    """
    if speed == "lockstep":
        return Lockstep(cell, arms, grippers)
    try:
        factor = float(speed)
    except ValueError:
        raise ValueError(f"speed must be 'lockstep' or a factor of real time, got '{speed}'") from None
    return RealTime(cell, factor)
