# SPDX-License-Identifier: Apache-2.0
"""Ground-truth expert: follows a twin's guide with perfect knowledge. A standing check of every twin."""

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.twin import Guide, Intent, SceneView

NO_BIAS = np.zeros(6)


class Expert:
    """Acts in the policy's action space.

    Args:
        spec: for the arms and the action scale.
        guide: how the task is done.
        gain: share of the way to the waypoint asked for in a step; above 1, since a step covers only part of
            it.
    """

    def __init__(self, spec: TaskSpec, guide: Guide, gain: float = 1.3):
        self._guide, self._gain, self._spec = guide, gain, spec
        action = spec.action
        self._scale = np.repeat([action.translation_scale or 1.0, action.rotation_scale or 1.0], 3)

    def action(self, view: SceneView, bias: np.ndarray = NO_BIAS) -> np.ndarray:
        """Action towards the guide's intents.

        Args:
            view: the scene.
            bias: (6,) error of perception, see Guide.intents.

        Returns:
            (A,) float32, as the task lays out its actions: continuous components in [-1, 1] arm by arm, then one
            gripper command each. Of a twist, translation and rotation are each scaled down as a whole.
        """
        intents = self._guide.intents(view, bias)
        parts = [self._continuous(view, arm, intents.get(arm, Intent())) for arm in self._spec.arm_names]
        if self._spec.grippers:
            parts.append(np.array([intents.get(arm, Intent()).gripper for arm in self._spec.arm_names]))
        return np.concatenate(parts).astype(np.float32)

    def _continuous(self, view: SceneView, arm: str, intent: Intent) -> np.ndarray:
        size = self._spec.action.per_arm
        if intent.wrench is not None:
            return np.clip(intent.wrench, -1.0, 1.0)
        if intent.tcp_pose is None:
            return np.zeros(size)
        step = geometry.relative(view.tcp[arm], intent.tcp_pose)
        wanted = (
            self._gain * np.concatenate([step[:3], Rotation.from_quat(step[3:]).as_rotvec()]) / self._scale
        )
        for part in (slice(0, 3), slice(3, 6)):
            wanted[part] /= max(1.0, float(np.max(np.abs(wanted[part]))))
        return wanted
