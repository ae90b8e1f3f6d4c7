# SPDX-License-Identifier: Apache-2.0
"""Who drives: the policy, or the person whose hand is on the device (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil_serl_core.spec.model import InterventionSpec


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


@dataclass(frozen=True)
class Arbitration:
    """Decision of one tick.

    Attributes:
        active: The operator drives.
        action: (6,) float32 operator action in [-1, 1], tcp frame; zeros when the hand is off.
        input_norm: Largest axis deflection beyond the dead-band, 0 ... 1.
        stale: The device has been silent for longer than its limit; its last input is not used.
    """

    active: bool
    action: np.ndarray
    input_norm: float
    stale: bool


class InterventionArbiter:
    """Dead-band and hysteresis around the operator's input.

    The dead-band is taken off the deflection, so that control is taken over at zero speed (no step when the hand
    touches the device). Control goes back to the policy after ``release_steps`` ticks below the dead-band, so that a
    hand passing through the centre does not hand over by accident; in these ticks the operator's zero is executed and the
    arm stands still, hence nothing jumps on release.
    """

    def __init__(self, spec: InterventionSpec) -> None:
        self._spec = spec
        self._index = np.array([abs(axis) - 1 for axis in spec.axis_map])
        self._sign = np.sign(np.array(spec.axis_map)).astype(np.float64)
        self._active = False
        self._quiet = 0

    def reset(self) -> None:
        """Start of an episode: the policy drives until the operator moves."""
        self._active = False
        self._quiet = 0

    def update(self, now: float, operator: OperatorInput | None) -> Arbitration:
        """Decide for the tick at ``now`` [s].

        Args:
            now: Time of the tick.
            operator: Latest input of the device, None if none was ever received.
        """
        stale = operator is None or now - operator.stamp > self._spec.timeout
        action = np.zeros(6) if operator is None or stale else self._shaped(operator.axes)
        norm = float(np.max(np.abs(action)))
        if norm > 0.0:
            self._active, self._quiet = True, 0
        elif self._active:
            self._quiet += 1
            if self._quiet >= self._spec.release_steps or stale:
                self._active, self._quiet = False, 0
        return Arbitration(self._active, action.astype(np.float32), norm, stale)

    def _shaped(self, axes: np.ndarray) -> np.ndarray:
        axes = np.asarray(axes, dtype=np.float64)
        if axes.shape != (6,) or not np.isfinite(axes).all():
            raise ValueError(f"the operator's device must deliver 6 finite axes, got {axes.tolist()}")
        mapped = np.clip(axes[self._index] * self._sign, -1.0, 1.0)
        deflection = float(np.max(np.abs(mapped)))
        dead_band = self._spec.dead_band
        if deflection <= dead_band:
            return np.zeros(6)
        return mapped * ((deflection - dead_band) / (1.0 - dead_band) / deflection)
