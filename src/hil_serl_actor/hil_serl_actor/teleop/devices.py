# SPDX-License-Identifier: Apache-2.0
"""Operator devices: from ``sensor_msgs/Joy`` axes and buttons to one OperatorInput.

All devices speak Joy, because it carries axes and buttons under one stamp, by which staleness shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil_serl_core.arbiter import OperatorInput


@dataclass(frozen=True)
class Device:
    """Layout of a device's Joy message.

    Attributes:
        topic: Where its driver publishes (relative name).
        axes: For x, y, z, roll, pitch, yaw: pairs of (1-based Joy axis, sign); more than one pair is summed.
        rest: Joy axes (1-based) whose untouched value is +1 (triggers) and -1 pressed.
        minimum_axes: Fewest axes the message must carry.
    """

    topic: str
    axes: tuple[tuple[tuple[int, float], ...], ...]
    rest: tuple[int, ...] = ()
    minimum_axes: int = 6


_SIX = tuple((((i, 1.0),)) for i in range(1, 7))

DEVICES: dict[str, Device] = {
    # spacenav/joy: normalised x, y, z, roll, pitch, yaw.
    "spacenav": Device("spacenav/joy", _SIX),
    "scripted": Device("spacenav/joy", _SIX),
    "keyboard": Device("spacenav/joy", _SIX),
    # A gamepad as joy_node reports it: left stick x, y; triggers z; right stick pitch, yaw; no roll.
    "joy": Device(
        "joy",
        axes=(((2, 1.0),), ((1, 1.0),), ((6, 0.5), (3, -0.5)), (), ((5, 1.0),), ((4, 1.0),)),
        rest=(3, 6),
        minimum_axes=6,
    ),
}
"""Operator devices by the name used in ``operator:=``."""


class TeleopDecoder:
    """Decodes Joy messages of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._seen = np.zeros(0, dtype=bool)

    def decode(self, stamp: float, axes: Sequence[float], buttons: Sequence[int]) -> OperatorInput:
        """One message.

        Args:
            stamp: Time of the message [s].
            axes: As published.
            buttons: As published.

        Raises:
            ValueError: Too few axes, or not finite.
        """
        values = np.array(axes, dtype=np.float64)
        if values.size < self._device.minimum_axes or not np.isfinite(values).all():
            raise ValueError(
                f"{self._device.topic} carries {values.size} axes ({values.tolist()}), at least "
                f"{self._device.minimum_axes} finite ones are needed; choose the operator argument that fits the device"
            )
        values = self._untouched_triggers(values)
        mapped = np.array(
            [sum(sign * values[index - 1] for index, sign in pairs) for pairs in self._device.axes]
        )
        return OperatorInput(stamp, np.clip(mapped, -1.0, 1.0), tuple(bool(b) for b in buttons))

    def _untouched_triggers(self, values: np.ndarray) -> np.ndarray:
        """joy_node reports 0 for a trigger until it is first touched, later +1 at rest."""
        if self._seen.size != values.size:
            self._seen = np.zeros(values.size, dtype=bool)
        self._seen |= values != 0.0
        for index in self._device.rest:
            if not self._seen[index - 1]:
                values[index - 1] = 1.0
        return values
