# SPDX-License-Identifier: Apache-2.0
"""SE(3) on (7,) float64 poses ``[x, y, z, qx, qy, qz, qw]`` (metres, unit quaternion xyzw).

``T_ab`` is the pose of frame b expressed in frame a. Twists are ``[v, w]`` (linear first).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

Pose = np.ndarray
"""(7,) float64: position [m] and unit quaternion xyzw."""


def make_pose(position: np.ndarray, rotation: Rotation) -> Pose:
    """(7,) pose from a (3,) position [m] and a scipy Rotation."""
    return np.concatenate([np.asarray(position, dtype=np.float64), rotation.as_quat()])


def rotation_of(pose: Pose) -> Rotation:
    """Rotation part of a (7,) pose."""
    return Rotation.from_quat(pose[3:])


def compose(t_ab: Pose, t_bc: Pose) -> Pose:
    """``T_ac = T_ab T_bc``."""
    r_ab = rotation_of(t_ab)
    return make_pose(t_ab[:3] + r_ab.apply(t_bc[:3]), r_ab * rotation_of(t_bc))


def inverse(t_ab: Pose) -> Pose:
    """``T_ba``."""
    r_ba = rotation_of(t_ab).inv()
    return make_pose(-r_ba.apply(t_ab[:3]), r_ba)


def relative(reference: Pose, pose: Pose) -> Pose:
    """``T_{b0 bt} = T_{b0}^{-1} T_{bt}``, App. D.1: ``pose`` as seen from ``reference``."""
    return compose(inverse(reference), pose)


def skew(vector: np.ndarray) -> np.ndarray:
    """(3, 3) matrix with ``skew(a) @ b == cross(a, b)``."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def adjoint(pose: Pose) -> np.ndarray:
    """(6, 6) adjoint of eq. (6), for twists ordered ``[v, w]``: ``V_s = Ad(T_sb) V_b``.

    The paper prints the blocks for twists ordered ``[w, v]``; applied to ``[v, w]`` as printed they would leak
    translation into rotation. Here the ``[p]x R`` block is where the linear-first order needs it, so that
    ``exp(Ad(T) V) T == T exp(V)``.
    """
    r = rotation_of(pose).as_matrix()
    result = np.zeros((6, 6))
    result[:3, :3] = r
    result[:3, 3:] = skew(pose[:3]) @ r
    result[3:, 3:] = r
    return result


def exp(twist: np.ndarray) -> Pose:
    """Pose reached from the identity by following the (6,) twist ``[v, w]`` for unit time (SE(3) exponential)."""
    v, w = twist[:3], twist[3:]
    angle = float(np.linalg.norm(w))
    k = skew(w)
    if angle < 1e-6:
        left_jacobian = np.eye(3) + 0.5 * k + k @ k / 6.0
    else:
        left_jacobian = (
            np.eye(3) + (1.0 - np.cos(angle)) / angle**2 * k + (angle - np.sin(angle)) / angle**3 * (k @ k)
        )
    return make_pose(left_jacobian @ v, Rotation.from_rotvec(w))


def is_pose(pose: np.ndarray) -> bool:
    """True for a finite (7,) array with a unit quaternion (within 1e-3)."""
    return (
        pose.shape == (7,)
        and bool(np.isfinite(pose).all())
        and abs(float(np.linalg.norm(pose[3:])) - 1.0) < 1e-3
    )
