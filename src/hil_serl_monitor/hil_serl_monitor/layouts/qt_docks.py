# SPDX-License-Identifier: Apache-2.0
"""Places of a Qt main window's dock windows, as `QMainWindow::saveState` writes them (Qt 5 and 6).

RViz restores them from its layout; without them it puts every camera below the list of displays, in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

_WINDOW_STATE, _VERSION = 0xFF, 0
_DOCKS, _SPLIT, _DOCK, _TOOLBARS = b"\xfd", b"\xfc", b"\xfb", b"\xfc"
_LEAST, _MOST = 80, 0xFFFFFF
"""Length of a dock window along its row or column [pixels]; Qt skips both when it restores them."""
_CORNERS = (4, 4, 8, 8)
"""The top and the bottom area have the corners: Qt::TopDockWidgetArea and Qt::BottomDockWidgetArea."""


class Area(IntEnum):
    """Side of the main window, as the format numbers them."""

    LEFT = 0
    RIGHT = 1
    TOP = 2
    BOTTOM = 3

    @property
    def across(self) -> bool:
        """Its thickness is a width."""
        return self in (Area.LEFT, Area.RIGHT)


@dataclass(frozen=True)
class Split:
    """Dock windows (their object names) side by side or one above the other, each as long as the next.

    Attributes:
        side_by_side: Else one above the other.
        parts: Names, or splits in the other direction.
    """

    side_by_side: bool
    parts: tuple[Split | str, ...]


def window_state(areas: Mapping[Area, tuple[Split, int]], width: int, height: int, toolbar: str) -> str:
    """What `QMainWindow::restoreState` takes, in hexadecimal digits.

    Args:
        areas: Side -> its dock windows and its thickness [pixels].
        width: Of the main window [pixels].
        height: Of the main window [pixels].
        toolbar: Object name of its only tool bar, at the top.
    """
    content = _ints(_WINDOW_STATE, _VERSION) + _DOCKS + _ints(len(areas))
    middle = [width, height]
    for area, (split, thickness) in sorted(areas.items()):
        size = (thickness, height) if area.across else (width, thickness)
        content += _ints(area, *size) + _split(split, *size)
        middle[0 if area.across else 1] -= thickness
    content += _ints(*middle, *_CORNERS)
    content += _TOOLBARS + _ints(1, Area.TOP, 1) + _text(toolbar) + b"\x01" + _ints(0, -1, 0, 0)
    return content.hex()


def _split(split: Split, width: int, height: int) -> bytes:
    content = _SPLIT + bytes([1 if split.side_by_side else 2]) + _ints(len(split.parts))
    length = (width if split.side_by_side else height) // len(split.parts)
    for number, part in enumerate(split.parts):
        place = _ints(number * length, length, _LEAST, _MOST)
        if isinstance(part, str):
            content += _DOCK + _text(part) + b"\x01" + place
        else:
            inner = (length, height) if split.side_by_side else (width, length)
            content += _SPLIT + place + _split(part, *inner)
    return content


def _ints(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return _ints(len(encoded)) + encoded
