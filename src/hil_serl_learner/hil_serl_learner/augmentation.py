# SPDX-License-Identifier: Apache-2.0
"""Random-crop augmentation: pad by repeating the border, crop back at a random offset."""

from __future__ import annotations

import numpy as np


def draw_offsets(rng: np.random.Generator, count: int, padding: int) -> np.ndarray:
    """(count, 2) int64 offsets (down, right) in [-padding, padding] px, independent draws."""
    return rng.integers(-padding, padding, size=(count, 2), endpoint=True)


def view_offsets(rng: np.random.Generator, views: int, padding: int) -> np.ndarray:
    """(views, 2) int64 offsets of the cached views of one frame.

    View 0 is unshifted, the others differ if they can.
    """
    side = 2 * padding + 1
    centre = side * side // 2
    others = np.delete(np.arange(side * side), centre)
    offsets = np.zeros((views, 2), np.int64)
    if others.size and views > 1:
        chosen = rng.choice(others, views - 1, replace=views - 1 > others.size)
        offsets[1:, 0], offsets[1:, 1] = chosen // side - padding, chosen % side - padding
    return offsets


def shift(frames: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Shifts frames by whole pixels; what comes in from outside repeats the border (edge padding, then crop).

    Args:
        frames: (N, H, W, 3) uint8, or (H, W, 3) to make N views of one frame.
        offsets: (N, 2) rows of (down, right): output pixel (i, j) is input pixel (i + down, j + right).

    Returns:
        (N, H, W, 3) uint8.
    """
    height, width = frames.shape[-3:-1]
    rows = np.clip(np.arange(height) + offsets[:, :1], 0, height - 1)[:, :, None]
    columns = np.clip(np.arange(width) + offsets[:, 1:], 0, width - 1)[:, None, :]
    if frames.ndim == 3:
        return frames[rows, columns]
    return frames[np.arange(len(frames))[:, None, None], rows, columns]
