# SPDX-License-Identifier: Apache-2.0
"""Speed-limited way in joint space, as points of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil_serl_robot.cell.reset_motion import TimeScaling

_STEP = 0.05  # s between two points


@dataclass(frozen=True)
class JointPoint:
    """Where the joints are at a time of the trajectory.

    Attributes:
        time: After the start [s].
        position: (n,) [rad].
        velocity: (n,) [rad/s].
    """

    time: float
    position: np.ndarray
    velocity: np.ndarray


def joint_path(start: np.ndarray, goal: np.ndarray, speed: float, acceleration: float) -> list[JointPoint]:
    """Straight way in joint space, at rest at both ends; the joint with the longest way sets the time.

    Args:
        start: (n,) measured [rad].
        goal: (n,) [rad].
        speed: Largest of any joint [rad/s].
        acceleration: Largest of any joint [rad/s^2].

    Returns:
        Points after the start, the last one at ``goal``; a single one where there is no way to go.

    Raises:
        ValueError: Different or no numbers of joints, or not finite.
    """
    start, goal = np.asarray(start, dtype=np.float64), np.asarray(goal, dtype=np.float64)
    if start.shape != goal.shape or start.ndim != 1 or not np.isfinite([start, goal]).all():
        raise ValueError(f"a joint reset from {start.tolist()} to {goal.tolist()} is not possible")
    way = goal - start
    longest = float(np.max(np.abs(way), initial=0.0))
    if longest < 1e-4:
        return [JointPoint(_STEP, goal, np.zeros_like(goal))]
    scaling = TimeScaling(speed / longest, acceleration / longest)
    times = np.append(np.arange(_STEP, scaling.duration - 0.5 * _STEP, _STEP), scaling.duration)
    points = [JointPoint(float(t), start + scaling.at(t) * way, scaling.speed_at(t) * way) for t in times]
    points[-1] = JointPoint(float(times[-1]), goal, np.zeros_like(goal))
    return points
