# SPDX-License-Identifier: Apache-2.0
"""Ground-truth expert: steers along a twin's guide with perfect knowledge. A standing check of every twin."""

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.twin import Guide, Truth

NO_BIAS = np.zeros(6)


class Expert:
    """Acts in the policy's action space.

    Args:
        spec: for the action scale.
        guide: how the task is done.
        gain: share of the way to the waypoint asked for in a step; above 1, since a step covers only part of
            it.
    """

    def __init__(self, spec: TaskSpec, guide: Guide, gain: float = 1.3):
        self._guide = guide
        self._gain = gain
        self._scale = np.repeat([spec.action.translation_scale, spec.action.rotation_scale], 3)

    def action(self, tcp_pose: np.ndarray, truth: Truth, bias: np.ndarray = NO_BIAS) -> np.ndarray:
        """Action towards the guide's waypoint, straight and turning in proportion.

        Args:
            tcp_pose: (7,) measured, base frame.
            truth: where the objects are.
            bias: (6,) error of perception, see Guide.waypoint.

        Returns:
            (6,) float32 in [-1, 1], tcp frame; translation and rotation are each scaled down as a whole.
        """
        waypoint = self._guide.waypoint(tcp_pose, truth.poses, bias)
        step = geometry.relative(tcp_pose, waypoint)
        wanted = (
            self._gain * np.concatenate([step[:3], Rotation.from_quat(step[3:]).as_rotvec()]) / self._scale
        )
        for part in (slice(0, 3), slice(3, 6)):
            wanted[part] /= max(1.0, float(np.max(np.abs(wanted[part]))))
        return wanted.astype(np.float32)
