# SPDX-License-Identifier: Apache-2.0
"""Shapes that markers are made of."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from hil_serl_core import geometry

Color = tuple[float, float, float, float]
"""Red, green, blue, opacity, each 0 to 1."""

WIDEST = 0.08
"""Distance of the drawn fingers when a gripper is open [m]; most hands open about as wide."""

_RED_GREEN_BLUE: tuple[Color, ...] = ((0.9, 0.2, 0.2, 1.0), (0.2, 0.8, 0.2, 1.0), (0.3, 0.4, 1.0, 1.0))


def color_message(rgba: Color) -> ColorRGBA:
    """Colour as a message."""
    return ColorRGBA(r=rgba[0], g=rgba[1], b=rgba[2], a=rgba[3])


def point(position: np.ndarray) -> Point:
    """Position (3,) as a message."""
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def clear(marker: Marker) -> Marker:
    """The marker as the request to remove it."""
    marker.action = Marker.DELETE
    return marker


def sized(marker: Marker, height: float) -> Marker:
    """A text with letters so high [m].

    RViz 2 takes a text's scale.x for the width of a space, and where that is 0 one for letters of a metre.
    """
    marker.scale.x, marker.scale.z = 0.5 * height, height
    return marker


def axes(marker: Marker, pose: np.ndarray, length: float, color: Color | None) -> Marker:
    """Turns a line list into a frame.

    Args:
        marker: The line list.
        pose: (7,) of the frame, in the marker's frame.
        length: Of each axis [m].
        color: Of all three; None: red x, green y, blue z.
    """
    directions = geometry.rotation_of(pose).as_matrix().T * length
    marker.points = [point(end) for axis in directions for end in (pose[:3], pose[:3] + axis)]
    colors = _RED_GREEN_BLUE if color is None else (color,) * 3
    marker.colors = [color_message(rgba) for rgba in colors for _ in range(2)]
    return marker


def hand(opening: float) -> list[np.ndarray]:
    """Ends of the lines that draw a two-finger hand in the frame of its tcp: fingers along z, opening along y.

    Args:
        opening: 0 closed to 1 open; NaN draws a tool without fingers.
    """
    wrist, palm = np.array([0.0, 0.0, -0.12]), np.array([0.0, 0.0, -0.05])
    if not math.isfinite(opening):
        return [wrist, np.zeros(3)]
    half = np.array([0.0, 0.5 * WIDEST * min(max(opening, 0.0), 1.0), 0.0])
    left, right = palm + half, palm - half
    return [wrist, palm, left, right, left, half, right, -half]
