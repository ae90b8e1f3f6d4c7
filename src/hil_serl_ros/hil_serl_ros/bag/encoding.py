# SPDX-License-Identifier: Apache-2.0
"""Records as they stand in an MCAP file."""

from __future__ import annotations

from mcap.data_stream import RecordBuilder
from mcap.records import McapRecord

MAGIC = b"\x89MCAP0\r\n"
LIBRARY = "hil_serl_ros"


def encode(*records: McapRecord) -> bytes:
    """Bytes of records as they stand in the file."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return builder.end()
