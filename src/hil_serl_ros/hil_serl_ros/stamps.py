# SPDX-License-Identifier: Apache-2.0
"""ROS time stamps as float seconds and as integer nanoseconds."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time

_NS = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Whole nanoseconds; use these to compare stamps of one tick."""
    return stamp.sec * _NS + stamp.nanosec


def stamp_from_ns(nanoseconds: int) -> Time:
    """Time message of non-negative nanoseconds."""
    return Time(sec=nanoseconds // _NS, nanosec=nanoseconds % _NS)


def seconds_to_ns(seconds: float) -> int:
    """Nearest nanosecond of a time in seconds.

    Raises:
        ValueError: ``seconds`` is negative, not finite, or beyond what a ROS time can hold.
    """
    if not (math.isfinite(seconds) and 0.0 <= seconds < 2**31 - 1):
        raise ValueError(f"stamp: {seconds} s is not a ROS time")
    whole = math.floor(seconds)
    return whole * _NS + round((seconds - whole) * _NS)


def stamp_to_seconds(stamp: Time) -> float:
    """Seconds as the double nearest to the stamp (integer division rounds once, a product twice)."""
    return stamp_to_ns(stamp) / _NS


def stamp_from_seconds(seconds: float) -> Time:
    """Time message of a time in seconds; see :func:`seconds_to_ns` for errors."""
    return stamp_from_ns(seconds_to_ns(seconds))
