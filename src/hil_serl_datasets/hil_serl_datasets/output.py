# SPDX-License-Identifier: Apache-2.0
"""New recordings: a run folder that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil_serl_core.files import sync_folder
from hil_serl_core.rewards.labels import LABELS_FILE, LabelWriter
from hil_serl_core.spec import TaskSpec
from hil_serl_datasets.errors import DatasetError
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter
from hil_serl_ros.stamps import stamp_to_ns
from hil_serl_runs.run_folder import RunFolder

TOPIC = "/step"


@dataclass(frozen=True)
class Result:
    """What was written.

    Attributes:
        folder: The new run folder.
        episodes, records: How many are in it.
        notes: What a person should know.
    """

    folder: Path
    episodes: int
    records: int
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its name when the block ends well, and is removed if not.

    Raises:
        DatasetError: ``target`` exists already.
        OSError: Its parent cannot be written.
    """
    target = target.expanduser().absolute()
    refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        refuse_existing(target)  # rename would replace an empty folder made meanwhile
        temporary.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def refuse_existing(target: Path) -> None:
    """Nothing is ever written over.

    Raises:
        DatasetError: There is something of that name.
    """
    if target.exists() or target.is_symlink():
        raise DatasetError(f"{target} exists already; name another folder with --output, or remove it")


def create_run(
    folder: Path, specs: Sequence[TaskSpec], command: str, seed: int = 0, **facts: Any
) -> RunFolder:
    """Task file and run.json, so that every other command takes the recording for a run.

    Args:
        folder: Empty.
        specs: The task, and the backward agent's if there is one.
        command: Which command made it.
        seed: Of the run it came from.
        facts: What else to keep, such as the recordings it was made from.
    """
    partner = specs[1] if len(specs) > 1 else None
    return RunFolder.create(specs[0], seed, command, path=folder, partner=partner, **facts)


class ActorOutput:
    """The bag of one actor, ``<run>/bags/<mode>/<name>/000``, and its labels.

    Sequence and episode numbers count from 0, as for any actor.
    """

    def __init__(self, run: Path, mode: str, actor_id: str, name: str = "") -> None:
        """Create the bag.

        Args:
            run: Run folder.
            mode: Phase.
            actor_id: Of the records.
            name: Of the folder; used if it is free, else, and by default, it is the actor's.

        Raises:
            BagWriteError: The folder cannot be written.
        """
        phase = run / "bags" / mode
        self._folder = phase / (name if name and not (phase / name).exists() else actor_id)
        self._actor_id = actor_id
        self._bag = BagWriter(self._folder / "000")
        self._bag.add_topic(TOPIC, StepMessage, qos.STEP)
        self._labels: LabelWriter | None = None
        self._sequence = 0
        self._episodes = 0

    @property
    def episodes(self) -> int:
        """Written so far."""
        return self._episodes

    def write_episode(self, messages: Sequence[StepMessage], labels: Sequence[str | None] = ()) -> None:
        """Append one episode; the messages get this actor's name and numbers.

        Args:
            messages: All of its records, in order.
            labels: Class of each, None for a record without; empty: none has one.

        Raises:
            BagWriteError: The disk does not take it.
        """
        for index, message in enumerate(messages):
            message.actor_id = self._actor_id
            message.sequence = self._sequence
            message.episode = self._episodes
            message.step_index = index
            message.is_first = index == 0
            self._bag.write(TOPIC, message, stamp_to_ns(message.header.stamp), self._sequence)
            label = labels[index] if labels else None
            if label is not None:
                self._labels = self._labels or LabelWriter(self._folder / LABELS_FILE)
                self._labels.write(self._actor_id, self._sequence, label)
            self._sequence += 1
        self._episodes += 1

    def close(self) -> None:
        """Finish bag and labels."""
        if self._labels is not None:
            self._labels.close()
        self._bag.close()

    def __enter__(self) -> ActorOutput:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._bag.abandon()
