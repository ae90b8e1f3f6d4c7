# SPDX-License-Identifier: Apache-2.0
"""Give a bag whose writer was killed the end that its writer would have written."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.records import Channel, Header, Message, Schema

from hil_serl_ros.bag.chunk import HEAD_SIZE, OPEN_CHUNK, ChunkRecords
from hil_serl_ros.bag.encoding import LIBRARY, MAGIC, encode
from hil_serl_ros.bag.errors import BagError, BagWriteError
from hil_serl_ros.bag.files import find_bag_files
from hil_serl_ros.bag.index import BagIndex
from hil_serl_ros.bag.metadata import METADATA_FILE, embedded, to_yaml, write_metadata
from hil_serl_ros.bag.scan import RecordScanner
from hil_serl_ros.bag.writer import lock_for_writing


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        path: The MCAP file.
        messages: Whole messages in it.
        dropped_bytes: Bytes of a message that was being written when the writer was stopped; now cut off.
        was_finished: There was nothing to do.
    """

    path: Path
    messages: int
    dropped_bytes: int
    was_finished: bool


def recover_bag(path: Path | str) -> Recovery:
    """Finish an unfinished bag in place.

    The torn tail is cut off, the head of the last chunk takes its place, then the summary is appended and
    ``metadata.yaml`` is put in place by an atomic rename. No message is moved or copied, so it is quick, needs no room to
    speak of, and being killed in the middle leaves an unfinished bag that can be recovered again. A finished bag is left
    as it is. One that was begun before bags had chunks is finished without an index of its messages.

    Args:
        path: Bag folder or its ``.mcap`` file.

    Raises:
        BagInUseError: Its writer is alive.
        BagDamagedError: Damage inside the file, not a torn tail; nothing is changed.
        BagError: Written by another program.
        BagWriteError: No room for the summary; nothing is lost, try again.
    """
    (file_path,) = _one_file(Path(path))
    if file_path.suffix != ".mcap":
        raise BagError(
            f"{file_path} is compressed, which rosbag2 does to finished files: there is nothing to recover"
        )
    with file_path.open("r+b") as file:
        lock_for_writing(file.fileno(), file_path)
        found = _scan(file, file_path)
        index, scanner, data_end = found.index, found.scanner, found.data_end
        metadata = to_yaml(index, file_path.name)
        in_place = file_path.parent / METADATA_FILE
        if scanner.finished:
            if not in_place.exists():
                write_metadata(file_path.parent, metadata)
            return Recovery(file_path, index.message_count, 0, True)
        try:
            file.truncate(data_end)
            end = _close_chunks(file, found)
            crc = 0 if found.chunks else _checksum(file, 0, data_end)
            if data_end == 0:
                end = MAGIC + encode(Header(profile="ros2", library=LIBRARY))
                crc = zlib.crc32(end)
            file.seek(data_end)
            file.write(end + index.tail(data_end + len(end), embedded(metadata), crc))
            file.flush()
            os.fsync(file.fileno())
            write_metadata(file_path.parent, metadata)
        except OSError as error:
            raise BagWriteError(file_path, error) from error
        return Recovery(file_path, index.message_count, scanner.dropped_bytes, False)


def recover_all(root: Path | str) -> list[Recovery]:
    """Recover every bag below a folder; see :func:`recover_bag`. Compressed files were finished before."""
    return [recover_bag(file) for file in find_bag_files(root) if file.suffix == ".mcap"]


def _one_file(path: Path) -> list[Path]:
    files = find_bag_files(path)
    if len(files) != 1:
        raise BagError(f"{path} holds {len(files)} files; name one bag")
    return files


@dataclass
class _Found:
    """What a scan found: content, chunks, and where the last record with content ends."""

    index: BagIndex
    scanner: RecordScanner
    chunks: list[ChunkRecords]
    data_end: int = 0


def _scan(file: BinaryIO, path: Path) -> _Found:
    scanner = RecordScanner(file, path)
    found = _Found(BagIndex(), scanner, [])
    chunk: ChunkRecords | None = None
    for scanned in scanner:
        record, size = scanned.record, scanned.end - scanned.offset
        if isinstance(record, Header):
            if record.library != LIBRARY:
                raise BagError(f"{path} was written by {record.library!r}; recover it with `mcap recover`")
            found.data_end = scanned.end
        elif isinstance(record, (Schema, Channel, Message)):
            found.index.add(record)
            # Message indexes and metadata behind it belong to the end that is about to be written anew.
            found.data_end = scanned.end
            if chunk is not None:
                chunk.place(size, record)
        elif scanned.opcode in (Opcode.CHUNK, OPEN_CHUNK) and size == HEAD_SIZE:
            chunk = ChunkRecords(scanned.offset)
            found.chunks.append(chunk)
        else:
            chunk = None
    found.chunks = [chunk for chunk in found.chunks if chunk.size]
    return found


def _close_chunks(file: BinaryIO, found: _Found) -> bytes:
    """Put the chunks' heads in place; returns what has to follow the last record.

    Heads of all but the last chunk are there already, unless a power cut took the write away.
    """
    end = b""
    for chunk in found.chunks:
        chunk.crc = _checksum(file, chunk.start + HEAD_SIZE, chunk.size)
        file.seek(chunk.start)
        file.write(chunk.head())
        found.index.chunks.append(chunk.index())
        end = chunk.message_indexes() if chunk.end == found.data_end else b""
    return end


def _checksum(file: BinaryIO, start: int, size: int) -> int:
    crc, left = 0, size
    file.seek(start)
    while left and (block := file.read(min(left, 1 << 20))):
        crc, left = zlib.crc32(block, crc), left - len(block)
    return crc
