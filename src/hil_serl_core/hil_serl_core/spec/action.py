# SPDX-License-Identifier: Apache-2.0
"""Action space of a task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.common import Positive, SpecModel

WrenchAxis = Literal["force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z"]
WRENCH_AXES: tuple[str, ...] = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
"""Components of a wrench, in the order of a (6,) wrench vector."""


class GripperSpec(SpecModel):
    """Discrete gripper control {close, stay, open} by the grasp critic, eq. (3); one gripper per arm."""

    penalty: float = Field(
        default=-0.02,
        le=0.0,
        description="added to the grasp critic's reward when a command toggles a gripper",
    )
    initial: Literal["open", "closed"] = Field(default="open", description="state after a reset")
    open_position: float = Field(default=1.0, ge=0.0, le=1.0, description="opening commanded by 'open'")
    close_position: float = Field(default=0.0, ge=0.0, le=1.0, description="opening commanded by 'close'")
    travel_time: float = Field(
        default=5.0,
        ge=0.1,
        le=60.0,
        description="longest time from a command to the end of its motion, waiting and stroke: until then a hand that is "
        "still open is not taken for one that something else has opened; resets wait at most so long for it. A Franka hand "
        "starts within 1 s, its stroke takes 0.8 s at 0.1 m/s [s]",
    )
    reopened_time: float = Field(
        default=0.3,
        ge=0.0,
        le=10.0,
        description="a hand that has closed and is open again for so long was opened by something else: it counts as open, "
        "so that closing it is a decision again [s]",
    )

    @model_validator(mode="after")
    def _ordered(self) -> GripperSpec:
        if self.close_position >= self.open_position:
            raise ValueError(
                f"close_position {self.close_position} must be below open_position {self.open_position}"
            )
        return self


class ActionSpec(SpecModel):
    """Continuous action of each arm in its tcp frame, and whether its gripper is controlled."""

    kind: Literal["twist", "wrench"] = Field(
        default="twist",
        description="twist: 6-D displacement per step for the impedance controller (App. D.1); "
        "wrench: feed-forward wrench for the wrench controller (Sec. 3.3)",
    )
    translation_scale: float | None = Field(
        default=None, gt=0.0, le=0.1, description="twist: |action| = 1 moves the target this far per step [m]"
    )
    rotation_scale: float | None = Field(
        default=None,
        gt=0.0,
        le=0.5,
        description="twist: |action| = 1 turns the target this far per step [rad]",
    )
    wrench_axes: tuple[WrenchAxis, ...] = Field(
        default=(), description="wrench: controlled components, tcp frame"
    )
    wrench_scale: tuple[Positive, ...] = Field(
        default=(), description="wrench: force [N] or torque [Nm] at |action| = 1, one per axis"
    )
    gripper: GripperSpec | None = Field(default=None, description="null: the task does not move grippers")

    @model_validator(mode="after")
    def _complete(self) -> ActionSpec:
        twist_given = self.translation_scale is not None or self.rotation_scale is not None
        wrench_given = bool(self.wrench_axes or self.wrench_scale)
        if self.kind == "twist":
            if self.translation_scale is None or self.rotation_scale is None:
                raise ValueError("a twist action needs translation_scale and rotation_scale")
            if wrench_given:
                raise ValueError(
                    "wrench_axes and wrench_scale belong to kind 'wrench', this is a twist action"
                )
            return self
        if twist_given:
            raise ValueError(
                "translation_scale and rotation_scale belong to kind 'twist', this is a wrench action"
            )
        if not self.wrench_axes or len(self.wrench_axes) != len(self.wrench_scale):
            raise ValueError("a wrench action needs wrench_axes and one wrench_scale for each of them")
        if len(set(self.wrench_axes)) != len(self.wrench_axes):
            raise ValueError(f"wrench_axes must differ, got {list(self.wrench_axes)}")
        return self

    @property
    def per_arm(self) -> int:
        """Continuous components of one arm."""
        return 6 if self.kind == "twist" else len(self.wrench_axes)
