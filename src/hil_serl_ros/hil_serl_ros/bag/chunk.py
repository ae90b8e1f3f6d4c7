# SPDX-License-Identifier: Apache-2.0
"""Chunks of an MCAP file that are there before they are full: what an index can point to, and a kill cannot take away.

A chunk without compression is a head followed by plain records. So the writer puts a record of the same length where the
head will stand, of a kind that every reader skips, and then writes record after record as if there were no chunk. When the
chunk is full, the head takes the place of that record: nothing is moved, and at any moment the file can be read.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from mcap.opcode import Opcode
from mcap.records import ChunkIndex, McapRecord, Message, MessageIndex

from hil_serl_ros.bag.encoding import encode

CHUNK_SIZE = 1 << 20
"""Bytes of records after which a chunk is closed; a reader that seeks loads one chunk."""

OPEN_CHUNK = 0xC8
"""Opcode of the record in place of the head, one of those that MCAP leaves to applications and readers skip."""

_HEAD = struct.Struct("<BQQQQIIQ")  # opcode, length, first and last time, size, CRC, no compression, size
HEAD_SIZE = _HEAD.size
_RECORD = struct.Struct("<BQ")
_SECTOR = 512  # bytes that a disk writes as a whole


def placeholder(offset: int) -> tuple[bytes, int]:
    """What to write at ``offset`` in place of a chunk's head, and where in it the head will stand.

    A head that lay across two sectors could be half there after a power cut; a filling record puts it into the next one.
    """
    room = _SECTOR - offset % _SECTOR
    filling = b""
    if room < HEAD_SIZE:
        filling = _private(max(room, _RECORD.size))
    return filling + _private(HEAD_SIZE), len(filling)


def _private(size: int) -> bytes:
    return _RECORD.pack(OPEN_CHUNK, size - _RECORD.size) + bytes(size - _RECORD.size)


@dataclass
class ChunkRecords:
    """What is known of a chunk's records.

    Attributes:
        start: Where its head stands in the file.
        size: Bytes of its records.
        crc: CRC-32 of them.
        start_ns, end_ns: Earliest and latest log time [ns]; zero without messages.
        places: Channel id to (log time, offset in the records) of its messages.
    """

    start: int
    size: int = 0
    crc: int = 0
    start_ns: int = 0
    end_ns: int = 0
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Where its records end in the file."""
        return self.start + HEAD_SIZE + self.size

    def add(self, data: bytes, *records: McapRecord) -> None:
        """Account for records and their bytes; a message comes alone."""
        self.place(len(data), *records)
        self.crc = zlib.crc32(data, self.crc)

    def place(self, size: int, *records: McapRecord) -> None:
        """Account for records of so many bytes, but for their checksum."""
        for record in records:
            if isinstance(record, Message):
                self.start_ns = min(self.start_ns, record.log_time) if self.places else record.log_time
                self.end_ns = max(self.end_ns, record.log_time)
                self.places.setdefault(record.channel_id, []).append((record.log_time, self.size))
        self.size += size

    def head(self) -> bytes:
        """The head that takes the place of the placeholder."""
        length = HEAD_SIZE - _RECORD.size + self.size
        times = self.start_ns, self.end_ns
        return _HEAD.pack(Opcode.CHUNK, length, *times, self.size, self.crc, 0, self.size)

    def message_indexes(self) -> bytes:
        """The records that follow the chunk: where the messages of each channel stand in it."""
        return encode(*(MessageIndex(channel, places) for channel, places in self.places.items()))

    def index(self) -> ChunkIndex:
        """Its entry in the summary; the message indexes follow directly."""
        offsets, at = {}, self.end
        for channel, places in self.places.items():
            offsets[channel] = at
            at += len(encode(MessageIndex(channel, places)))
        return ChunkIndex(
            chunk_length=HEAD_SIZE + self.size,
            chunk_start_offset=self.start,
            compression="",
            compressed_size=self.size,
            message_end_time=self.end_ns,
            message_index_length=at - self.end,
            message_index_offsets=offsets,
            message_start_time=self.start_ns,
            uncompressed_size=self.size,
        )
