# SPDX-License-Identifier: Apache-2.0
"""What keys do to the square, in a window and in a terminal alike."""

from __future__ import annotations

import enum

from hil_serl_cli.crop.square import Square

HELP = (
    "arrows move (with Shift by one pixel), + and - resize (. and , by one pixel), Enter takes it, q leaves"
)
FINE = 1
"""Smallest step [px]."""


class Choice(enum.Enum):
    """What a key decided."""

    GO_ON = enum.auto()
    TAKE = enum.auto()
    LEAVE = enum.auto()


_MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_SIZES = {"+": 1, "=": 1, "-": -1}
_FINE_SIZES = {".": 1, ",": -1}


def press(square: Square, key: str) -> tuple[Square, Choice]:
    """Apply a key: ``left``, ``shift+left``, ``+``, ``enter``, ``q`` and so on; others do nothing."""
    coarse = max(FINE, square.width // 40)
    name, step = (key.removeprefix("shift+"), FINE) if key.startswith("shift+") else (key, coarse)
    if name in _MOVES:
        dx, dy = _MOVES[name]
        return square.moved(dx * step, dy * step), Choice.GO_ON
    if key in _SIZES:
        return square.resized(_SIZES[key] * 2 * coarse), Choice.GO_ON
    if key in _FINE_SIZES:
        return square.resized(_FINE_SIZES[key] * FINE), Choice.GO_ON
    if key == "enter":
        return square, Choice.TAKE
    return square, Choice.LEAVE if key in ("q", "escape") else Choice.GO_ON
