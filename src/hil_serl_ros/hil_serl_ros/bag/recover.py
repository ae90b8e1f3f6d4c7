# SPDX-License-Identifier: Apache-2.0
"""Give a bag whose writer was killed the end that its writer would have written."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.records import Channel, Header, Message, Schema

from hil_serl_ros.bag.errors import BagError, BagWriteError
from hil_serl_ros.bag.index import LIBRARY, MAGIC, BagIndex, encode
from hil_serl_ros.bag.metadata import METADATA_FILE, embedded, to_yaml, write_metadata
from hil_serl_ros.bag.reader import find_bag_files
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

    The torn tail is cut off, then the summary is appended and ``metadata.yaml`` is put in place by an atomic
    rename. No message is moved or copied, so it is quick, needs no room to speak of, and being killed in the
    middle leaves an unfinished bag that can be recovered again. A finished bag is left as it is.

    Args:
        path: Bag folder or its ``.mcap`` file.

    Raises:
        BagInUseError: Its writer is alive.
        BagDamagedError: Damage inside the file, not a torn tail; nothing is changed.
        BagError: Written by another program.
        BagWriteError: No room for the summary; nothing is lost, try again.
    """
    (file_path,) = _one_file(Path(path))
    with file_path.open("r+b") as file:
        lock_for_writing(file.fileno(), file_path)
        index, data_end, scanner = _scan(file, file_path)
        metadata = to_yaml(index, file_path.name)
        in_place = file_path.parent / METADATA_FILE
        if scanner.finished:
            if not in_place.exists():
                write_metadata(file_path.parent, metadata)
            return Recovery(file_path, index.message_count, 0, True)
        try:
            file.truncate(data_end)
            index.crc = _checksum(file, data_end)
            file.seek(data_end)
            if data_end == 0:
                start = MAGIC + encode(Header(profile="ros2", library=LIBRARY))
                index.crc, data_end = zlib.crc32(start), len(start)
                file.write(start)
            file.write(index.tail(data_end, embedded(metadata)))
            file.flush()
            os.fsync(file.fileno())
            write_metadata(file_path.parent, metadata)
        except OSError as error:
            raise BagWriteError(file_path, error) from error
        return Recovery(file_path, index.message_count, scanner.dropped_bytes, False)


def recover_all(root: Path | str) -> list[Recovery]:
    """Recover every bag below a folder; see :func:`recover_bag`."""
    return [recover_bag(file) for file in find_bag_files(root)]


def _one_file(path: Path) -> list[Path]:
    files = find_bag_files(path)
    if len(files) != 1:
        raise BagError(f"{path} holds {len(files)} files; name one bag")
    return files


def _scan(file: BinaryIO, path: Path) -> tuple[BagIndex, int, RecordScanner]:
    """Index of a file, where its last record with content ends, and the scanner that found it."""
    index, data_end = BagIndex(), 0
    scanner = RecordScanner(file, path)
    for scanned in scanner:
        record = scanned.record
        if isinstance(record, Header):
            if record.library != LIBRARY:
                raise BagError(f"{path} was written by {record.library!r}; recover it with `mcap recover`")
            data_end = scanned.end
        elif isinstance(record, (Schema, Channel, Message)):
            index.add(record)
            # The writer's metadata record belongs to the end that is about to be written anew.
            data_end = scanned.end
    return index, data_end, scanner


def _checksum(file: BinaryIO, size: int) -> int:
    crc, left = 0, size
    file.seek(0)
    while left and (block := file.read(min(left, 1 << 20))):
        crc, left = zlib.crc32(block, crc), left - len(block)
    return crc
