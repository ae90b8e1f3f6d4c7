# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them; a dash where there is none."""

from __future__ import annotations

import math

NOTHING = "–"


def percent(value: float) -> str:
    """A rate for people; a dash where there is none yet."""
    return NOTHING if math.isnan(value) else f"{100 * value:.0f} %"


def seconds(value: float) -> str:
    """A duration of a cycle for people."""
    return NOTHING if math.isnan(value) else f"{value:.1f} s"
