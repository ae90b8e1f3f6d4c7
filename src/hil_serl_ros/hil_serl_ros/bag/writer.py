# SPDX-License-Identifier: Apache-2.0
"""Writer of rosbag2 MCAP bags that lose nothing when the process is killed or the disk is full.

A usual MCAP writer collects messages in a chunk in memory and writes its index at the end. This one writes
each message as a record of its own, in one system call, before ``write`` returns, into a chunk that gets its head when it
is full (:mod:`hil_serl_ros.bag.chunk`). A killed process leaves whole records, at most followed by a part of one;
:mod:`hil_serl_ros.bag.recover` then adds the missing end. A closed bag is indexed, as rosbag2's tools want it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.records import Channel, Header, McapRecord, Message, Schema
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message

from hil_serl_ros.bag import definitions
from hil_serl_ros.bag.chunk import CHUNK_SIZE, ChunkRecords, placeholder
from hil_serl_ros.bag.encoding import LIBRARY, MAGIC, encode
from hil_serl_ros.bag.errors import BagError, BagInUseError, BagWriteError
from hil_serl_ros.bag.index import BagIndex
from hil_serl_ros.bag.metadata import embedded, qos_to_yaml, to_yaml, write_metadata


def lock_for_writing(descriptor: int, path: Path) -> None:
    """Take the advisory lock that marks a bag as being written; it goes with the descriptor or the process.

    Raises:
        BagInUseError: Somebody else has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BagInUseError(path) from error


class BagWriter:
    """One bag: folder ``<name>/`` with ``<name>_0.mcap`` and, once closed, ``metadata.yaml``.

    Not thread-safe. As a context manager it closes the bag at the end.
    """

    def __init__(self, folder: Path | str, *, sync: bool = False) -> None:
        """Create the bag.

        Args:
            folder: Must not exist, its parents need not. sync: Also wait for the device after every message.
            Without it a message survives a killed process,
                with it a power cut as well, at the price of the device's latency.

        Raises:
            BagError: The folder exists.
            BagWriteError: The file cannot be written.
        """
        self.folder = Path(folder)
        self.path = self.folder / f"{self.folder.name}_0.mcap"
        self._sync = sync
        self._index = BagIndex()
        self._size = 0
        self._rest_behind = False  # part of a failed write may still stand behind the last good record
        self._chunk: ChunkRecords | None = None
        self._due = b""  # message indexes of the chunk closed last; they go ahead of whatever is written next
        self._channel_ids: dict[str, tuple[int, str]] = {}
        try:
            self.folder.mkdir(parents=True)
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        except FileExistsError as error:
            raise BagError(f"{self.folder} exists already; choose another name or remove it") from error
        except OSError as error:
            raise BagWriteError(self.path, error) from error
        lock_for_writing(self._descriptor, self.path)
        try:
            self._append(MAGIC + encode(Header(profile="ros2", library=LIBRARY)))
        except BagWriteError:
            # Nothing is in it yet: leave no empty bag, so that the same name can be tried again.
            self.abandon()
            self.path.unlink()
            self.folder.rmdir()
            raise

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    @property
    def message_count(self) -> int:
        return self._index.message_count

    def add_topic(self, topic: str, message_class: type, qos: QoSProfile) -> None:
        """Declare a topic; a second call with the same type is without effect.

        Args:
            topic: Full topic name, e.g. ``/step``.
            message_class: Generated message class.
            qos: Profile that a player will offer.

        Raises:
            BagError: Declared before with another type, or the type's definition is not installed.
            BagWriteError: See :meth:`write`.
        """
        name = definitions.type_name(message_class)
        if topic in self._channel_ids:
            if self._channel_ids[topic][1] != name:
                raise BagError(
                    f"{self.path}: topic {topic} has type {self._channel_ids[topic][1]}, not {name}"
                )
            return
        records: list[McapRecord] = []
        schema_id = next((s.id for s in self._index.schemas.values() if s.name == name), None)
        if schema_id is None:
            schema_id = len(self._index.schemas) + 1
            text = definitions.full_text(name)
            records.append(Schema(id=schema_id, name=name, encoding="ros2msg", data=text.encode()))
        channel_id = len(self._index.channels) + 1
        details = {"offered_qos_profiles": qos_to_yaml(qos), "topic_type_hash": definitions.type_hash(name)}
        records.append(
            Channel(id=channel_id, topic=topic, message_encoding="cdr", metadata=details, schema_id=schema_id)
        )
        self._append(encode(*records), *records)
        self._channel_ids[topic] = (channel_id, name)

    def write(self, topic: str, message: Any, stamp_ns: int, sequence: int | None = None) -> int:
        """Write one message; it is in the file when this returns.

        Args:
            topic: A declared topic.
            message: The message, or its serialized bytes.
            stamp_ns: Log and publish time [ns].
            sequence: MCAP sequence number; by default the number of messages on this topic so far.

        Returns:
            Offset of the record in the file.

        Raises:
            BagWriteError: The disk is full or failing. The file ends at the last good record, so that the
            same
                message can be tried again: nothing is lost and nothing doubled.
        """
        channel_id, _ = self._channel_ids[topic]
        data = message if isinstance(message, bytes) else serialize_message(message)
        count = self._index.counts.get(channel_id, 0)
        record = Message(
            channel_id=channel_id,
            log_time=stamp_ns,
            publish_time=stamp_ns,
            data=data,
            sequence=(count if sequence is None else sequence) & 0xFFFFFFFF,
        )
        if self._chunk is not None and self._chunk.size >= CHUNK_SIZE:
            self._close_chunk()
        encoded = encode(record)
        self._append(encoded, record)
        return self._size - len(encoded)

    def close(self) -> None:
        """Finish the bag: indexes, summary, ``metadata.yaml``. Without effect on a closed bag.

        Raises:
            BagWriteError: No room for the end. All messages are safe, and closing can be tried again.
        """
        if self._descriptor < 0:
            return
        metadata = to_yaml(self._index, self.path.name)
        before = self._chunk, self._due, self._size, len(self._index.chunks)
        try:
            self._close_chunk()
            tail = self._index.tail(self._size + len(self._due), embedded(metadata))
            self._write(self._due + tail)
            os.fsync(self._descriptor)
            write_metadata(self.folder, metadata)
        except (OSError, BagWriteError) as error:
            # More messages may come: the chunk is open again, and its head is written anew at the next attempt.
            self._chunk, self._due, self._size, chunks = before
            del self._index.chunks[chunks:]
            self._truncate()
            raise error if isinstance(error, BagWriteError) else BagWriteError(self.folder, error) from error
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is; :func:`hil_serl_ros.bag.recover.recover_bag` can finish it later."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes, *records: McapRecord) -> None:
        """Write at the end of the last good record, then account for it; a message goes into a chunk."""
        ahead, chunk = self._due, self._chunk
        if chunk is None and any(isinstance(record, Message) for record in records):
            head, at = placeholder(self._size + len(ahead))
            chunk = ChunkRecords(self._size + len(ahead) + at)
            ahead += head
        self._write(ahead + data)
        self._due, self._chunk = b"", chunk
        if chunk is not None:
            chunk.add(data, *records)
        for record in records:
            self._index.add(record)

    def _close_chunk(self) -> None:
        """Put the head of the chunk in place; its message indexes are due then."""
        chunk = self._chunk
        if chunk is None:
            return
        try:
            os.pwrite(self._descriptor, chunk.head(), chunk.start)
        except OSError as error:
            raise BagWriteError(self.path, error) from error
        self._due, self._chunk = chunk.message_indexes(), None
        self._index.chunks.append(chunk.index())

    def _write(self, data: bytes) -> None:
        if self._descriptor < 0:
            raise BagError(f"{self.path} is closed")
        try:
            if self._rest_behind:
                os.ftruncate(self._descriptor, self._size)
                self._rest_behind = False
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, memoryview(data)[written:], self._size + written)
            if self._sync:
                os.fdatasync(self._descriptor)
        except OSError as error:
            self._truncate()
            raise BagWriteError(self.path, error) from error
        self._size += len(data)

    def _truncate(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
            self._rest_behind = False
        except OSError:
            self._rest_behind = True

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            self.abandon()
