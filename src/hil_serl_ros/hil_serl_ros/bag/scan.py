# SPDX-License-Identifier: Apache-2.0
"""Record by record through an MCAP file that may be unfinished, cut short or damaged."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, DataEnd, Header, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, breakup_chunk

from hil_serl_ros.bag.errors import BagDamagedError, BagError
from hil_serl_ros.bag.index import MAGIC

_HEAD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<BQHIQ")  # opcode, length, channel id, sequence, log time
_MESSAGE_FIXED = 22  # bytes of a message record before its data
_PRIVATE_OPCODE = 0x80  # from here on: extensions, to be skipped
_DATA_SECTION = frozenset(
    {
        Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK, Opcode.MESSAGE_INDEX,
        Opcode.ATTACHMENT, Opcode.METADATA, Opcode.DATA_END,
    }
)  # fmt: skip
_PARSERS: dict[int, Callable[[ReadDataStream], McapRecord]] = {
    Opcode.HEADER: Header.read,
    Opcode.SCHEMA: Schema.read,
    Opcode.CHANNEL: Channel.read,
    Opcode.CHUNK: Chunk.read,
}
_MAX_TIME_JUMP_NS = 86_400 * 10**9


@dataclass(frozen=True)
class ScannedRecord:
    """A whole record of the data section.

    Attributes:
        offset: Where it starts in the file (a message inside a chunk: where the chunk starts).
        end: Where the next record starts.
        record: The parsed record; None for kinds that carry no message.
    """

    offset: int
    end: int
    record: McapRecord | None


class RecordScanner:
    """Iterates over the whole records of the data section of one file.

    A file that ends in the middle of a record, or in zeros as a power cut leaves them, is taken for
    unfinished: its whole records are delivered and the rest is counted. Anything else that is not a record is
    damage.

    Attributes:
        end: End of the last whole record, once iteration is over.
        dropped_bytes: Bytes behind it that are no whole record (0 for a finished file).
        finished: The file has its data end, footer and closing magic.
    """

    def __init__(self, file: BinaryIO, path: Path, *, check: bool = True) -> None:
        """Read nothing yet.

        Args:
            file: Opened for reading, at any position.
            path: Named in errors.
            check: Verify the checksum of a finished file when the scan reaches its end.
        """
        self._file = file
        self._path = path
        self._check = check
        self._channels: set[int] = set()
        self._last_time_ns = 0
        self.size = os.fstat(file.fileno()).st_size
        self.end = 0
        self.dropped_bytes = 0
        self.finished = False

    def __iter__(self) -> Iterator[ScannedRecord]:
        """Deliver records; raises BagDamagedError with file and offset."""
        self._file.seek(0)
        magic = self._file.read(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                self.dropped_bytes = len(magic)
                return
            raise BagError(
                f"{self._path} is not an MCAP file; only bags in rosbag2's mcap storage can be read"
            )
        self.end = len(MAGIC)
        crc = zlib.crc32(magic)
        while True:
            offset = self.end
            head = self._file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                self.dropped_bytes = len(head)
                return
            opcode, length = _HEAD.unpack(head)
            known = opcode in _DATA_SECTION or opcode >= _PRIVATE_OPCODE
            if not known or offset + _HEAD.size + length > self.size:
                self._judge_rest(offset, opcode if known else None)
                return
            content = self._file.read(length)
            if len(content) < length:
                self.dropped_bytes = self.size - offset
                return
            if opcode == Opcode.DATA_END:
                self._finish(offset, content, crc)
                return
            if self._check:
                crc = zlib.crc32(content, zlib.crc32(head, crc))
            self.end = offset + _HEAD.size + length
            yield from self._parse(opcode, content, offset)

    def _parse(self, opcode: int, content: bytes, offset: int) -> Iterator[ScannedRecord]:
        try:
            if opcode == Opcode.MESSAGE:
                if len(content) <= _MESSAGE_FIXED:
                    raise ValueError("message without data")
                record: McapRecord | None = Message.read(ReadDataStream(BytesIO(content)), len(content))
            elif opcode in _PARSERS:
                record = _PARSERS[opcode](ReadDataStream(BytesIO(content)))
            else:
                record = None
            inner = breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]
        except CRCValidationError as error:
            raise BagDamagedError(self._path, offset, f"checksum of a chunk: {error}") from error
        except (McapError, ValueError, struct.error, RuntimeError, OverflowError) as error:
            raise BagDamagedError(self._path, offset, f"unreadable record ({error})") from error
        for item in inner:
            if isinstance(item, Channel):
                self._channels.add(item.id)
            elif isinstance(item, Message):
                if item.channel_id not in self._channels:
                    raise BagDamagedError(self._path, offset, f"message of unknown channel {item.channel_id}")
                self._last_time_ns = item.log_time
            yield ScannedRecord(offset, self.end, item)

    def _finish(self, offset: int, content: bytes, crc: int) -> None:
        """Judge what follows the data section: a whole summary, or one cut while it was written."""
        self._file.seek(max(self.size - len(MAGIC), 0))
        self.finished = self._file.read(len(MAGIC)) == MAGIC and self.size > offset + 2 * len(MAGIC)
        expected = DataEnd.read(ReadDataStream(BytesIO(content))).data_section_crc if len(content) >= 4 else 0
        if self._check and self.finished and expected and expected != crc:
            raise BagDamagedError(
                self._path, offset, "the checksum of its messages does not fit their content"
            )

    def _judge_rest(self, offset: int, opcode: int | None) -> None:
        """Decide whether the bytes from ``offset`` on are a tail cut short, or damage."""
        self._file.seek(offset)
        rest = self._file.read(self.size - offset)  # no more: a bag that is being recorded grows meanwhile
        if rest.strip(b"\0") == b"":
            self.dropped_bytes = len(rest)
            return
        if opcode is None:
            raise BagDamagedError(self._path, offset, f"no record starts with byte {rest[0]:#04x}")
        # A chunk holds message records, so finding some in a cut chunk proves nothing.
        if opcode != Opcode.CHUNK and (later := self._find_message(rest)) is not None:
            raise BagDamagedError(
                self._path,
                offset,
                f"a record claims to reach beyond the end, but another starts at {offset + later}",
            )
        self.dropped_bytes = len(rest)

    def _find_message(self, rest: bytes) -> int | None:
        """Offset in ``rest`` of a message that fits what is before it and what is behind it."""
        at = 0
        while (at := rest.find(bytes([Opcode.MESSAGE]), at + 1)) >= 0 and at + _MESSAGE_HEAD.size <= len(
            rest
        ):
            _, length, channel, _, time_ns = _MESSAGE_HEAD.unpack_from(rest, at)
            after = at + _HEAD.size + length
            if (
                channel in self._channels
                and length > _MESSAGE_FIXED
                and after <= len(rest)
                and 0 <= time_ns - self._last_time_ns <= _MAX_TIME_JUMP_NS
                and (after == len(rest) or rest[after] in _DATA_SECTION)
            ):
                return at
        return None
