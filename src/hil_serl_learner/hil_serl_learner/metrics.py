# SPDX-License-Identifier: Apache-2.0
"""Training curves for TensorBoard."""

from __future__ import annotations

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
