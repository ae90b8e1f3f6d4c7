# SPDX-License-Identifier: Apache-2.0
"""The square of a camera's picture that the policy sees, as it is moved and resized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil_serl_core.observation import crop_and_resize
from hil_serl_core.spec import CameraSpec

SMALLEST = 16
"""Smallest side [px]."""


@dataclass(frozen=True)
class Square:
    """A square that lies inside a picture, whatever is done to it.

    Attributes:
        width, height: Size of the picture [px].
        x, y: Left upper corner [px].
        side: [px].
    """

    width: int
    height: int
    x: int
    y: int
    side: int

    @classmethod
    def of(cls, camera: CameraSpec) -> Square:
        """The present crop; the largest square in its middle if it is none."""
        width, height = camera.source_width, camera.source_height
        x, y, w, h = camera.crop or (0, 0, width, height)
        side = min(w, h)
        return cls(width, height, x + (w - side) // 2, y + (h - side) // 2, side)

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """As a task file has it: x, y, width, height [px]."""
        return self.x, self.y, self.side, self.side

    def at(self, x: float, y: float, side: float) -> Square:
        """This corner and side, or the nearest that fits."""
        fitting = int(
            np.clip(round(side), min(SMALLEST, self.width, self.height), min(self.width, self.height))
        )
        return Square(
            self.width,
            self.height,
            int(np.clip(round(x), 0, self.width - fitting)),
            int(np.clip(round(y), 0, self.height - fitting)),
            fitting,
        )

    def moved(self, dx: float, dy: float) -> Square:
        """Moved by pixels."""
        return self.at(self.x + dx, self.y + dy, self.side)

    def resized(self, change: float) -> Square:
        """Larger by so many pixels, around the same middle."""
        resized = self.at(self.x, self.y, self.side + change)
        half = (self.side - resized.side) / 2
        return resized.at(self.x + half, self.y + half, resized.side)

    def spanned(self, x0: float, y0: float, x1: float, y1: float) -> Square:
        """The square that a pointer has drawn from one corner to another; the longer way counts."""
        side = max(abs(x1 - x0), abs(y1 - y0), SMALLEST)
        return self.at(x0 if x1 >= x0 else x0 - side, y0 if y1 >= y0 else y0 - side, side)

    def contains(self, x: float, y: float) -> bool:
        """Whether a point of the picture lies in the square."""
        return self.x <= x < self.x + self.side and self.y <= y < self.y + self.side


def policy_view(pixels: np.ndarray, camera: CameraSpec, square: Square) -> np.ndarray:
    """(size, size, 3) uint8: exactly what the policy would see of (H, W, 3) ``pixels``."""
    return crop_and_resize(pixels, camera.model_copy(update={"crop": square.crop}))
