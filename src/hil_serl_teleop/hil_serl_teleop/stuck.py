# SPDX-License-Identifier: Apache-2.0
"""Input that no hand gives: away from rest, and bit for bit the same for seconds.

Messages that arrive do not show that a device works: a driver that has lost its device may repeat the last thing it saw,
with fresh stamps; and a pad whose axes lie elsewhere than the layout says shows its resting triggers as a motion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.spec import TaskSpec
from hil_serl_teleop.devices import Device, layouts_at_rest
from hil_serl_teleop.layouts import AXES

STUCK_AXIS = 3.0  # s; hands tremble, so that an analog axis changes many times in that
STUCK_DEADMAN = 6.0  # s; a hand may hold a button and a spring-loaded cap at rest for a while


class StuckInput:
    """Watches one device's decoded inputs; times are of any steady clock [s]."""

    def __init__(self, spec: TaskSpec, device: Device) -> None:
        self._intervention, self._device = spec.intervention, device
        self._value: OperatorInput | None = None
        self._raw: tuple[float, ...] = ()
        self._since = np.zeros(len(AXES))  # when each axis changed last
        self._any_since = 0.0
        self._now = 0.0

    def look(self, value: OperatorInput, raw: Sequence[float], now: float) -> None:
        """Take an input and the axes of its message."""
        raw, last = tuple(raw), self._value
        if last is None:
            self._since[:] = self._any_since = now
        else:
            self._since[value.axes != last.axes] = now
            if raw != self._raw or tuple(value.buttons) != tuple(last.buttons):
                self._any_since = now
        self._value, self._raw, self._now = value, raw, now

    def axes(self, patience: float = STUCK_AXIS) -> dict[str, float]:
        """Axes away from rest that have not changed by a bit for ``patience`` [s], with their values."""
        if self._value is None or not self._device.analog:
            return {}
        still = self._now - self._since >= patience
        away = np.abs(self._value.axes) > self._intervention.dead_band
        return {AXES[k]: float(self._value.axes[k]) for k in np.flatnonzero(still & away)}

    def deadman(self) -> bool:
        """Whether the deadman is down and no bit of the whole input has changed for STUCK_DEADMAN."""
        if self._value is None or not self._device.analog:
            return False
        held = self._value.pressed(self._intervention.deadman_button)
        return held and self._now - self._any_since >= STUCK_DEADMAN

    def problem(self, patience: float = STUCK_AXIS) -> str:
        """What is wrong, with the remedy; empty if nothing is."""
        if stuck := self.axes(patience):
            listed = ", ".join(f"{name} {value:+.2f}" for name, value in stuck.items())
            fitting = [name for name in layouts_at_rest(self._raw) if self._device.topic == "joy"]
            looks = f" (it looks like {' or '.join(fitting)})" if fitting else ""
            return (
                f"{self._device.topic}: at rest, the decoded motion is not zero: {listed}, the same to the last bit for "
                f"{patience:g} s. Unless a hand holds the device at its stop, this is another layout{looks}: set 'layout' "
                "in the robot file; or its driver has lost the device: plug it in again and run hil-serl teleop-check"
            )
        if self.deadman():
            return (
                f"{self._device.topic}: the deadman is down, and no bit of the input has changed for {STUCK_DEADMAN:g} s: "
                "unless a hand holds it, its driver has lost the device, and its stop button is dead too. Let go, and look "
                "whether that shows here"
            )
        return ""
