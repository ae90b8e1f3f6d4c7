# SPDX-License-Identifier: Apache-2.0
"""Building blocks for ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from hil_serl_ros.stamps import stamp_from_ns


class Level(IntEnum):
    """Levels of ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def diagnostic_status(
    name: str, level: Level, message: str, *, hardware_id: str = "", **values: object
) -> DiagnosticStatus:
    """One line of diagnostics.

    Args:
        name: Component, e.g. ``actor/cameras``.
        level: How it is.
        message: One line for people; with WARN and ERROR it says what to do.
        hardware_id: Serial number or similar.
        **values: Shown as key and value, floats with four digits.
    """
    return DiagnosticStatus(
        name=name,
        level=bytes([level]),
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def diagnostic_array(stamp_ns: int, statuses: Iterable[DiagnosticStatus]) -> DiagnosticArray:
    """Message for ``/diagnostics`` with a stamp in nanoseconds."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message
