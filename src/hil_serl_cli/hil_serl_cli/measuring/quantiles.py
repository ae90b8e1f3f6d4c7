# SPDX-License-Identifier: Apache-2.0
"""Latencies as a bench reports them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quantiles(samples: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and largest of samples in seconds, in ms."""
    values = 1000.0 * np.asarray(samples, float)
    return {
        "count": len(values),
        "p50_ms": float(np.median(values)),
        "p99_ms": float(np.quantile(values, 0.99)),
        "max_ms": float(values.max()),
    }
