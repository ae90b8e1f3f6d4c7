# SPDX-License-Identifier: Apache-2.0
"""The actor's own copy of its experience: on disk before anything else happens with a step."""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mcap.records import Channel, Message, Schema
from rclpy.serialization import deserialize_message

from hil_serl_core.step import Step
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import (
    STEP_TYPE,
    BagDamagedError,
    BagError,
    BagInUseError,
    BagWriteError,
    BagWriter,
    Recovery,
    recover_bag,
)
from hil_serl_ros.bag.reader import read_message_at
from hil_serl_ros.bag.scan import RecordScanner
from hil_serl_ros.conversions import step_from_message, step_to_message
from hil_serl_ros.stamps import seconds_to_ns


@dataclass
class _Segment:
    """One bag of the log and where its steps start."""

    path: Path
    first: int
    offsets: array = field(default_factory=lambda: array("Q"))

    @property
    def end(self) -> int:
        """Sequence number after its last step."""
        return self.first + len(self.offsets)


class StepLog:
    """All steps of one actor in one phase, over all its restarts.

    The folder holds one bag per process start (``000/000_0.mcap``, ``001/...``). Opening it finishes what a
    killed process left and finds where to go on. One process at a time.

    Attributes:
        recovered: What opening found unfinished.
    """

    def __init__(
        self, folder: Path | str, *, topic: str = "/step", frame_id: str = "base", sync: bool = False
    ) -> None:
        """Open, and recover if need be.

        Args:
            folder: ``<run>/bags/<phase>/<actor_id>``; created if missing.
            topic: Full name of the step topic, for players.
            frame_id: Base frame of the poses.
            sync: Let steps survive a power cut as well, see :class:`BagWriter`.

        Raises:
            BagInUseError: Another process logs here.
            BagDamagedError: A bag of the log is damaged, or sequence numbers are missing.
            BagWriteError: The folder cannot be written.
        """
        self._folder = Path(folder)
        self._topic = topic
        self._frame_id = frame_id
        self._sync = sync
        self._writer: BagWriter | None = None
        self._segments: list[_Segment] = []
        self.recovered: list[Recovery] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise BagWriteError(self._folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for file in sorted(self._folder.glob("[0-9][0-9][0-9]*/*.mcap")):
                self._take_up(file)
        except BlockingIOError as error:
            os.close(self._lock)
            raise BagInUseError(self._folder) from error
        except BagError:
            os.close(self._lock)
            raise
        last = self._last_step()
        self._next_episode = last.episode + 1 if last is not None else 0

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next step to append."""
        return self._segments[-1].end if self._segments else 0

    @property
    def next_episode(self) -> int:
        """First episode number not used before; an episode that was cut by a crash is not continued."""
        return self._next_episode

    def append(self, step: Step) -> None:
        """Write a step; it is safe from a crash of this process when this returns.

        Raises:
            ValueError: ``step.sequence`` is not ``next_sequence``, or the step is malformed.
            BagWriteError: The disk does not take it. Nothing was appended; the same step can be tried again.
        """
        if step.sequence != self.next_sequence:
            raise ValueError(
                f"sequence: {step.sequence} appended to a log that goes on at {self.next_sequence}"
            )
        message = step_to_message(step, self._frame_id)
        if self._writer is None:
            self._writer = self._open_segment()
        # A first topic that did not fit is declared again here.
        self._writer.add_topic(self._topic, StepMessage, qos.STEP)
        offset = self._writer.write(self._topic, message, seconds_to_ns(step.stamp), step.sequence)
        self._segments[-1].offsets.append(offset)
        self._next_episode = max(self._next_episode, step.episode + 1)

    def iter_from(self, sequence: int) -> Iterator[Step]:
        """Steps from a sequence number on, in order, up to the last one there is when it is reached.

        Raises:
            BagDamagedError: A step cannot be read back.
        """
        for segment in list(self._segments):
            if segment.end <= sequence:
                continue
            with segment.path.open("rb") as file:
                while sequence < segment.end:
                    offset = segment.offsets[sequence - segment.first]
                    data = read_message_at(file, segment.path, offset)
                    try:
                        yield step_from_message(deserialize_message(data, StepMessage))
                    except Exception as error:  # of the middleware, or ValueError
                        raise BagDamagedError(segment.path, offset, f"not a step ({error})") from error
                    sequence += 1

    def count_transitions(self) -> int:
        """Records that carry an action, as a learner counts environment steps. Reads the whole log."""
        return sum(step.action is not None for step in self.iter_from(0))

    def close(self) -> None:
        """Finish the bag. Without effect on a closed log.

        Raises:
            BagWriteError: No room for the summary; all steps are safe, and the next start finishes the bag.
        """
        writer, self._writer = self._writer, None
        lock, self._lock = self._lock, -1
        try:
            if writer is not None:
                writer.close()
        finally:
            if writer is not None:
                writer.abandon()
            if lock >= 0:
                os.close(lock)

    def _open_segment(self) -> BagWriter:
        """The next bag. Numbers go on after the highest, even if that one holds nothing."""
        used = [int(entry.name) for entry in self._folder.iterdir() if entry.name.isdigit()]
        name = f"{max(used, default=-1) + 1:03d}"
        writer = BagWriter(self._folder / name, sync=self._sync)
        self._segments.append(_Segment(writer.path, self.next_sequence))
        return writer

    def _take_up(self, file: Path) -> None:
        """Index the bag of an earlier process, and finish it if that was killed."""
        segment = _Segment(file, self.next_sequence)
        steps: set[int] = set()
        schemas: dict[int, str] = {}
        with file.open("rb") as stream:
            scanner = RecordScanner(stream, file, check=False)
            for scanned in scanner:
                record = scanned.record
                if isinstance(record, Schema):
                    schemas[record.id] = record.name
                elif isinstance(record, Channel) and schemas.get(record.schema_id) == STEP_TYPE:
                    steps.add(record.id)
                elif isinstance(record, Message) and record.channel_id in steps:
                    if record.sequence != segment.end:
                        reason = f"step {record.sequence} where step {segment.end} was expected"
                        raise BagDamagedError(file, scanned.offset, reason)
                    segment.offsets.append(scanned.offset)
        if not scanner.finished:
            self.recovered.append(recover_bag(file))
        self._segments.append(segment)

    def _last_step(self) -> Step | None:
        return next(self.iter_from(self.next_sequence - 1), None) if self.next_sequence else None
