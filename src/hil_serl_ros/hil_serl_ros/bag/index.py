# SPDX-License-Identifier: Apache-2.0
"""What the end of an MCAP file says about its messages: schemas, channels, counts, time span."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    Message,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from hil_serl_ros.bag.encoding import MAGIC, encode


@dataclass
class BagIndex:
    """Grows with every record and ends up in the summary section and in ``metadata.yaml``.

    Attributes:
        schemas: Schema id to schema.
        channels: Channel id to channel.
        counts: Channel id to number of messages.
        chunks: Where the closed chunks stand, and their message indexes.
        start_ns, end_ns: Earliest and latest log time [ns]; zero without messages.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    start_ns: int = 0
    end_ns: int = 0

    @property
    def message_count(self) -> int:
        return sum(self.counts.values())

    def add(self, record: McapRecord) -> None:
        """Account for a schema, channel or message; other records do not count."""
        if isinstance(record, Schema):
            self.schemas[record.id] = record
        elif isinstance(record, Channel):
            self.channels[record.id] = record
        elif isinstance(record, Message):
            first = not self.counts
            self.start_ns = record.log_time if first else min(self.start_ns, record.log_time)
            self.end_ns = max(self.end_ns, record.log_time)
            self.counts[record.channel_id] = self.counts.get(record.channel_id, 0) + 1

    def tail(self, offset: int, embedded: str, crc: int = 0) -> bytes:
        """Everything after the last message of a finished file.

        Args:
            offset: Where the tail starts in the file.
            embedded: What rosbag2 keeps of ``metadata.yaml`` inside the file, see ``metadata.embedded``.
            crc: CRC-32 of all before it; 0 where chunks have checksums of their own.
        """
        metadata = encode(Metadata(name="rosbag2", metadata={"serialized_metadata": embedded}))
        body = metadata + encode(DataEnd(data_section_crc=zlib.crc32(metadata, crc) if crc else 0))
        summary_start = offset + len(body)
        groups: list[tuple[Opcode, list[McapRecord]]] = [
            (Opcode.SCHEMA, list(self.schemas.values())),
            (Opcode.CHANNEL, list(self.channels.values())),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.CHUNK_INDEX, list(self.chunks)),
            (Opcode.METADATA_INDEX, [MetadataIndex(offset=offset, length=len(metadata), name="rosbag2")]),
        ]
        summary, offsets = b"", []
        for opcode, records in groups:
            if records:
                data = encode(*records)
                offsets.append(SummaryOffset(opcode, summary_start + len(summary), len(data)))
                summary += data
        offset_start = summary_start + len(summary)
        summary += encode(*offsets)
        # The summary's checksum covers the footer up to the checksum itself.
        footer = struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, offset_start)
        crc = zlib.crc32(footer, zlib.crc32(summary))
        return body + summary + encode(Footer(summary_start, offset_start, crc)) + MAGIC

    def _statistics(self) -> Statistics:
        return Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts=self.counts,
            chunk_count=len(self.chunks),
            message_count=self.message_count,
            message_end_time=self.end_ns,
            message_start_time=self.start_ns,
            metadata_count=1,
            schema_count=len(self.schemas),
        )
