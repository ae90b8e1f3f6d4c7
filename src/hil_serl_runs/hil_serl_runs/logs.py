# SPDX-License-Identifier: Apache-2.0
"""Logs of a run's processes."""

from __future__ import annotations

import os
from pathlib import Path


def tail(path: Path, lines: int = 15) -> tuple[str, ...]:
    """Last non-empty lines of a text file, without reading all of it; empty if it does not exist."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-lines:]
