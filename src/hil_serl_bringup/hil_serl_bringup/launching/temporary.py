# SPDX-License-Identifier: Apache-2.0
"""Files that are needed as long as a launch file runs that has no run folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

_kept: list[tempfile.TemporaryDirectory[str]] = []


def folder() -> Path:
    """A new folder that is removed when this process ends: nodes may read it again when they are restarted."""
    _kept.append(tempfile.TemporaryDirectory(prefix="hil-serl-"))
    return Path(_kept[-1].name)
