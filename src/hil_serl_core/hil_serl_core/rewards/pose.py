# SPDX-License-Identifier: Apache-2.0
"""Success by the measured tcp pose and gripper opening: alone, or as a check beside the classifier."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.episode import Outcome
from hil_serl_core.observation import ArmSample, Observation
from hil_serl_core.spec.rewards import PoseRewardSpec


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
        return self._position(arm) and self._rotation(arm) and self._gripper(arm)

    def _position(self, arm: ArmSample) -> bool:
        spec, position = self._spec, arm.tcp_pose[:3]
        if spec.position is not None:
            off = np.abs(position - np.asarray(spec.position))
            if np.any(off > np.asarray(spec.position_tolerance)):
                return False
        above = spec.minimum_height is None or position[2] >= spec.minimum_height
        return bool(above and (spec.maximum_height is None or position[2] <= spec.maximum_height))

    def _rotation(self, arm: ArmSample) -> bool:
        if self._goal is None or self._spec.rotation_tolerance is None:
            return True
        angle = (self._goal.inv() * geometry.rotation_of(arm.tcp_pose)).magnitude()
        return bool(angle <= self._spec.rotation_tolerance)

    def _gripper(self, arm: ArmSample) -> bool:
        if self._spec.gripper is None:
            return True
        low, high = self._spec.gripper
        return bool(low <= arm.gripper <= high)  # NaN, no gripper: does not hold


class PoseReward:
    """Reward kind ``pose``: success while the pose test holds (as SERL's PCB insertion)."""

    def __init__(self, spec: PoseRewardSpec) -> None:
        self._test = PoseTest(spec)

    def begin_episode(self) -> None:
        """Nothing is remembered."""

    def judge(self, observation: Observation) -> Outcome:
        """Success if all conditions hold now."""
        return Outcome(success=self._test.holds(observation))
