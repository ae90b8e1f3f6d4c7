# SPDX-License-Identifier: Apache-2.0
"""From a policy action to the controller's target pose: ego-centric twist, adjoint mapping, workspace box."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec.model import TaskSpec


class TwistMapper:
    """Maps a 6-D action in [-1, 1] (tcp frame) to a target pose in the base frame.

    The target is the *measured* pose displaced by the action, not the last target: a target that runs away in contact
    would press ever harder (42-50 N against 19-27 N in the RAM twin).
    """

    def __init__(self, spec: TaskSpec) -> None:
        action, workspace, reset = spec.action, spec.workspace, spec.reset
        self._scale = np.repeat([action.translation_scale, action.rotation_scale], 3)
        self._nominal = geometry.make_pose(
            np.array(reset.nominal_position), Rotation.from_rotvec(reset.nominal_rotation)
        )
        self._lower = self._nominal[:3] + workspace.lower
        self._upper = self._nominal[:3] + workspace.upper
        self._max_rotation = workspace.max_rotation

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner of the workspace, (3,) each, base frame [m]."""
        return self._lower, self._upper

    def target(self, action: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Target pose for one action.

        Args:
            action: (6,) in [-1, 1]; values outside are clipped.
            measured: (7,) measured tcp pose, base frame.

        Returns:
            (7,) target inside the workspace box, never further from ``measured`` than one full action reaches, even when
            ``measured`` lies outside the box: the arm comes back step by step instead of jumping.

        Raises:
            ValueError: ``action`` is not a finite (6,) vector.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (6,) or not np.isfinite(action).all():
            raise ValueError(f"a twist action needs 6 finite numbers, got {action.tolist()}")
        body_twist = np.clip(action, -1.0, 1.0) * self._scale
        # App. D.1: the body twist mapped to the base frame by the adjoint; exp(Ad V) T equals T exp(V).
        wanted = geometry.compose(geometry.exp(geometry.adjoint(measured) @ body_twist), measured)
        return self._inside(wanted, measured)

    def _inside(self, wanted: np.ndarray, measured: np.ndarray) -> np.ndarray:
        position = np.clip(wanted[:3], self._lower, self._upper)
        offset = position - measured[:3]
        reach = np.sqrt(3.0) * self._scale[0]
        distance = float(np.linalg.norm(offset))
        if distance > reach:
            position = measured[:3] + offset * (reach / distance)
        rotation = geometry.rotation_of(wanted)
        nominal = geometry.rotation_of(self._nominal)
        tilt = (nominal.inv() * rotation).as_rotvec()
        angle = float(np.linalg.norm(tilt))
        if angle > self._max_rotation:
            rotation = nominal * Rotation.from_rotvec(tilt * (self._max_rotation / angle))
            turn = (geometry.rotation_of(measured).inv() * rotation).as_rotvec()
            turn_reach = np.sqrt(3.0) * self._scale[3]
            turn_angle = float(np.linalg.norm(turn))
            if turn_angle > turn_reach:
                rotation = geometry.rotation_of(measured) * Rotation.from_rotvec(
                    turn * (turn_reach / turn_angle)
                )
        return geometry.make_pose(position, rotation)
