# SPDX-License-Identifier: Apache-2.0
"""Choosing the square in a terminal: the picture in half blocks, arrow keys, or numbers."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image as PillowImage
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hil_serl_cli.crop.keys import HELP, Choice, press
from hil_serl_cli.crop.square import Square, policy_view
from hil_serl_core.spec import CameraSpec

_SEQUENCES = {"A": "up", "B": "down", "C": "right", "D": "left"}
_ESCAPE = re.compile(r"\x1b(?:\[|O)(?:1;(\d))?([ABCD])")
_PLAIN = {"\r": "enter", "\n": "enter", "\x1b": "escape"}
_BORDER = (255, 220, 0)


def keys_of(text: str) -> list[str]:
    """Names of the keys in what a terminal has sent."""
    keys, at = [], 0
    while at < len(text):
        match = _ESCAPE.match(text, at)
        if match is not None:
            keys.append(("shift+" if match[1] == "2" else "") + _SEQUENCES[match[2]])
            at = match.end()
        else:
            keys.append(_PLAIN.get(text[at], text[at]))
            at += 1
    return keys


def blocks(pixels: np.ndarray, columns: int, square: Square | None = None) -> Text:
    """(H, W, 3) uint8 RGB as text of so many columns, two pixels a character, perhaps with the square."""
    scale = columns / pixels.shape[1]
    rows = max(1, round(scale * pixels.shape[0] / 2))
    shown = pixels if square is None else framed(pixels, square)
    grid = np.array(PillowImage.fromarray(shown).resize((columns, 2 * rows), PillowImage.Resampling.BOX))
    if square is not None:  # thin lines do not survive the scaling
        x, y, side = (int(scale * n) for n in (square.x, square.y, square.side))
        _border(grid, x, y, side, 1)
    text = Text()
    for upper, lower in zip(grid[0::2], grid[1::2], strict=True):
        for a, b in zip(upper, lower, strict=True):
            text.append("▀", f"rgb({a[0]},{a[1]},{a[2]}) on rgb({b[0]},{b[1]},{b[2]})")
        text.append("\n")
    return text


def framed(pixels: np.ndarray, square: Square) -> np.ndarray:
    """A copy of the picture with the square drawn into it, and all else darker."""
    drawn = (pixels * 0.45).astype(np.uint8)
    x, y, side, _ = square.crop
    drawn[y : y + side, x : x + side] = pixels[y : y + side, x : x + side]
    _border(drawn, x, y, side, max(1, square.width // 100))
    return drawn


def _border(pixels: np.ndarray, x: int, y: int, side: int, thickness: int) -> None:
    right, bottom = x + side, y + side
    for rows, columns in (
        (slice(y, y + thickness), slice(x, right)),
        (slice(bottom - thickness, bottom), slice(x, right)),
        (slice(y, bottom), slice(x, x + thickness)),
        (slice(y, bottom), slice(right - thickness, right)),
    ):
        pixels[rows, columns] = _BORDER


def render(
    pixels: np.ndarray, camera: CameraSpec, square: Square, width: int, note: str = ""
) -> RenderableType:
    """The whole picture with the square, what the policy sees beside it, and the numbers, for ``width`` columns."""
    left = max(16, min(96, round(width * 0.6)))
    right = max(12, min(left // 2, width - left - 3))
    table = Table.grid(padding=(0, 2))
    table.add_row(
        Text(f"camera {camera.name}", "bold"), Text(f"what the policy sees, {camera.size} px", "bold")
    )
    table.add_row(blocks(pixels, left, square), blocks(policy_view(pixels, camera, square), right))
    return Group(
        table, Text(f"crop: [{', '.join(map(str, square.crop))}]", "bold yellow"), Text(note or HELP)
    )


def choose(pixels: np.ndarray, camera: CameraSpec, square: Square, console: Console) -> Square | None:
    """Let a person choose in the terminal; None if they leave.

    Besides the keys, ``x y side`` and Enter set the numbers.
    """
    typed = ""
    with _keyboard() as read, Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            note = f"{HELP}; or type: x y side" if not typed else f"x y side: {typed}"
            live.update(render(pixels, camera, square, console.width, note), refresh=True)
            for key in keys_of(read()):
                square, typed, choice = step(square, typed, key)
                if choice is not Choice.GO_ON:
                    return square if choice is Choice.TAKE else None


def step(square: Square, typed: str, key: str) -> tuple[Square, str, Choice]:
    """One key, with the numbers typed so far: the new square, the numbers, and what was decided."""
    if key.isdigit() or (key == " " and typed):
        return square, typed + key, Choice.GO_ON
    if key == "\x7f" and typed:
        return square, typed[:-1], Choice.GO_ON
    if key == "enter" and typed:
        numbers = [int(part) for part in typed.split()]
        return (square.at(*numbers) if len(numbers) == 3 else square), "", Choice.GO_ON
    if key == "escape" and typed:
        return square, "", Choice.GO_ON
    square, choice = press(square, key)
    return square, typed, choice


@contextmanager
def _keyboard() -> Iterator[Callable[[], str]]:
    """Keys without Enter; yields what waits for some and returns them."""
    terminal = sys.stdin.fileno()
    saved = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)

        def read() -> str:
            select.select([terminal], [], [])
            return os.read(terminal, 64).decode("ascii", errors="replace")

        yield read
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, saved)
