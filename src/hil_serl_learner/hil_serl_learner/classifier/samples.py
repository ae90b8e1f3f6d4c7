# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures from recorded steps.

A record's class is, in this order: the one that the person names on the command line, the one in ``labels.jsonl``
beside the bag, or what the recorded reward says (the last record of a solved episode shows success, all others do
not).

Where the task checks the pose beside the classifier, records that fail the check are left out: the check rejects them
whatever the picture shows, and often the picture cannot show why (a gripper seen from the side, open or closed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_core.rewards.classifier_file import task_views, view_differences
from hil_serl_core.rewards.errors import RewardError
from hil_serl_core.rewards.labels import LABELS_FILE, read_labels
from hil_serl_core.rewards.pose import PoseTest
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_core.step import Step
from hil_serl_ros.bag import find_bag_files, read_steps


class DataError(RewardError):
    """Data that a classifier cannot be trained on; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """Part of a recording.

    Attributes:
        path: Run folder, bag folder or .mcap file.
        episode: Only this episode; None for all.
        first, last: Only steps first ... last of it.
        label: Class of every one of these records; None: as recorded.
        records: Only these records, (actor_id, sequence); empty for all.
    """

    path: str
    episode: int | None = None
    first: int | None = None
    last: int | None = None
    label: str | None = None
    records: tuple[tuple[str, int], ...] = ()

    def holds(self, step: Step) -> bool:
        """Whether a record of the path belongs to it."""
        if self.episode is not None and step.episode != self.episode:
            return False
        if self.first is not None and step.step_index < self.first:
            return False
        if self.last is not None and step.step_index > self.last:
            return False
        return not self.records or (step.actor_id, step.sequence) in self.records

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Source:
        """Back from :meth:`as_dict`."""
        records = tuple((str(actor), int(sequence)) for actor, sequence in entry.get("records", ()))
        return cls(**{**entry, "records": records})


_SOURCE = re.compile(r"(?P<path>.+?)(:(?P<episode>\d+)(:(?P<first>\d+)(-(?P<last>\d+))?)?)?")


def parse_source(text: str, label: str | None = None) -> Source:
    """Source of ``PATH``, ``PATH:EPISODE``, ``PATH:EPISODE:STEP`` or ``PATH:EPISODE:FIRST-LAST``."""
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise DataError(f"'{text}' names no recording; write PATH, PATH:EPISODE or PATH:EPISODE:STEP")
    first = None if match["first"] is None else int(match["first"])
    last = first if match["last"] is None else int(match["last"])
    episode = None if match["episode"] is None else int(match["episode"])
    return Source(str(Path(match["path"]).expanduser().absolute()), episode, first, last, label)


@dataclass(frozen=True)
class LabelledStep:
    """One labelled record.

    Attributes:
        recording: Folder it is from; with ``actor_id`` and ``episode`` it names an episode for ever.
        actor_id, sequence, episode, step_index: As in the record.
        frames: Camera name to (H, W, 3) uint8, of the classifier's cameras.
        label: Class index.
        added: Named by a person or a check, rather than part of a recording as a whole.
    """

    recording: str
    actor_id: str
    sequence: int
    episode: int
    step_index: int
    frames: dict[str, np.ndarray] = field(repr=False)
    label: int
    added: bool = False

    @property
    def episode_key(self) -> str:
        """Name of its episode."""
        return f"{self.recording}/{self.actor_id}/{self.episode}"


def run_of(path: Path) -> Path | None:
    """The run folder that a bag lies in, None if it lies in none."""
    return next((p for p in (path, *path.parents) if (p / "task.yaml").is_file()), None)


def read_samples(spec: TaskSpec, sources: Sequence[Source]) -> list[LabelledStep]:
    """Labelled records of all sources; of several labels for one record the last source's counts.

    Raises:
        DataError: A recording is of another task or other views, its labels are unknown, or it has none.
        LabelError, BagError: A file cannot be read.
    """
    found: dict[tuple[str, str, int], LabelledStep] = {}
    for source in sources:
        count = 0
        for sample in _read_source(spec, source):
            found[sample.recording, sample.actor_id, sample.sequence] = sample
            count += 1
        if not count:
            raise DataError(
                f"nothing of {describe(source)} was recorded; look with: hil-serl replay {source.path}"
            )
    return list(found.values())


def describe(source: Source) -> str:
    """Source as a person writes it."""
    episode = "" if source.episode is None else f":{source.episode}"
    step = "" if source.first is None else f":{source.first}"
    step += f"-{source.last}" if source.last != source.first else ""
    return f"{source.path}{episode}{step}"


def _read_source(spec: TaskSpec, source: Source) -> Iterator[LabelledStep]:
    section = spec.reward.classifier
    if section is None:
        raise DataError(
            f"task '{spec.name}' has no section reward.classifier, which names the classifier's cameras"
        )
    folders = sorted({file.parent for file in find_bag_files(Path(source.path))})
    for folder in folders:
        labels_file = next(
            (p / LABELS_FILE for p in (folder, folder.parent) if (p / LABELS_FILE).is_file()), None
        )
        recording = labels_file.parent if labels_file else folder
        recorded = _check_recording(spec, section.cameras, folder)
        labels = None
        if source.label is None:
            labels = _file_labels(labels_file) if labels_file else _reward_labels(spec, recorded, folder)
        test = PoseTest(spec.reward.pose) if spec.reward.pose is not None else None
        for step in read_steps(folder, keep_before_damage=True):
            if not source.holds(step):
                continue
            _check_step(spec, recorded, step, folder)
            label = source.label if labels is None else labels(step)
            if label is None or (test is not None and not test.held(step, spec)):
                continue
            yield LabelledStep(
                recording=_name_of(recording),
                actor_id=step.actor_id,
                sequence=step.sequence,
                episode=step.episode,
                step_index=step.step_index,
                frames={name: np.array(step.frames[name]) for name in task_views(spec, section.cameras)},
                label=_index(section.classes, label, labels_file or folder),
                added=source.label is not None or bool(source.records),
            )


def _name_of(recording: Path) -> str:
    """Name that stays when the folder that holds the runs is moved."""
    run = run_of(recording)
    return str(recording.relative_to(run.parent)) if run is not None else recording.name


def _check_recording(spec: TaskSpec, cameras: tuple[str, ...], folder: Path) -> TaskSpec | None:
    """Task that a recording was made under, if it lies in a run folder."""
    run = run_of(folder)
    if run is None:
        return None
    recorded = load_task(run / "task.yaml")
    if recorded.name != spec.name:
        raise DataError(
            f"{folder} was recorded for task '{recorded.name}', the classifier is for '{spec.name}'; "
            "pictures of another task teach nothing about this one"
        )
    differences = view_differences(task_views(recorded, cameras), task_views(spec, cameras))
    if differences:
        raise DataError(
            f"{folder} shows other pictures than task '{spec.name}': {'; '.join(differences)}; record again"
        )
    return recorded


def _check_step(spec: TaskSpec, recorded: TaskSpec | None, step: Step, folder: Path) -> None:
    expected = spec.hash if recorded is None else recorded.hash
    if step.spec_hash != expected:
        raise DataError(
            f"{folder} holds records of task spec {step.spec_hash}, expected {expected}; "
            "it lies in no run folder of this task, or in another task's"
        )


def _file_labels(path: Path):
    labels = read_labels(path)
    return lambda step: labels.get((step.actor_id, step.sequence))


def _reward_labels(spec: TaskSpec, recorded: TaskSpec | None, folder: Path):
    """Labels from the recorded reward, where a person or the simulator gave it."""
    section = spec.reward.classifier
    assert section is not None
    kind = (recorded or spec).reward.kind
    if kind in ("classifier", "vice"):
        raise DataError(
            f"{folder} has no {LABELS_FILE}, and its rewards are a classifier's own; name what was wrong with "
            "--add-positive and --add-negative, e.g. --add-negative RUN:EPISODE"
        )
    if len(section.classes) > 2:
        raise DataError(
            f"{folder} has no {LABELS_FILE}; a reward cannot tell {len(section.classes)} classes apart, "
            "record with: hil-serl classifier record"
        )
    other = next(name for name in section.classes if name != "success")
    return lambda step: "success" if step.is_terminal and step.reward > 0.0 else other


def _index(classes: tuple[str, ...], label: str, origin: Path) -> int:
    if label not in classes:
        raise DataError(f"{origin} has the label '{label}', the task's classes are {list(classes)}")
    return classes.index(label)
