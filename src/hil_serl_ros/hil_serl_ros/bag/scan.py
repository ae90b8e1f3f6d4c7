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

from hil_serl_ros.bag.encoding import MAGIC
from hil_serl_ros.bag.errors import BagDamagedError, BagError

_HEAD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<BQHIQ")  # opcode, length, channel id, sequence, log time
_MESSAGE_FIXED = 22  # bytes of a message record before its data
_CHUNK_HEAD = struct.Struct("<QQQII")  # first and last time, size, CRC, length of the compression's name
_PLAIN_HEAD = _CHUNK_HEAD.size + 8  # bytes before the records of a chunk without compression
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
_IN_CHUNK = frozenset({Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE})
_MAX_TIME_JUMP_NS = 86_400 * 10**9


@dataclass(frozen=True)
class ScannedRecord:
    """A whole record of the data section.

    Attributes:
        offset: Where it starts in the file (inside a compressed chunk: where the chunk starts).
        end: Where the next record starts.
        record: The parsed record; None for kinds that carry no message.
        opcode: Its kind. A chunk without compression comes as its head, with the records after it; of a compressed one
            there are only the records.
    """

    offset: int
    end: int
    record: McapRecord | None
    opcode: int


@dataclass
class _OpenChunk:
    """A chunk without compression whose records are being read."""

    start: int
    end: int
    crc: int
    expected: int


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
        self._chunk: _OpenChunk | None = None
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
            known = opcode in (_IN_CHUNK if self._chunk else _DATA_SECTION) or opcode >= _PRIVATE_OPCODE
            if self._chunk and (not known or offset + _HEAD.size + length > self._chunk.end):
                what = (
                    "a record reaches beyond its chunk"
                    if known
                    else f"no record starts with byte {opcode:#04x}"
                )
                raise BagDamagedError(self._path, offset, what)
            if opcode == Opcode.CHUNK and (plain := self._plain_head(offset, length)):
                head += plain
            elif not known or offset + _HEAD.size + length > self.size:
                self._judge_rest(offset, opcode if known else None)
                return
            else:
                content = self._file.read(length)
                if len(content) < length:
                    self.dropped_bytes = self.size - offset
                    return
                if opcode == Opcode.DATA_END:
                    self._finish(offset, content, crc)
                    return
                head += content
            if self._check:
                crc = zlib.crc32(head, crc)
            self.end = offset + len(head)
            if self._chunk and self._chunk.start == offset:
                yield ScannedRecord(offset, self.end, None, opcode)
            else:
                yield from self._parse(opcode, head[_HEAD.size :], offset)
            self._end_chunk(head if self._chunk and self._chunk.start != offset else b"")

    def _plain_head(self, offset: int, length: int) -> bytes:
        """The rest of a chunk's head, if the chunk is not compressed: its records are read like any others."""
        rest = self._file.read(_PLAIN_HEAD)
        if len(rest) == _PLAIN_HEAD and not (head := _CHUNK_HEAD.unpack_from(rest))[4]:
            _, _, size, crc, _ = head
            if int.from_bytes(rest[-8:], "little") != size or length != size + _PLAIN_HEAD:
                raise BagDamagedError(self._path, offset, "a chunk contradicts itself about its size")
            start = offset + _HEAD.size + _PLAIN_HEAD
            self._chunk = _OpenChunk(offset, start + size, 0, crc)
            return rest
        self._file.seek(offset + _HEAD.size)
        return b""

    def _end_chunk(self, content: bytes) -> None:
        """Account for a record of a chunk, and check the chunk's checksum behind its last one."""
        chunk = self._chunk
        if chunk is None:
            return
        if self._check:
            chunk.crc = zlib.crc32(content, chunk.crc)
        if self.end == chunk.end:
            self._chunk = None
            if self._check and chunk.expected and chunk.crc != chunk.expected:
                raise BagDamagedError(
                    self._path, chunk.start, "the checksum of a chunk does not fit its content"
                )

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
            yield ScannedRecord(offset, self.end, item, opcode)

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
