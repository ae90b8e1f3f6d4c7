# SPDX-License-Identifier: Apache-2.0
"""Numbers as the tables of the results page show them; a dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hil_serl_runs.formats import NOTHING


def number(value: int | None) -> str:
    """A count."""
    return NOTHING if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share."""
    return NOTHING if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def seconds(value: float | None) -> str:
    """A duration [s]."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.1f} s"


def success(trials: Mapping[str, Any]) -> str:
    """A success rate with its confidence interval, of ``episodes``, ``successes`` and ``ci95``."""
    if not trials["episodes"]:
        return NOTHING
    low, high = trials["ci95"]
    share = trials["successes"] / trials["episodes"]
    return f"{percent(share)} ({percent(low)} to {percent(high)}, n = {trials['episodes']})"
