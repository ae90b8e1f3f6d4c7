# SPDX-License-Identifier: Apache-2.0
"""Who drives: the policy, or the person whose hand is on the device (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.action import WRENCH_AXES


@dataclass(frozen=True)
class OperatorInput:
    """One message of the operator's device.

    Attributes:
        stamp: Time of the message [s].
        axes: (6,) in [-1, 1], device order (x, y, z, roll, pitch, yaw).
        buttons: Pressed buttons.
    """

    stamp: float
    axes: np.ndarray
    buttons: Sequence[bool] = ()

    def pressed(self, button: int | None) -> bool:
        """Whether a button (0-based, None: there is none) is down."""
        return button is not None and button < len(self.buttons) and bool(self.buttons[button])


@dataclass(frozen=True)
class Arbitration:
    """Decision of one tick.

    Attributes:
        active: Control is the operator's, of all arms together.
        holding: Though no hand is on the device any more: the arms stand still until the policy drives again.
        action: (A,) float32 operator action, see ``ActionLayout``; zeros when the hand is off.
        input_norm: Largest axis deflection beyond the dead-band, 1 while a gripper button is pressed, 0 ... 1.
        stale: No device has been heard within its limit; last inputs are not used.
    """

    active: bool
    action: np.ndarray
    input_norm: float
    stale: bool
    holding: bool = False

    @property
    def driven(self) -> bool:
        """The action is a person's."""
        return self.active and not self.holding


class InterventionArbiter:
    """Dead-band and hysteresis around the operator's input, from one device per arm.

    The dead-band is taken off the deflection, so that control is taken over at zero speed (no step when the hand
    touches the device). Control goes back to the policy after ``release_steps`` ticks below the dead-band, so that a
    hand passing through the centre does not hand over by accident. In these ticks nobody says anything: the arm stands
    still, hence nothing jumps on release, and the zero that is executed is no action of a person. While the operator
    drives one arm, an arm whose device is at rest stands still: the record is then entirely a person's, as in the original
    release.

    With a deadman button, a device on which it is not held counts as at rest, whatever its axes say. A person who has taken
    over and holds it keeps control, and standing still is then their action.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec.intervention
        self._arms = spec.arm_names
        self._size = spec.action_size
        self._grippers = spec.grippers
        axis_map = device_axes(spec)
        self._index = np.array([abs(axis) - 1 for axis in axis_map])
        self._sign = np.sign(np.array(axis_map)).astype(np.float64)
        self._scale = component_scales(spec)
        self._active = False
        self._quiet = 0

    def reset(self) -> None:
        """Start of an episode: the policy drives until the operator moves."""
        self._active = False
        self._quiet = 0

    def update(self, now: float, operators: Mapping[str, OperatorInput]) -> Arbitration:
        """Decide for the tick at ``now`` [s].

        Args:
            now: Time of the tick.
            operators: Arm name to the latest input of its device; an arm whose device was never heard is left out.
        """
        # By a stamp far ahead, as after the clock was set back, nobody would notice that the device is silent.
        fresh = {arm: o for arm, o in operators.items() if abs(now - o.stamp) <= self._spec.timeout}
        held = {arm: o for arm, o in fresh.items() if self._hand_is_on(o)}
        parts = [self._shaped(held[arm].axes) if arm in held else self._zero() for arm in self._arms]
        grippers = [self._gripper(held.get(arm)) for arm in self._arms[: self._grippers]]
        action = np.concatenate([*parts, grippers]).astype(np.float32)
        norm = float(np.max(np.abs(action)))
        still = self._active and self._spec.deadman_button is not None and bool(held)  # on purpose
        if norm > 0.0 or still:
            self._active, self._quiet = True, 0
        elif self._active:
            self._quiet += 1
            if self._quiet >= self._spec.release_steps or not fresh:
                self._active, self._quiet = False, 0
        return Arbitration(self._active, action, norm, not fresh, holding=self._active and self._quiet > 0)

    def _zero(self) -> np.ndarray:
        return np.zeros(len(self._index))

    def _hand_is_on(self, operator: OperatorInput) -> bool:
        deadman = self._spec.deadman_button
        return deadman is None or operator.pressed(deadman)

    def _gripper(self, operator: OperatorInput | None) -> float:
        """-1 close, +1 open, 0 for no button or both."""
        if operator is None:
            return 0.0
        opened = operator.pressed(self._spec.open_button)
        closed = operator.pressed(self._spec.close_button)
        return float(opened) - float(closed)

    def _shaped(self, axes: np.ndarray) -> np.ndarray:
        axes = np.asarray(axes, dtype=np.float64)
        if axes.shape != (6,) or not np.isfinite(axes).all():
            raise ValueError(f"the operator's device must deliver 6 finite axes, got {axes.tolist()}")
        mapped = np.clip(axes[self._index] * self._sign, -1.0, 1.0)
        deflection = float(np.max(np.abs(mapped)))
        dead_band = self._spec.dead_band
        if deflection <= dead_band:
            return self._zero()
        return self._scale * mapped * ((deflection - dead_band) / (1.0 - dead_band) / deflection)


def device_axes(spec: TaskSpec) -> tuple[int, ...]:
    """Device axis (1-6, signed) behind each continuous component of one arm."""
    if spec.action.kind == "twist":
        return spec.intervention.axis_map
    if spec.intervention.wrench_axis_map is not None:
        return spec.intervention.wrench_axis_map
    return tuple(WRENCH_AXES.index(axis) + 1 for axis in spec.action.wrench_axes)


def component_scales(spec: TaskSpec) -> np.ndarray:
    """(k,) share of the full action that a full deflection asks for, of each continuous component of one arm."""
    own = spec.intervention
    if spec.action.kind == "twist":
        linear = np.arange(6) < 3
    else:
        linear = np.array([axis.startswith("force") for axis in spec.action.wrench_axes])
    return np.where(linear, own.translation_scale, own.rotation_scale)
