# SPDX-License-Identifier: Apache-2.0
"""Episodes of recordings: what each is, and which of them a person names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.recordings import Recording, task_of
from hil_serl_ros.bag import BagDamagedError, BagMessage, BagProblem, step_of
from hil_serl_ros.bag.content import content_checksum
from hil_serl_runs.recorded import episodes_of
from hil_serl_runs.statistics import Episode


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode of a recording.

    Attributes:
        recording: Where it is.
        episode: Steps, intervened steps, end, duration.
        records: Records, the last observation included.
        start: Stamp of its first record [s].
        size: Bytes of its messages.
        spec_hash: Task spec of its first record.
        task: That task, None if nobody knows it.
        whole: Records follow each other without a gap from a first one on.
        checksum: CRC-32 of its messages.
    """

    recording: Recording
    episode: Episode
    records: int
    start: float
    size: int
    spec_hash: str
    task: TaskSpec | None
    whole: bool
    checksum: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """(actor_id, episode): its name within the recording."""
        return self.episode.actor_id, self.episode.episode

    @property
    def intervention_share(self) -> float:
        """Share of steps that the operator drove, 0 ... 1."""
        return self.episode.intervened_steps / max(1, self.episode.steps)

    def __str__(self) -> str:
        return f"{self.recording.name}:{self.episode.episode}"


class _Tally:
    """Counts what an Episode does not say, while the records of a recording pass by."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], int] = {}
        self.sizes: dict[tuple[str, int], int] = {}
        self.checksums: dict[tuple[str, int], int] = {}
        self.first: dict[tuple[str, int], tuple[float, str]] = {}
        self.broken: set[tuple[str, int]] = set()
        self._last: dict[tuple[str, int], Step] = {}

    def steps(self, messages: Iterable[BagMessage], problems: list[BagProblem] | None) -> Iterator[Step]:
        """Steps of messages; a message that is none goes to ``problems``, or is an error without them."""
        for message in messages:
            try:
                step = step_of(message)
            except BagDamagedError as error:
                if problems is None:
                    raise
                problems.append(BagProblem(message.path, message.offset, len(message.data), error.reason))
                continue
            key = step.actor_id, step.episode
            self.records[key] = self.records.get(key, 0) + 1
            self.sizes[key] = self.sizes.get(key, 0) + len(message.data)
            self.checksums[key] = content_checksum(message.data, start=self.checksums.get(key, 0))
            self.first.setdefault(key, (step.stamp, step.spec_hash))
            previous = self._last.get(key)
            if not (step.is_first if previous is None else step.follows(previous)):
                self.broken.add(key)
            self._last[key] = step
            yield step


def episodes_in(
    recording: Recording, *, named: TaskSpec | None = None, keep_before_damage: bool = False
) -> list[RecordedEpisode]:
    """Episodes of a recording, in its order.

    Args:
        recording: Read once, from begin to end.
        named: Task that a person named.
        keep_before_damage: Of a damaged file take what is before the damage, and leave out records that are none, instead
            of raising.

    Raises:
        BagError, BagDamagedError: A file cannot be read.
    """
    tally = _Tally()
    messages = recording.messages(keep_before_damage=keep_before_damage)
    problems = recording.problems if keep_before_damage else None
    episodes = episodes_of(tally.steps(messages, problems), recording.mode)
    found: dict[str, TaskSpec | None] = {}
    result = []
    for episode in episodes:
        key = episode.actor_id, episode.episode
        start, spec_hash = tally.first[key]
        if spec_hash not in found:
            found[spec_hash] = task_of(recording, spec_hash, named)
        result.append(
            RecordedEpisode(
                recording=recording,
                episode=episode,
                records=tally.records[key],
                start=start,
                size=tally.sizes[key],
                spec_hash=spec_hash,
                task=found[spec_hash],
                whole=key not in tally.broken,
                checksum=tally.checksums[key],
            )
        )
    return result


def show(console: Console, episodes: Sequence[RecordedEpisode]) -> None:
    """Print a table of episodes and a line of sums."""
    for heading, group in groupby(episodes, _heading):
        console.print(heading, highlight=False, soft_wrap=True, style="bold")
        console.print(_table(group))
    steps = sum(e.episode.steps for e in episodes)
    driven = sum(e.episode.intervened_steps for e in episodes)
    solved = sum(e.episode.success for e in episodes)
    console.print(
        f"{len(episodes)} episodes, {solved} successful, {steps} steps, {100 * driven / max(1, steps):.0f} % of them "
        f"by the operator, {sum(e.size for e in episodes) / 1e6:.1f} MB.",
        highlight=False,
        soft_wrap=True,
    )


def _heading(e: RecordedEpisode) -> str:
    """What a recording's episodes have in common; in the table it would leave no room for them."""
    task = e.task.name if e.task is not None else f"unknown task ({e.spec_hash})"
    return f"{_where(e.recording)}: {task}, {e.recording.mode or 'mode unknown'}"


def _table(episodes: Iterable[RecordedEpisode]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("episode", "steps", "duration", "end", "operator", "size"):
        table.add_column(heading, justify="left" if heading == "end" else "right", no_wrap=True)
    for e in episodes:
        table.add_row(
            str(e.episode.episode),
            str(e.episode.steps),
            f"{e.episode.duration:.1f} s",
            e.episode.reason.replace("_", " ") + ("" if e.whole else ", with gaps"),
            f"{100 * e.intervention_share:.0f} %",
            f"{e.size / 1e6:.2f} MB",
        )
    return table


def _where(recording: Recording) -> str:
    return f"{recording.run.name}/{recording.folder.name}" if recording.run else recording.folder.name


_NAME = re.compile(r"(?:(?P<where>.+):)?(?P<first>\d+)(?:-(?P<last>\d+))?")


def select(names: Sequence[str], episodes: Sequence[RecordedEpisode]) -> set[int]:
    """Indices in ``episodes`` of those named.

    Args:
        names: Each ``7``, ``3-7``, or with the recording before it, ``train/actor_0:7``.
        episodes: To choose from.

    Raises:
        DatasetError: A name is none, names no episode, or the same number in several recordings.
    """
    chosen: set[int] = set()
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None:
            raise DatasetError(
                f"'{name}' names no episode; write 7, 3-7 or, with its recording, train/actor_0:7"
            )
        first = int(match["first"])
        last = int(match["last"] or first)
        where = match["where"]
        hits = [
            i
            for i, e in enumerate(episodes)
            if first <= e.episode.episode <= last and (where is None or _is_at(e.recording, where))
        ]
        if not hits:
            raise DatasetError(f"there is no episode {name}; there are {_available(episodes)}")
        places = sorted({episodes[i].recording.name for i in hits})
        if len({episodes[i].recording.folder for i in hits}) > 1:
            raise DatasetError(
                f"episode {name} is in {len(places)} recordings; name one, as in {places[0]}:{name.split(':')[-1]}, "
                "or choose the phase with --mode"
            )
        chosen.update(hits)
    return chosen


def _is_at(recording: Recording, where: str) -> bool:
    path = Path(where)
    return (
        recording.name == where
        or recording.folder.name == where
        or path.resolve() == recording.folder.resolve()
    )


def _available(episodes: Sequence[RecordedEpisode]) -> str:
    numbers: dict[str, list[int]] = {}
    for e in episodes:
        numbers.setdefault(e.recording.name, []).append(e.episode.episode)
    return ", ".join(f"{name}:{min(n)}-{max(n)}" for name, n in numbers.items()) or "none"
