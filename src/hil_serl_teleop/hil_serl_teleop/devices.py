# SPDX-License-Identifier: Apache-2.0
"""Operator devices: from ``sensor_msgs/Joy`` axes and buttons to one OperatorInput.

All devices speak Joy, because it carries axes and buttons under one stamp, by which staleness shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hil_serl_core.arbiter import OperatorInput
from hil_serl_teleop.layouts import AXES, PAD_LAYOUTS, SIX_AXES, DeviceLayout, layout_from_text


@dataclass(frozen=True)
class Device:
    """What is known of a kind of device.

    Attributes:
        topic: Where its driver publishes (relative name).
        layout: Of its Joy message.
        analog: No hand holds it so still that its axes do not change by a bit; keys do.
    """

    topic: str
    layout: DeviceLayout
    analog: bool = True


DEVICES: dict[str, Device] = {
    "spacenav": Device("spacenav/joy", SIX_AXES),
    "scripted": Device("spacenav/joy", SIX_AXES, analog=False),
    "keyboard": Device("spacenav/joy", SIX_AXES, analog=False),
    "joy": Device("joy", PAD_LAYOUTS["xbox"]),
}
"""Operator devices by the name used in ``operator:=``, with their usual layout."""


def device_of(operator: str, layout: str = "") -> Device:
    """A device, with another layout than its usual one if ``layout`` names or spells one; ValueError for a bad one."""
    device = DEVICES[operator]
    return replace(device, layout=layout_from_text(layout)) if layout else device


class TeleopDecoder:
    """Decodes Joy messages of one device."""

    def __init__(self, device: Device) -> None:
        self._topic, self._layout = device.topic, device.layout
        self._terms = [
            [(abs(n) - 1, 1.0 if n > 0 else -1.0) for n in self._layout.axes.get(a, ())] for a in AXES
        ]
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
        if not np.isfinite(values).all():
            raise ValueError(
                f"{self._topic} carries axes that are not finite ({values.tolist()}): see its driver"
            )
        if values.size < self._layout.joy_axes:
            raise ValueError(
                f"{self._topic} carries {values.size} axes so far, and {self._layout.joy_axes} are used: some drivers list "
                "an axis only after it was moved, so move each once; else choose the operator argument, or the robot "
                "file's layout, that fits the device"
            )
        values = self._pulled_triggers(values)
        mapped = np.array([sum(sign * values[index] for index, sign in terms) for terms in self._terms])
        return OperatorInput(stamp, np.clip(mapped, -1.0, 1.0), tuple(bool(b) for b in buttons))

    def at_rest(self, axes: Sequence[float]) -> bool:
        """Whether nothing that this layout uses is moved; two triggers that cancel each other are."""
        values = np.array(axes, dtype=np.float64)
        if values.size < self._layout.joy_axes:
            return False
        values = self._pulled_triggers(values)
        return not any(values[index] for terms in self._terms for index, _ in terms)

    def _pulled_triggers(self, values: np.ndarray) -> np.ndarray:
        """Triggers from 0 to 1. joy_node reports 0 for one until it is first touched, later +1 at rest."""
        if self._seen.size != values.size:
            self._seen = np.zeros(values.size, dtype=bool)
        self._seen |= values != 0.0
        for number in self._layout.triggers:
            untouched = not self._seen[number - 1]
            values[number - 1] = 0.0 if untouched else 0.5 * (1.0 - values[number - 1])
        return values


def layouts_at_rest(axes: Sequence[float]) -> list[str]:
    """Known pads on which no hand would be at these Joy axes, for a person who has to choose."""
    return [name for name, layout in PAD_LAYOUTS.items() if TeleopDecoder(Device(name, layout)).at_rest(axes)]
