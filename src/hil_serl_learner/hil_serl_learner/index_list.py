# SPDX-License-Identifier: Apache-2.0
"""Set of slots with constant-time insertion, removal and indexing."""

from __future__ import annotations

import numpy as np


class IndexList:
    """Slots in a dense array, so that a uniform sample is one fancy index.

    Removal moves the last one into the gap.
    """

    def __init__(self, capacity: int) -> None:
        self._items = np.zeros(capacity, np.int64)
        self._position = np.full(capacity, -1, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, slot: int) -> bool:
        return self._position[slot] >= 0

    def add(self, slot: int) -> None:
        """Inserts a slot that is not in the list."""
        self._items[self._count] = slot
        self._position[slot] = self._count
        self._count += 1

    def discard(self, slot: int) -> None:
        """Removes a slot if it is in the list."""
        position = self._position[slot]
        if position < 0:
            return
        self._count -= 1
        last = self._items[self._count]
        self._items[position] = last
        self._position[last] = position
        self._position[slot] = -1

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count,) int64 slots, uniform with replacement; the list must not be empty."""
        return self._items[rng.integers(0, self._count, count)]

    def slots(self) -> np.ndarray:
        """All slots, in no particular order."""
        return self._items[: self._count].copy()
