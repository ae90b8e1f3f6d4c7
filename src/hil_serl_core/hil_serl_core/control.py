# SPDX-License-Identifier: Apache-2.0
"""What a task file says about control, under the names of the control law (serl_impedance_controller)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec


def law_settings(spec: TaskSpec, arm: str = "") -> dict[str, Any]:
    """Gains, clips and limits of one arm's control law, eq. (7).

    Clips of law and task file are both on e = measured - target, the sign of eq. (7).

    Args:
        spec: The task.
        arm: One of its arms, empty for a single one.

    Returns:
        Name in the law's configuration -> number, text or list of numbers; translation before rotation [N/m, Nm/rad, m,
        rad, s], orientations as quaternions xyzw. ``damping_kind`` is fixed or ratio, ``damped_velocity`` measured or
        relative.

    Raises:
        KeyError: The task has no such arm.
        ValueError: A list of numbers for joints is longer than the arm has joints.
    """
    found = spec.arm(arm)
    control, nominal = found.control, np.asarray(found.nominal_position)
    joints = spec.part_size("joint_position", arm)
    assert control is not None  # resolved by spec.arm
    settings: dict[str, Any] = {
        "stiffness": [*control.translational_stiffness, *control.rotational_stiffness],
        "clip_pos": [*control.clip_positive, *control.rotation_clip_positive],
        "clip_neg": [*control.clip_negative, *control.rotation_clip_negative],
        "smoothing": control.target_filter,
        "nullspace_stiffness": _per_joint("nullspace_stiffness", control.nullspace_stiffness, joints),
        "nullspace_damping": _per_joint("nullspace_damping", control.nullspace_damping, joints),
        "torque_rate": control.torque_rate_limit,
        "pose_linear_speed": control.linear_speed,
        "pose_angular_speed": control.angular_speed,
        "pose_timeout": control.target_timeout,
        "damped_velocity": control.damped_velocity,
        "workspace_low": (nominal + found.workspace.lower).tolist(),
        "workspace_high": (nominal + found.workspace.upper).tolist(),
        "workspace_orientation": Rotation.from_rotvec(found.nominal_rotation).as_quat().tolist(),
        "workspace_max_rotation": found.workspace.max_rotation,
    }
    if control.translational_damping is not None and control.rotational_damping is not None:
        settings["damping"] = [*control.translational_damping, *control.rotational_damping]
        settings["damping_kind"] = "fixed"
    else:
        settings["damping_ratio"] = control.damping_ratio
        settings["damping_kind"] = "ratio"
    if control.joint_speed is not None:
        settings["joint_speed"] = control.joint_speed
    if spec.action.kind == "wrench":
        wrench = control.wrench
        settings |= {
            "wrench_limit": [wrench.force_limit] * 3 + [wrench.torque_limit] * 3,
            "wrench_timeout": wrench.timeout,
            "wrench_damping": [*wrench.translational_damping, *wrench.rotational_damping],
            "wrench_stiffness": [*wrench.translational_stiffness, *wrench.rotational_stiffness],
            "workspace_stiffness": wrench.box_stiffness,
            "workspace_damping": wrench.box_damping,
            "workspace_rotational_stiffness": wrench.box_rotational_stiffness,
            "workspace_rotational_damping": wrench.box_rotational_damping,
            "workspace_margin": wrench.box_margin,
            "workspace_rotation_margin": wrench.box_rotation_margin,
            "workspace_patience": wrench.box_patience,
        }
    return settings


def _per_joint(name: str, value: float | tuple[float, ...], joints: int) -> float | list[float]:
    """One number for all joints, or a list of one for each, filled up with its last number."""
    if not isinstance(value, tuple):
        return value
    if len(value) > joints:
        raise ValueError(f"control.{name} has {len(value)} numbers for an arm of {joints} joints")
    return [*value, *value[-1:] * (joints - len(value))]
