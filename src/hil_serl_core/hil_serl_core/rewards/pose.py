# SPDX-License-Identifier: Apache-2.0
"""Success by the measured tcp pose, speed and gripper opening: alone, or as a check beside the classifier."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.episode import Outcome
from hil_serl_core.observation import Observation
from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.rewards import PoseRewardSpec
from hil_serl_core.step import Step

_UNKNOWN = np.full(6, np.nan)


class PoseTest:
    """Whether an arm meets every condition of a ``pose`` section."""

    def __init__(self, spec: PoseRewardSpec) -> None:
        self._spec = spec
        self._goal = None if spec.rotation is None else Rotation.from_rotvec(spec.rotation)

    def holds(self, observation: Observation) -> bool:
        """True if the named arm meets all conditions.

        Raises:
            KeyError: The observation has no such arm.
        """
        arm = observation.arms[self._spec.arm]
        return self.met_by(arm.tcp_pose, arm.gripper, arm.tcp_twist)

    def held(self, step: Step, task: TaskSpec) -> bool:
        """True if the named arm met all conditions when a record of the task was made."""
        name = self._spec.arm
        prefix = f"{name}/" if name else ""
        gripper, twist = (step.state.get(prefix + part, _UNKNOWN) for part in ("gripper", "tcp_twist"))
        return self.met_by(step.tcp_poses[task.arm_names.index(name)], float(gripper[0]), twist)

    def met_by(self, tcp_pose: np.ndarray, gripper: float, tcp_twist: np.ndarray) -> bool:
        """True if an arm meets all conditions.

        Args:
            tcp_pose: (7,) in the base frame.
            gripper: Opening; NaN meets no condition on it.
            tcp_twist: (6,) in the axes of any frame [m/s, rad/s]; NaN meets no condition on it.
        """
        placed = self._position(tcp_pose[:3]) and self._rotation(tcp_pose)
        return placed and self._gripper(gripper) and self._slow(tcp_twist[:3])

    def _position(self, position: np.ndarray) -> bool:
        spec = self._spec
        if spec.position is not None:
            off = np.abs(position - np.asarray(spec.position))
            if np.any(off > np.asarray(spec.position_tolerance)):
                return False
        above = spec.minimum_height is None or position[2] >= spec.minimum_height
        return bool(above and (spec.maximum_height is None or position[2] <= spec.maximum_height))

    def _rotation(self, tcp_pose: np.ndarray) -> bool:
        if self._goal is None:
            return True
        turn, spec = self._goal.inv() * geometry.rotation_of(tcp_pose), self._spec
        tilt = np.arccos(np.clip(turn.as_matrix()[2, 2], -1.0, 1.0))
        upright = spec.tilt_tolerance is None or tilt <= spec.tilt_tolerance
        return bool(
            upright and (spec.rotation_tolerance is None or turn.magnitude() <= spec.rotation_tolerance)
        )

    def _gripper(self, opening: float) -> bool:
        if self._spec.gripper is None:
            return True
        low, high = self._spec.gripper
        return bool(low <= opening <= high)

    def _slow(self, velocity: np.ndarray) -> bool:
        limit = self._spec.maximum_speed
        return limit is None or bool(np.linalg.norm(velocity) <= limit)


class PoseReward:
    """Reward kind ``pose``: success while the pose test holds (as SERL's PCB insertion)."""

    def __init__(self, spec: PoseRewardSpec) -> None:
        self._test = PoseTest(spec)

    def begin_episode(self) -> None:
        """Nothing is remembered."""

    def judge(self, observation: Observation) -> Outcome:
        """Success if all conditions hold now."""
        return Outcome(success=self._test.holds(observation))
