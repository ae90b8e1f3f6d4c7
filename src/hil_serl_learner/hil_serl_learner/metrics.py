# SPDX-License-Identifier: Apache-2.0
"""Training curves for TensorBoard, and the rate of updates."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path


class MetricsWriter:
    """Writes scalars under ``train/`` against the number of online records."""

    def __init__(self, folder: Path) -> None:
        """Creates the folder; raises OSError if it cannot be written."""
        # Imported here: it takes a second, which tools that only need the module's name should not pay.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), flush_secs=10)

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes one row."""
        for name, value in scalars.items():
            self._writer.add_scalar(f"train/{name}", value, step)

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()


class Rate:
    """Increments per second of wall time, smoothed over about three seconds."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._value = 0.0

    def value(self, count: int) -> float:
        """Takes the present count; at most ten times a second changes the estimate."""
        now = time.monotonic()
        if self._last is None:
            self._last = (now, count)
        elapsed = now - self._last[0]
        if elapsed > 0.1:
            share = min(1.0, elapsed / 3.0)
            self._value += share * ((count - self._last[1]) / elapsed - self._value)
            self._last = (now, count)
        return self._value
