# SPDX-License-Identifier: Apache-2.0
"""Self-test of an operator's device: what it says, what a task makes of that, and what is wrong with it. No ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hil_serl_core.arbiter import Arbitration, InterventionArbiter, OperatorInput, device_axes
from hil_serl_core.spec import TaskSpec
from hil_serl_teleop.devices import Device, TeleopDecoder
from hil_serl_teleop.layouts import AXES
from hil_serl_teleop.stuck import StuckInput

MOVED = 0.15  # deflection from which on an axis counts as moved by a hand
REST_PATIENCE = 2.0  # s; here people let go when they are asked to
RATE_WINDOW = 2.0  # s over which the message rate is measured
SILENCE = 1.0  # s without a message after which a device counts as silent; drivers repeat at 20 Hz or more

_NO_BUTTON = "; if the device has none, change 'intervention' in the task file"

_BUTTONS = {
    "close_button": "close the gripper",
    "open_button": "open the gripper",
    "success_button": "label success, confirm the reset",
    "failure_button": "label failure",
    "reset_button": "discard the episode and reset, confirm the reset",
    "switch_button": "move the device to the other arm",
    "stop_button": "STOP the robot until clear_stop",
    "deadman_button": "deadman: hold it to drive",
}


@dataclass(frozen=True)
class AxisReading:
    """One component of the action and the device axis behind it.

    Attributes:
        name: Component, ``x`` ... ``yaw`` or ``force_x`` ... ``torque_z``, tcp frame; empty for an axis without one.
        axis: Device axis, 1-6, negative when the task reverses it.
        raw: The axis as the device reports it, in [-1, 1].
        action: The component after axis map and dead-band, in [-1, 1].
        command: The same after the task's scale, in ``unit``.
        unit: mm/step, deg/step, N or Nm.
    """

    name: str
    axis: int
    raw: float
    action: float = 0.0
    command: float = 0.0
    unit: str = ""


@dataclass(frozen=True)
class ButtonReading:
    """A button, whether it is down, and what it does in this task (empty: nothing).

    ``there`` is False for one that no message has had yet, ``tried`` is True once it was seen down.
    """

    number: int
    down: bool
    meaning: str
    there: bool = True
    tried: bool = False


class DeviceCheck:
    """One device of a task.

    Attributes:
        topic: Where it is expected.
        layout: Of its Joy message.
        publishers: How many nodes publish there, as whoever knows says.
        received: Messages so far.
    """

    def __init__(self, spec: TaskSpec, device: Device, topic: str, arm: str) -> None:
        """``arm`` is the one that the device drives, of a switched device the first one."""
        self._spec, self._device, self._arm = spec, device, arm
        self.topic = topic
        self.layout = device.layout
        self.publishers = 0
        self.received = 0
        self._decoder = TeleopDecoder(device)
        self._stuck = StuckInput(spec, device)
        self._arrivals: deque[float] = deque()
        self._input = OperatorInput(0.0, np.zeros(6))
        self._raw: tuple[Sequence[float], Sequence[int]] = ((), ())
        self._moved: set[tuple[str, int]] = set()  # axes of the device and directions, +1 or -1
        self._pressed: set[int] = set()
        self._lag = 0.0
        self._error = ""

    def hear(
        self, stamp: float, axes: Sequence[float], buttons: Sequence[int], now: float, ros_now: float
    ) -> None:
        """Take a Joy message.

        Args:
            stamp: Its stamp [s].
            axes: As published.
            buttons: As published.
            now: Time of arrival on any steady clock [s].
            ros_now: Time of arrival on the clock of the stamps [s].
        """
        self.received += 1
        self._arrivals.append(now)
        self._lag = ros_now - stamp
        if (
            not self._error and (axes, buttons) == self._raw
        ):  # drivers repeat themselves up to 1000 times a second
            self._input = replace(self._input, stamp=stamp)
            self._stuck.look(self._input, axes, now)
            return
        self._raw = axes, buttons
        try:
            self._input, self._error = self._decoder.decode(stamp, axes, buttons), ""
        except ValueError as error:
            self._error = str(error)
            return
        self._stuck.look(self._input, axes, now)
        self._note()

    def _note(self) -> None:
        """Keep what was moved and pressed."""
        least = max(MOVED, self._spec.intervention.dead_band)
        for name, value in zip(AXES, self._input.axes, strict=True):
            if abs(value) > least:
                self._moved.add((name, 1 if value > 0 else -1))
        self._pressed |= {k for k, down in enumerate(self._input.buttons) if down}

    @property
    def buttons_seen(self) -> int:
        """Buttons that the device has, as far as it has said: some drivers list one only after it was pressed."""
        return len(self._input.buttons)

    def rate(self, now: float) -> float:
        """Messages per second over the last RATE_WINDOW seconds; 0 for fewer than two."""
        while self._arrivals and now - self._arrivals[0] > RATE_WINDOW:
            self._arrivals.popleft()
        if len(self._arrivals) < 2:
            return 0.0
        span = self._arrivals[-1] - self._arrivals[0]
        return (len(self._arrivals) - 1) / span if span > 0.0 else 0.0

    def age(self, now: float) -> float:
        """Seconds since the last message; infinite before the first and after RATE_WINDOW of silence."""
        return now - self._arrivals[-1] if self._arrivals else np.inf

    @property
    def arbitration(self) -> Arbitration:
        """What the actor would make of the last message if the policy were driving."""
        arbiter = InterventionArbiter(self._spec)
        return arbiter.update(self._input.stamp, {self._arm: self._input})

    def axes(self) -> list[AxisReading]:
        """Components of the action in their order, then device axes that this task does not use."""
        spec, action = self._spec, self.arbitration.action
        size = spec.action.per_arm
        first = spec.arm_names.index(self._arm) * size
        mapped = device_axes(spec)
        readings = [
            AxisReading(
                name, axis, float(self._input.axes[abs(axis) - 1]), float(value), float(value) * scale, unit
            )
            for (name, scale, unit), axis, value in zip(
                _components(spec), mapped, action[first : first + size], strict=True
            )
        ]
        unused = sorted(set(range(1, 7)) - {abs(axis) for axis in mapped})
        return readings + [AxisReading("", axis, float(self._input.axes[axis - 1])) for axis in unused]

    def buttons(self) -> list[ButtonReading]:
        """Every button that the device has or the task uses."""
        meanings = button_meanings(self._spec)
        count = max([self.buttons_seen, *(number + 1 for number in meanings)])
        return [
            ButtonReading(
                k, self._input.pressed(k), meanings.get(k, ""), k < self.buttons_seen, k in self._pressed
            )
            for k in range(count)
            if k < self.buttons_seen or k in meanings
        ]

    def problems(self, now: float) -> list[str]:
        """What is wrong with the device, each with its remedy; empty when it can be used."""
        if not self.received:
            if not self.publishers:
                return [f"nobody publishes '{self.topic}': the driver of the device does not run"]
            return [
                f"'{self.topic}' has a publisher, but no message came yet: is the device plugged in? Move it"
            ]
        if self._error:
            return [self._error]
        found = []
        limit = self._spec.intervention.timeout
        if self.age(now) > SILENCE:
            gone = (
                "its driver has ended"
                if not self.publishers
                else "unplugged, or a driver that sends changes only"
            )
            found.append(
                f"no message for more than {SILENCE:.0f} s ({gone}); the actor lets go after {limit:g} s: "
                "let the driver repeat itself (joy_node: autorepeat_rate 20)"
            )
        elif 0.0 < self.rate(now) < self._spec.control.frequency:
            found.append(
                f"only {self.rate(now):.1f} messages a second for a control rate of {self._spec.control.frequency:g} Hz: "
                "raise the driver's rate"
            )
        if abs(self._lag) > limit:
            found.append(
                f"its stamps are {self._lag:.1f} s old on arrival (limit {limit:g} s), so the actor would not listen: "
                "synchronise the clocks of both computers, or let the driver set the stamp"
            )
        if stuck := self._stuck.problem(REST_PATIENCE):
            found.append(stuck)
        return found

    def untried(self) -> list[str]:
        """What nobody has shown to work yet, as things to do; empty when all was seen.

        That messages arrive does not say that there is a device: drivers without one go on sending zeros.
        """
        names = {
            axis: name
            for (name, _, _), axis in zip(_components(self._spec), device_axes(self._spec), strict=True)
        }
        todo = []
        for axis, name in names.items():
            device_axis, sign = AXES[abs(axis) - 1], 1 if axis > 0 else -1
            ways = [way for way in (1, -1) if (device_axis, way * sign) in self._device.layout.reach]
            left = [way for way in ways if (device_axis, way * sign) not in self._moved]
            if left:
                signs = "/".join("+" if way > 0 else "-" for way in left)
                todo.append(f"move {signs}{name} (axis {abs(axis)})")
        for button in self.buttons():
            if button.meaning and not button.tried:
                name = f"button {button.number} ({button.meaning})"
                todo.append(
                    f"press {name}" if button.there else f"{name} not seen yet: press it once{_NO_BUTTON}"
                )
        return todo

    def usable(self, now: float) -> bool:
        """Whether nothing is wrong and everything that the task uses was seen to work."""
        return not self.problems(now) and not self.untried()


def button_meanings(spec: TaskSpec) -> dict[int, str]:
    """Button (0-based) -> what it does in this task."""
    meanings: dict[int, str] = {}
    for field, words in _BUTTONS.items():
        number = getattr(spec.intervention, field)
        idle = field in ("close_button", "open_button") and not spec.grippers
        idle |= field == "switch_button" and len(spec.arm_names) == 1
        if number is None or idle:
            continue
        meanings[number] = f"{meanings[number]}; {words}" if number in meanings else words
    return meanings


def _components(spec: TaskSpec) -> list[tuple[str, float, str]]:
    """(name, command at full deflection, unit) of each component of one arm."""
    action = spec.action
    if action.kind == "wrench":
        units = ("N" if axis.startswith("force") else "Nm" for axis in action.wrench_axes)
        return list(zip(action.wrench_axes, action.wrench_scale, units, strict=True))
    assert action.translation_scale is not None
    assert action.rotation_scale is not None
    translation = (1e3 * action.translation_scale, "mm/step")
    rotation = (float(np.degrees(action.rotation_scale)), "deg/step")
    return [(name, *(translation if k < 3 else rotation)) for k, name in enumerate(AXES)]
