# SPDX-License-Identifier: Apache-2.0
"""A keyboard as a six-axis device with buttons: held keys deflect an axis, a released key lets it go."""

from __future__ import annotations

from enum import Enum

import numpy as np

KEYS: dict[str, tuple[int, float]] = {
    "w": (0, 1.0), "s": (0, -1.0),
    "a": (1, 1.0), "d": (1, -1.0),
    "f": (2, 1.0), "r": (2, -1.0),
    "j": (3, 1.0), "l": (3, -1.0),
    "i": (4, 1.0), "k": (4, -1.0),
    "q": (5, 1.0), "e": (5, -1.0),
}  # fmt: skip
"""Key to (axis 0-5 of the tcp frame, direction)."""

BUTTONS: dict[str, int] = {"c": 0, "o": 1}
"""Key to the device's button: close and open the gripper."""


class Verdict(Enum):
    """What a key says about the episode, or to the actor."""

    SUCCESS = "y"
    FAILURE = "n"
    DISCARD = "x"
    SCENE_IS_RESET = "\n"
    STOP = "\x1b"
    CLEAR_STOP = "u"


SWITCH_ARM = "\t"

HELP = (
    "hold a key to move the tool (tool frame): w/s +-x, a/d +-y, f/r +-z (f: forward, along the tool), "
    "q/e yaw, i/k pitch, j/l roll; 1..9 sets the speed; c/o closes and opens the gripper; tab: the other arm; "
    "y success, n failure, x discard the episode; enter: the scene is reset; space or no key: hand off; "
    "Esc: STOP the robot, u: clear the stop; Ctrl-C ends"
)


class KeyboardDevice:
    """Turns key presses into axes.

    A terminal reports a held key as repeated presses and never its release, so a key counts as held for ``hold``
    seconds after its last press: longer than the repeat period, short enough to stop an arm. A key that has to be held
    is a deadman by itself, so the task's deadman button is reported with it.
    """

    def __init__(self, hold: float = 0.25, first_hold: float = 0.45, deadman: int | None = None) -> None:
        """``first_hold`` bridges the pause [s] between the first press and the first repeat of a held key."""
        self._deadman = deadman
        self._hold = hold
        self._first_hold = first_hold
        self._until: dict[str, float] = {}
        self._buttons = [-np.inf] * len(BUTTONS)  # until when each counts as pressed
        self._speed = 0.5

    def press(self, key: str, now: float) -> None:
        """One character from the terminal at time ``now`` [s]; unknown keys and space let everything go."""
        if key.isdigit() and key != "0":
            self._speed = int(key) / 9.0
        elif key in BUTTONS:
            self._buttons[BUTTONS[key]] = now + self._hold
        elif key in KEYS:
            axis = KEYS[key][0]
            for other in [held for held in self._until if KEYS[held][0] == axis and held != key]:
                del self._until[other]
            held_already = self._until.get(key, -np.inf) > now
            self._until[key] = now + (self._hold if held_already else self._first_hold)
        else:
            self._until.clear()

    def axes(self, now: float) -> np.ndarray:
        """(6,) axes in [-1, 1] at time ``now``."""
        result = np.zeros(6)
        for key, until in self._until.items():
            if until > now:
                axis, direction = KEYS[key]
                result[axis] = direction * self._speed
        return result

    def buttons(self, now: float) -> list[int]:
        """Buttons at time ``now``, 1 while pressed."""
        pressed = [int(until > now) for until in self._buttons]
        if self._deadman is None:
            return pressed
        held = any(pressed) or any(until > now for until in self._until.values())
        pressed += [0] * (self._deadman + 1 - len(pressed))
        pressed[self._deadman] = int(held)
        return pressed
