# SPDX-License-Identifier: Apache-2.0
"""Where the arms of an episode begin: drawn around the nominal pose by the task file's ranges."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec


def sample_start_pose(spec: TaskSpec, rng: np.random.Generator, arm: str = "") -> np.ndarray:
    """(7,) tcp pose [m, xyzw], uniform around the arm's nominal one, in its base frame.

    Args:
        spec: The task; its ``reset.position_range`` [m] and ``reset.rotation_range`` [rad] are +/- about the axes of the
            base frame.
        rng: Where the numbers come from.
        arm: Which arm.
    """
    reset, nominal = spec.reset, spec.arm(arm)
    position = np.asarray(nominal.nominal_position) + rng.uniform(-1, 1, 3) * np.asarray(reset.position_range)
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * np.asarray(reset.rotation_range))
    return geometry.make_pose(position, turn * Rotation.from_rotvec(np.asarray(nominal.nominal_rotation)))


def sample_start_poses(spec: TaskSpec, seed: int) -> dict[str, np.ndarray]:
    """Arm name to its (7,) start pose; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return {arm: sample_start_pose(spec, rng, arm) for arm in spec.arm_names}
