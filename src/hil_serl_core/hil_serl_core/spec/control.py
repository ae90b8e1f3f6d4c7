# SPDX-License-Identifier: Apache-2.0
"""Control law, workspace and arms of a task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.common import (
    NonNegative,
    NonNegativeVector3,
    PerJoint,
    PositiveVector3,
    SpecModel,
    Vector3,
)


class WrenchControlSpec(SpecModel):
    """Limits of the feed-forward wrench controller; components of the tcp frame."""

    force_limit: float = Field(default=20.0, gt=0.0, le=200.0, description="per component [N]")
    torque_limit: float = Field(default=5.0, gt=0.0, le=50.0, description="per component [Nm]")
    timeout: float = Field(
        default=0.2, gt=0.0, description="age at which a wrench is stale and the arm holds [s]"
    )
    translational_damping: NonNegativeVector3 = Field(
        default=(0.0, 0.0, 0.0), description="viscous term [Ns/m]"
    )
    rotational_damping: NonNegativeVector3 = Field(
        default=(0.0, 0.0, 0.0), description="viscous term [Nms/rad]"
    )
    translational_stiffness: NonNegativeVector3 = Field(
        default=(0.0, 0.0, 0.0),
        description="draws the tcp to where the episode began, axes of the tcp frame there; at most force_limit [N/m]",
    )
    rotational_stiffness: NonNegativeVector3 = Field(
        default=(0.0, 0.0, 0.0), description="the same for the orientation; at most torque_limit [Nm/rad]"
    )
    box_stiffness: NonNegative = Field(default=1000.0, description="pull back into the workspace box [N/m]")
    box_damping: NonNegative = Field(
        default=60.0, description="the least of its damping; it is critical for the arm's inertia [Ns/m]"
    )
    box_rotational_stiffness: NonNegative = Field(
        default=100.0, description="pull back from a turn beyond max_rotation [Nm/rad]"
    )
    box_rotational_damping: NonNegative = Field(default=2.0, description="the least of its damping [Nms/rad]")
    box_margin: NonNegative = Field(
        default=0.1, le=1.0, description="depth outside the box at which the controller faults [m]"
    )
    box_rotation_margin: NonNegative = Field(
        default=0.3, le=3.141, description="turn beyond max_rotation at which it does [rad]"
    )
    box_patience: float = Field(
        default=1.0,
        ge=0.05,
        le=3600.0,
        description="time that the tcp may be outside by more than half of a margin [s]",
    )


class ControlSpec(SpecModel):
    """Cartesian impedance control with reference limiting, eq. (7); axes x, y, z of the base frame."""

    frequency: float = Field(default=10.0, gt=0.0, le=100.0, description="policy rate [Hz]")
    translational_stiffness: PositiveVector3 = Field(description="k_p [N/m]")
    rotational_stiffness: PositiveVector3 = Field(description="k_p [Nm/rad]")
    translational_damping: PositiveVector3 | None = Field(
        default=None, description="k_d [Ns/m]; null: from damping_ratio"
    )
    rotational_damping: PositiveVector3 | None = Field(
        default=None, description="k_d [Nms/rad]; null: from damping_ratio"
    )
    damping_ratio: float = Field(
        default=1.0,
        gt=0.0,
        le=3.0,
        description="zeta of D = 2 zeta sqrt(K m), m the inertia shown along each axis",
    )
    clip_positive: PositiveVector3 = Field(
        description="largest e = measured - target per axis (sign of eq. 7): bounds the push in the negative direction [m]"
    )
    clip_negative: PositiveVector3 = Field(
        description="largest -e per axis, as a positive number: bounds the push in the positive direction [m]"
    )
    rotation_clip_positive: PositiveVector3 = Field(
        description="largest rotation error per axis, rotation vector, sign as above [rad]"
    )
    rotation_clip_negative: PositiveVector3 = Field(
        description="largest -rotation error, as a positive number [rad]"
    )
    nullspace_stiffness: NonNegative | PerJoint = Field(
        default=0.2,
        description="pull to the posture; one number, or a list from joint 1 on whose last number is the others' too "
        "[Nm/rad]",
    )
    nullspace_damping: NonNegative | PerJoint = Field(
        default=1.0, description="the same for its motion [Nms/rad]"
    )
    target_filter: float = Field(
        default=0.02, gt=0.0, le=1.0, description="share of the way to the target per tick"
    )
    torque_rate_limit: float = Field(default=1.0, gt=0.0, description="[Nm per 1 ms tick]")
    linear_speed: float = Field(
        default=0.5, ge=0.02, le=5.0, description="largest speed of the target that the spring follows [m/s]"
    )
    angular_speed: float = Field(
        default=2.5, ge=0.05, le=20.0, description="the same for its turning [rad/s]"
    )
    joint_speed: float | None = Field(
        default=None,
        ge=0.05,
        le=50.0,
        description="speed that nothing pushes a joint beyond, a quarter faster is a fault; null: the arm's own [rad/s]",
    )
    target_timeout: float = Field(
        default=0.5, gt=0.0, description="age at which a target is stale and the arm holds [s]"
    )
    damped_velocity: Literal["measured", "relative"] = Field(
        default="measured",
        description="relative: damps only velocity that the moving target does not ask for",
    )
    wrench: WrenchControlSpec = WrenchControlSpec()


class WorkspaceSpec(SpecModel):
    """Where target and, in wrench tasks, tcp stay, relative to the nominal reset pose; axes of the base frame."""

    lower: Vector3 = Field(description="lowest corner [m]")
    upper: Vector3 = Field(description="highest corner [m]")
    max_rotation: float = Field(
        gt=0.0, le=3.2, description="largest angle from the nominal reset orientation [rad]"
    )

    @model_validator(mode="after")
    def _ordered(self) -> WorkspaceSpec:
        if any(low >= high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"lower {list(self.lower)} must be below upper {list(self.upper)} on every axis")
        return self


class ArmSpec(SpecModel):
    """One of several arms; what a single-arm task states at its top level."""

    base_frame: str = Field(min_length=1)
    tcp_frame: str = Field(min_length=1)
    base_position: Vector3 = Field(
        default=(0.0, 0.0, 0.0), description="where the arm's base stands in the world frame [m]"
    )
    base_rotation: Vector3 = Field(default=(0.0, 0.0, 0.0), description="rotation vector in the world [rad]")
    nominal_position: Vector3 = Field(description="nominal tcp position at reset, the arm's base frame [m]")
    nominal_rotation: Vector3 = Field(
        default=(3.141592653589793, 0.0, 0.0), description="nominal tcp orientation, rotation vector [rad]"
    )
    workspace: WorkspaceSpec
    control: ControlSpec | None = Field(default=None, description="null: the task's")
    joints: int | None = Field(default=None, ge=1, le=32, description="of this arm; null: the task's")
