# SPDX-License-Identifier: Apache-2.0
"""Episodes: length, reset, intervention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.common import Name, NonNegativeVector3, SpecModel, Vector3


class EpisodeSpec(SpecModel):
    """Episode length and what ends it."""

    max_steps: int = Field(ge=2, le=10000, description="transitions until the time limit (truncation)")
    run_to_limit: bool = Field(
        default=False,
        description="success does not end the episode before max_steps; it is judged there (Table 11)",
    )


class ResetSpec(SpecModel):
    """Reset and its randomisation around the nominal pose."""

    method: Literal["scripted", "arm", "human", "none"] = Field(
        default="scripted",
        description="scripted: the cell resets everything; arm: the arm goes back, objects stay (reset-free); "
        "human: a person is asked to reset; none: the next episode starts where the last one ended",
    )
    partner: Name | None = Field(
        default=None, description="task whose policy undoes this one: forward-backward training in one run"
    )
    attempts: int | None = Field(
        default=5,
        ge=1,
        le=1000,
        description="with a partner: after so many unsolved episodes in a row everything is reset and it is the partner's "
        "turn, so that neither waits for the other for ever; on a robot a person puts the objects where the partner begins "
        "and confirms; null: the turn passes only at success",
    )
    lift: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="real cells: the arm first rises by this height along z of its base frame, out of a slot or off a "
        "table, at most to the top of the workspace box [m]",
    )
    nominal_position: Vector3 | None = Field(
        default=None,
        description="nominal tcp position at reset, base frame [m]; tasks with 'arms' state it there",
    )
    nominal_rotation: Vector3 = Field(
        default=(3.141592653589793, 0.0, 0.0),
        description="nominal tcp orientation, rotation vector in the base frame [rad]",
    )
    position_range: NonNegativeVector3 = Field(description="uniform +/- range per axis [m]")
    rotation_range: NonNegativeVector3 = Field(description="uniform +/- range about x, y, z [rad]")


class InterventionSpec(SpecModel):
    """How the operator's device takes and gives back control."""

    dead_band: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="input norm below which the hand counts as off the device"
    )
    release_steps: int = Field(
        default=2,
        ge=1,
        le=50,
        description="ticks below the dead-band until the policy drives again; before that the arm stands still, recorded "
        "as nobody's action (source script)",
    )
    axis_map: tuple[int, int, int, int, int, int] = Field(
        default=(1, 2, 3, 4, 5, 6),
        description="device axis (1-6, negative: reversed) for x, y, z, roll, pitch, yaw of the tcp frame",
    )
    translation_scale: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="share of the largest translation (wrench tasks: force) that a full deflection asks for",
    )
    rotation_scale: float = Field(
        default=1.0, gt=0.0, le=1.0, description="the same for rotation (wrench tasks: torque)"
    )
    close_button: int | None = Field(default=0, ge=0, description="button that closes the gripper")
    open_button: int | None = Field(default=1, ge=0, description="button that opens the gripper")
    success_button: int | None = Field(
        default=None, ge=0, description="button that ends the episode as a success"
    )
    failure_button: int | None = Field(
        default=None, ge=0, description="button that ends the episode as a failure"
    )
    reset_button: int | None = Field(
        default=None,
        ge=0,
        description="button that ends the episode without counting it, so that the cell is reset; confirms a reset by a "
        "person",
    )
    switch_button: int | None = Field(
        default=None, ge=0, description="two arms, one device: button that moves it to the other arm"
    )
    stop_button: int | None = Field(
        default=None,
        ge=0,
        description="button, on any device, that stops the robot until the service clear_stop is called",
    )
    deadman_button: int | None = Field(
        default=None,
        ge=0,
        description="a device moves arm and gripper only while this button is held; labels and stop need no holding. Who "
        "has taken over and holds it keeps control while standing still",
    )
    wrench_axis_map: tuple[int, ...] | None = Field(
        default=None,
        description="wrench tasks: device axis (1-6, negative: reversed) for each of wrench_axes; null: x, y, z, roll, "
        "pitch, yaw drive force_x ... torque_z",
    )
    timeout: float = Field(
        default=0.5, gt=0.0, description="age at which the device's last message no longer counts [s]"
    )

    @model_validator(mode="after")
    def _axes(self) -> InterventionSpec:
        if sorted(abs(a) for a in self.axis_map) != [1, 2, 3, 4, 5, 6]:
            raise ValueError(f"axis_map {list(self.axis_map)} must name each of the axes 1 to 6 once")
        return self

    @model_validator(mode="after")
    def _safety_buttons(self) -> InterventionSpec:
        buttons = {name: number for name, number in self if name.endswith("_button")}
        for own in ("stop_button", "deadman_button"):
            for other, number in buttons.items():
                if own != other and number is not None and number == buttons[own]:
                    raise ValueError(
                        f"{own} and {other} are both button {number}; give {own} a button of its own, or set "
                        f"{other} to null where the task does not use it (hil-serl teleop-check shows the numbers)"
                    )
        return self
