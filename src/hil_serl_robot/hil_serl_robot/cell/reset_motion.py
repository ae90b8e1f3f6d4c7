# SPDX-License-Identifier: Apache-2.0
"""Speed-limited straight motion of the arms' targets, from where the arms are measured to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry


@dataclass(frozen=True)
class MotionLimits:
    """How targets may move.

    Attributes:
        linear_speed: Of the target [m/s].
        angular_speed: [rad/s].
        linear_acceleration: [m/s^2].
        angular_acceleration: [rad/s^2].
        leash: The motion waits for an arm whose measured position is further behind its target than this [m].
        angular_leash: The same for its orientation [rad].
    """

    linear_speed: float = 0.1
    angular_speed: float = 0.5
    linear_acceleration: float = 0.3
    angular_acceleration: float = 1.5
    leash: float = 0.05
    angular_leash: float = 0.3


def distances(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Distance [m] and angle [rad] between two (7,) poses."""
    turn = geometry.rotation_of(one).inv() * geometry.rotation_of(other)
    return float(np.linalg.norm(one[:3] - other[:3])), float(turn.magnitude())


class TimeScaling:
    """Path parameter s(t) from 0 to 1, at rest at both ends: trapezoid of speed, or a triangle on a short way."""

    def __init__(self, speed: float, acceleration: float) -> None:
        """Limits of ds/dt [1/s] and d2s/dt2 [1/s^2]; infinite where there is no way to go."""
        self.duration = 0.0
        if not math.isfinite(speed):
            return
        self._acceleration = acceleration
        self._speed = min(speed, math.sqrt(acceleration))
        self._ramp = self._speed / acceleration
        self.duration = 1.0 / self._speed + self._ramp

    def at(self, time: float) -> float:
        """s at ``time`` [s] after the start; 1 from the duration on."""
        if time >= self.duration:
            return 1.0
        left = self.duration - time
        if time < self._ramp:
            return 0.5 * self._acceleration * max(time, 0.0) ** 2
        if left < self._ramp:
            return 1.0 - 0.5 * self._acceleration * left**2
        return self._speed * (time - 0.5 * self._ramp)

    def speed_at(self, time: float) -> float:
        """ds/dt [1/s] at ``time`` [s]."""
        left = self.duration - time
        if time <= 0.0 or left <= 0.0:
            return 0.0
        return min(self._speed, self._acceleration * time, self._acceleration * left)


class StraightLine:
    """A straight way of one arm with the shortest turn.

    Attributes:
        speed: Largest ds/dt of its path parameter within the limits [1/s]; infinite where there is no way to go.
        acceleration: Largest d2s/dt2 [1/s^2].
    """

    def __init__(self, start: np.ndarray, goal: np.ndarray, limits: MotionLimits) -> None:
        """(7,) poses [m, xyzw], base frame."""
        self._start, self._way = start, goal[:3] - start[:3]
        self._turn = (geometry.rotation_of(start).inv() * geometry.rotation_of(goal)).as_rotvec()
        length, angle = float(np.linalg.norm(self._way)), float(np.linalg.norm(self._turn))
        self.speed = min(_over(limits.linear_speed, length), _over(limits.angular_speed, angle))
        self.acceleration = min(
            _over(limits.linear_acceleration, length), _over(limits.angular_acceleration, angle)
        )

    def at(self, share: float) -> np.ndarray:
        """(7,) pose at a share of the way, 0 to 1."""
        turn = geometry.rotation_of(self._start) * Rotation.from_rotvec(share * self._turn)
        return geometry.make_pose(self._start[:3] + share * self._way, turn)


class Leg:
    """Straight ways of all arms in the same time: the slowest sets it."""

    def __init__(
        self, starts: Mapping[str, np.ndarray], goals: Mapping[str, np.ndarray], limits: MotionLimits
    ) -> None:
        """Arm name to (7,) poses."""
        self._lines = {arm: StraightLine(starts[arm], goals[arm], limits) for arm in starts}
        self._scaling = TimeScaling(
            min(line.speed for line in self._lines.values()),
            min(line.acceleration for line in self._lines.values()),
        )

    @property
    def duration(self) -> float:
        """Time it takes [s]."""
        return self._scaling.duration

    def at(self, time: float) -> dict[str, np.ndarray]:
        """Arm name to its (7,) pose at ``time`` [s]."""
        share = self._scaling.at(time)
        return {arm: line.at(share) for arm, line in self._lines.items()}


def _over(limit: float, length: float) -> float:
    return limit / length if length > 1e-9 else math.inf


class ResetMotion:
    """Targets of all arms together: straight up first where asked, then straight to the goal.

    The first target is the measured pose, whatever the goal: nothing jumps. Arms start and end each leg together, the
    slowest one sets its time. While an arm hangs behind its target by more than the leash, the motion stands still, so
    that a blocked arm is not pressed on and a slow one is not outrun.
    """

    def __init__(
        self,
        measured: Mapping[str, np.ndarray],
        goals: Mapping[str, np.ndarray],
        limits: MotionLimits,
        ceilings: Mapping[str, float] | None = None,
        lift: float = 0.0,
    ) -> None:
        """Plan.

        Args:
            measured: Arm name to its measured (7,) tcp pose, base frame [m, xyzw].
            goals: Arm name to where it is to go.
            limits: Of the targets' speed and acceleration.
            ceilings: Arm name to the height the lift does not exceed, z of its base frame [m]; an arm that is above
                stays at its height. None: no ceiling.
            lift: Height by which each arm rises first [m].
        """
        self._limits = limits
        self._goals = dict(goals)
        raised = {}
        for arm, pose in measured.items():
            top = math.inf if ceilings is None else ceilings[arm]
            raised[arm] = pose.copy()
            raised[arm][2] = max(pose[2], min(pose[2] + lift, top))
        self._legs = [Leg(measured, raised, limits), Leg(raised, goals, limits)]
        self._leg, self._time = 0, 0.0
        self.targets: dict[str, np.ndarray] = {arm: pose.copy() for arm, pose in measured.items()}

    @property
    def duration(self) -> float:
        """Time the targets need if every arm follows [s]."""
        return sum(leg.duration for leg in self._legs)

    @property
    def finished(self) -> bool:
        """The targets have reached the goals; the arms may not."""
        return self._leg == len(self._legs) - 1 and self._time >= self._legs[-1].duration

    def advance(self, seconds: float, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Move the targets on by ``seconds``, unless an arm hangs behind.

        Args:
            seconds: Time since the last call [s]; the caller bounds it.
            measured: Arm name to its measured (7,) tcp pose.

        Returns:
            Arm name to its (7,) target.
        """
        if not self.waits_for(measured):
            self._time += seconds
            if self._time >= self._legs[self._leg].duration and self._leg < len(self._legs) - 1:
                self._leg, self._time = self._leg + 1, 0.0
            self.targets = self._legs[self._leg].at(self._time)
        return self.targets

    def waits_for(self, measured: Mapping[str, np.ndarray]) -> list[str]:
        """Arms that hang behind their targets by more than the leash."""
        behind = []
        for arm, target in self.targets.items():
            length, angle = distances(target, measured[arm])
            if length > self._limits.leash or angle > self._limits.angular_leash:
                behind.append(arm)
        return behind

    def remaining(self, measured: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
        """Arm name to distance [m] and angle [rad] between where it is measured and its goal."""
        return {arm: distances(measured[arm], goal) for arm, goal in self._goals.items()}
