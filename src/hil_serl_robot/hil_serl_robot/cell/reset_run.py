# SPDX-License-Identifier: Apache-2.0
"""One reset under supervision: the motion, and everything that ends it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil_serl_core.action import workspace_box
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec
from hil_serl_robot.cell.reset_motion import MotionLimits, ResetMotion

RECOVER = "look what caused it, make the cell safe, then: hil-serl recover"
_LONGEST_STEP = 0.1  # s; after a longer pause of this process the targets go on, they do not catch up


@dataclass(frozen=True)
class ResetLimits:
    """What a reset may take.

    Attributes:
        motion: Of the targets.
        position_tolerance: Distance of an arm from its goal at which it has arrived [m].
        rotation_tolerance: Angle at which it has [rad].
        settle: How long it has to stay within both [s].
        time_limit: Of the whole motion [s].
        stale: Age of an arm's state beyond which nobody knows where the arm is [s].
    """

    motion: MotionLimits
    position_tolerance: float = 0.01
    rotation_tolerance: float = 0.05
    settle: float = 0.2
    time_limit: float = 30.0
    stale: float = 0.25


@dataclass(frozen=True)
class Ended:
    """How a reset ended; ``reason`` is for people."""

    success: bool
    reason: str


def unusable(arms: Mapping[str, ArmSample | None], now: float, stale: float) -> str:
    """Why arms cannot be moved now; empty when they can.

    Args:
        arms: Arm name to its latest state, None if none was heard.
        now: Time [s].
        stale: Age beyond which a state does not count [s].
    """
    for name, arm in arms.items():
        topic = f"{name}/arm_state" if name else "arm_state"
        if arm is None:
            return f"nothing heard on {topic}; is the arm's controller active?"
        if now - arm.stamp > stale:
            return (
                f"{topic} is {now - arm.stamp:.2f} s old (limit {stale} s): the controller has ended or the arm's driver "
                f"has an error; {RECOVER}"
            )
        if arm.stamp - now > stale:
            return (
                f"{topic} is stamped {arm.stamp - now:.2f} s in the future (limit {stale} s), so that nobody would notice "
                "its silence; synchronise the clocks of the machines"
            )
        if arm.fault:
            return f"the {name + ' ' if name else ''}arm is in a fault ({arm.fault_text or arm.fault}); {RECOVER}"
    return ""


class ResetRun:
    """Moves the arms of a task to poses; ``step`` gives the targets of one moment until it says how it ended.

    It ends at once when the robot is stopped or paused or nobody is left who could stop it, when an arm's state is stale or
    shows a fault, when somebody else commands an arm, and when time is up.
    """

    def __init__(
        self,
        spec: TaskSpec,
        goals: Mapping[str, np.ndarray],
        arms: Mapping[str, ArmSample],
        limits: ResetLimits,
        now: float,
    ) -> None:
        """``goals``: arm name to (7,) pose, base frame; ``arms``: measured states now; ``now`` [s]."""
        self._limits = limits
        self._motion = ResetMotion(
            {name: arm.tcp_pose for name, arm in arms.items()},
            goals,
            limits.motion,
            {name: float(workspace_box(spec.arm(name))[1][2]) for name in goals},
            spec.reset.lift,
        )
        self._start = self._last = now
        self._inside_since = math.nan

    @property
    def duration(self) -> float:
        """Time the motion needs if every arm follows [s]."""
        return self._motion.duration

    def step(
        self,
        now: float,
        arms: Mapping[str, ArmSample | None],
        halt: str = "",
        intruder: str = "",
    ) -> dict[str, np.ndarray] | Ended:
        """What to command at ``now``.

        Args:
            now: Time [s].
            arms: Arm name to its latest state.
            halt: Why nothing may move, empty when it may.
            intruder: Topic on which somebody else commands an arm, empty for none.

        Returns:
            Arm name to its (7,) target, or how the reset ended.
        """
        if halt:
            return Ended(False, halt)
        if intruder:
            return Ended(
                False,
                f"another node publishes {intruder} during the reset; one actor and one cell_node may run, no other",
            )
        reason = unusable(arms, now, self._limits.stale)
        if reason:
            return Ended(False, reason)
        measured = {name: arm.tcp_pose for name, arm in arms.items() if arm is not None}
        if self._arrived(now, measured):
            return Ended(True, f"the arm{'s are' if len(measured) > 1 else ' is'} at the start")
        if now - self._start > self._limits.time_limit:
            return Ended(False, self._too_late(measured))
        seconds = min(max(now - self._last, 0.0), _LONGEST_STEP)
        self._last = now
        return self._motion.advance(seconds, measured)

    def _arrived(self, now: float, measured: Mapping[str, np.ndarray]) -> bool:
        """All targets and arms are at their goals, the latter for the settling time."""
        inside = self._motion.finished and all(
            length <= self._limits.position_tolerance and angle <= self._limits.rotation_tolerance
            for length, angle in self._motion.remaining(measured).values()
        )
        if not inside:
            self._inside_since = math.nan
            return False
        if math.isnan(self._inside_since):
            self._inside_since = now
        return now - self._inside_since >= self._limits.settle

    def _too_late(self, measured: Mapping[str, np.ndarray]) -> str:
        behind = self._motion.waits_for(measured)
        ways = [
            f"{name + ' arm: ' if name else ''}{1000 * length:.0f} mm and {math.degrees(angle):.1f} deg from its goal"
            for name, (length, angle) in self._motion.remaining(measured).items()
        ]
        cause = (
            "it does not follow its target: is something in its way?"
            if behind
            else "is the controller active, are its gains high enough, or do position_tolerance, rotation_tolerance or "
            "time_limit of cell_node need to be larger?"
        )
        return f"not there after {self._limits.time_limit:.0f} s ({'; '.join(ways)}); {cause}"
