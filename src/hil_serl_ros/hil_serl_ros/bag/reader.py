# SPDX-License-Identifier: Apache-2.0
"""Messages and steps of bags: of one file, one bag folder, or everything below a folder.

Reads what :mod:`hil_serl_ros.bag.writer` and ``ros2 bag record -s mcap`` write, finished or not, compressed or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mcap.records import Channel, Message, Schema
from rclpy.serialization import deserialize_message

from hil_serl_core.step import Step
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros.bag import definitions
from hil_serl_ros.bag.errors import BagDamagedError, BagError
from hil_serl_ros.bag.files import find_bag_files, open_bag, plain_message
from hil_serl_ros.bag.order import in_order
from hil_serl_ros.bag.scan import RecordScanner
from hil_serl_ros.conversions import step_from_message

STEP_TYPE = "hil_serl_msgs/msg/Step"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: Topic name.
        type_name: e.g. ``hil_serl_msgs/msg/Step``.
        stamp_ns: Log time [ns].
        sequence: MCAP sequence number (32 bits).
        data: Serialized message (CDR).
        path: File it is from.
        offset: Where its record starts in the file.
    """

    topic: str
    type_name: str
    stamp_ns: int
    sequence: int
    data: bytes
    path: Path
    offset: int

    def deserialize(self) -> Any:
        """The message; BagDamagedError if the bytes are not one, BagError if its package is not installed."""
        try:
            kind = definitions.message_class(self.type_name)
        except BagError as error:
            raise BagError(f"{self.path}: {error}") from error
        try:
            return deserialize_message(self.data, kind)
        except Exception as error:  # RMWError or RuntimeError, depending on the middleware
            raise BagDamagedError(self.path, self.offset, f"not a {self.type_name} ({error})") from error


@dataclass(frozen=True)
class BagProblem:
    """Something a tolerant read left out.

    Attributes:
        path: The file.
        offset: End of what was read.
        dropped_bytes: Bytes left out.
        reason: One line for people.
    """

    path: Path
    offset: int
    dropped_bytes: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: left out {self.dropped_bytes} bytes from byte {self.offset} on: {self.reason}"


class BagFileReader:
    """Messages of one MCAP file, in file order."""

    def __init__(self, path: Path | str, *, keep_before_damage: bool = False) -> None:
        """Open nothing yet.

        Args:
            path: The file.
            keep_before_damage: On damage, deliver what is before it and note a problem, instead of raising.
        """
        self.path = Path(path)
        self.problem: BagProblem | None = None
        self.finished = False
        self._keep = keep_before_damage

    def __iter__(self) -> Iterator[BagMessage]:
        """Deliver the whole messages; ``problem`` and ``finished`` are set when iteration is over.

        Raises:
            BagDamagedError: Damage inside the file. It is checked as a whole before its first message is
                delivered, so that nothing is used of a file that is refused.
            BagError: The file cannot be opened or is not MCAP; see :func:`hil_serl_ros.bag.files.open_bag`.
        """
        try:
            file = open_bag(self.path)
        except BagDamagedError as error:
            if not self._keep:
                raise
            self.problem = BagProblem(self.path, 0, error.offset, error.reason)
            return
        with file:
            scanner = RecordScanner(file, self.path)
            reason = ""
            try:
                if not self._keep:
                    for _ in scanner:
                        pass
                    scanner = RecordScanner(file, self.path, check=False)
                yield from self._messages(scanner)
            except BagDamagedError as error:
                if not self._keep:
                    raise
                reason = error.reason
            self.finished = scanner.finished
            dropped = scanner.size - scanner.end if reason else scanner.dropped_bytes
            if dropped:
                reason = reason or "its writer was stopped in the middle of a record"
                self.problem = BagProblem(self.path, scanner.end, dropped, reason)

    def _messages(self, scanner: RecordScanner) -> Iterator[BagMessage]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        for scanned in scanner:
            record = scanned.record
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
                schema = schemas.get(record.schema_id)
                if schema is None:
                    raise BagDamagedError(self.path, scanned.offset, f"no schema for {record.topic!r}")
                if schema.name == STEP_TYPE:
                    _check_step_definition(self.path, record, schema)
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                try:
                    data = plain_message(record.data)
                except ValueError as error:
                    raise BagDamagedError(self.path, scanned.offset, str(error)) from error
                yield BagMessage(
                    topic=channel.topic,
                    type_name=schemas[channel.schema_id].name,
                    stamp_ns=record.log_time,
                    sequence=record.sequence,
                    data=data,
                    path=self.path,
                    offset=scanned.offset,
                )


def _check_step_definition(path: Path, channel: Channel, schema: Schema) -> None:
    recorded, installed = channel.metadata.get("topic_type_hash", ""), definitions.type_hash(STEP_TYPE)
    if recorded and installed:
        same = recorded == installed
    else:
        text = schema.data.decode(errors="replace")
        same = schema.encoding != "ros2msg" or definitions.same_definition(
            text, definitions.full_text(STEP_TYPE), STEP_TYPE
        )
    if not same:
        raise BagError(
            f"{path} was recorded with another definition of {STEP_TYPE} ({recorded or 'no hash'}, "
            f"installed is {installed or 'no hash'}); read it with the version of the suite that recorded it"
        )


def _warn(problem: BagProblem) -> None:
    _log.warning("%s", problem)


def read_messages(
    path: Path | str,
    *,
    types: Collection[str] | None = None,
    topics: Collection[str] | None = None,
    keep_before_damage: bool = False,
    on_problem: Callable[[BagProblem], None] = _warn,
) -> Iterator[BagMessage]:
    """Messages below a path, file after file in recording order; steps alone, each actor's in sequence (``in_order``).

    Args:
        path: An ``.mcap`` file, a bag folder, or a folder of bags such as ``run/bags/demos``.
        types: Only messages of these types.
        topics: Only messages on these topics.
        keep_before_damage: On damage inside a file, deliver what is before it instead of raising.
        on_problem: Called with what a file had to leave out; by default a logged warning.

    Raises:
        BagError, BagDamagedError: See :class:`BagFileReader`.
    """
    for file in find_bag_files(path):
        reader = BagFileReader(file, keep_before_damage=keep_before_damage)
        wanted = (
            message
            for message in reader
            if (types is None or message.type_name in types) and (topics is None or message.topic in topics)
        )
        yield from in_order(wanted) if types == {STEP_TYPE} else wanted
        if reader.problem is not None:
            on_problem(reader.problem)


def step_of(message: BagMessage) -> Step:
    """Step of a bag message; BagDamagedError if it contradicts itself."""
    decoded = message.deserialize()
    if not isinstance(decoded, StepMessage):
        raise BagError(f"{message.path}: {message.topic} carries {message.type_name}, not {STEP_TYPE}")
    try:
        return step_from_message(decoded)
    except ValueError as error:
        raise BagDamagedError(message.path, message.offset, str(error)) from error


def read_steps(
    path: Path | str,
    *,
    keep_before_damage: bool = False,
    on_problem: Callable[[BagProblem], None] = _warn,
) -> Iterator[Step]:
    """Steps below a path, in recording order and each actor's in sequence (``in_order``).

    Args:
        path: An ``.mcap`` file, a bag folder, or a folder of bags such as ``run/bags/demos``.
        keep_before_damage: On damage inside a file, deliver the steps before it instead of raising.
        on_problem: Called with what a file had to leave out; by default a logged warning.

    Raises:
        BagError, BagDamagedError: See :class:`BagFileReader`; BagDamagedError also for a step whose content
            contradicts itself, when its turn comes.
    """
    for file in find_bag_files(path):
        reader = BagFileReader(file, keep_before_damage=keep_before_damage)
        try:
            for message in in_order(m for m in reader if m.type_name == STEP_TYPE):
                yield step_of(message)
            problem = reader.problem
        except BagDamagedError as error:
            if not keep_before_damage:
                raise
            problem = BagProblem(file, error.offset, file.stat().st_size - error.offset, error.reason)
        if problem is not None:
            on_problem(problem)


def read_message_at(file: BinaryIO, path: Path, offset: int) -> bytes:
    """Serialized data of the message record at a known offset of a bag of ours.

    Raises:
        BagDamagedError: No whole message record is there.
    """
    file.seek(offset)
    head = file.read(31)
    if len(head) < 31 or head[0] != 0x05:
        raise BagDamagedError(path, offset, "no message record where one was written")
    size = int.from_bytes(head[1:9], "little") - 22
    data = file.read(size)
    if len(data) < size:
        raise BagDamagedError(path, offset, "message cut short")
    return data
