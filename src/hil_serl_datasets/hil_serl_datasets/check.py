# SPDX-License-Identifier: Apache-2.0
"""Is a recording whole, and is every record of it what its task says?"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hil_serl_core.record_check import beyond_range, defect
from hil_serl_core.rewards import reward_defect
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step
from hil_serl_datasets.recordings import Recording, task_of
from hil_serl_datasets.starts import start_fault
from hil_serl_ros.bag import STEP_TYPE, BagDamagedError, BagError, BagFileReader, step_of
from hil_serl_ros.bag.metadata import METADATA_FILE

JITTER = 0.5
"""Share of the control period by which the time between two records may be off."""
_UNIT = 1e-3  # deviation of a unit quaternion's norm


@dataclass
class Finding:
    """One kind of fault in a bag.

    Attributes:
        kind: Groups findings of the same sort.
        text: The first one, with episode and step.
        count: How many there are.
    """

    kind: str
    text: str
    count: int = 1

    def __str__(self) -> str:
        return self.text if self.count == 1 else f"{self.text} (and {self.count - 1} more like it)"


@dataclass
class Report:
    """What was found in one .mcap file.

    Attributes:
        path: The file.
        episodes, records: How many it has.
        findings: Faults; none for a sound bag.
    """

    path: Path
    episodes: int = 0
    records: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        """Note a fault, or count it to those of its kind."""
        known = next((f for f in self.findings if f.kind == kind), None)
        if known is not None:
            known.count += 1
        else:
            self.findings.append(Finding(kind, text))


def check(recording: Recording, named: TaskSpec | None = None, jitter: float = JITTER) -> list[Report]:
    """One report per file of a recording.

    Args:
        recording: Every record is read.
        named: Task that a person named; else that of the run folder, else one known to the suite.
        jitter: Share of the control period by which the time between records may be off.

    Raises:
        TaskFileError: The task file of the run folder cannot be used.
    """
    checker = _Checker(recording, named, jitter)
    reports = [checker.file(path) for path in recording.files]
    checker.finish(reports[-1])
    return reports


class _Checker:
    """Goes through the files of one recording in order; episodes and sequence numbers reach across files."""

    def __init__(self, recording: Recording, named: TaskSpec | None, jitter: float) -> None:
        self._recording = recording
        self._named = named
        self._jitter = jitter
        self._expected = [named] if named else recording.tasks()
        self._first_hash = ""
        self._last: dict[str, Step] = {}  # actor -> its latest record
        self._seen: set[tuple[str, int]] = set()
        self._ended: set[tuple[str, int]] = set()
        self._specs: dict[str, TaskSpec | None] = {}
        self._cut = recording.cut

    def file(self, path: Path) -> Report:
        """Check one file."""
        report = Report(path)
        if _is_being_written(path):
            report.add("open", "is being written by another process; check it when that has ended")
            return report
        episodes: set[tuple[str, int]] = set()
        for step in self._steps(path, report):
            report.records += 1
            episodes.add((step.actor_id, step.episode))
            self._order(step, report)
            self._content(step, report)
            self._last[step.actor_id] = step
        report.episodes = len(episodes)
        if not report.records:
            report.add("empty", "holds no step")
        return report

    def finish(self, report: Report) -> None:
        """The last episode of each actor has no successor that would tell that it has no end."""
        for step in self._last.values():
            self._check_ended(step, report)

    def _steps(self, path: Path, report: Report) -> Iterator[Step]:
        reader = BagFileReader(path, keep_before_damage=True)
        try:
            for message in reader:
                if message.type_name == STEP_TYPE:
                    try:
                        step = step_of(message)
                    except BagDamagedError as error:
                        report.add(
                            "record",
                            f"the record at byte {message.offset} contradicts itself: {error.reason}",
                        )
                        continue
                    yield step
        except BagError as error:
            report.add("file", str(error))
            return
        if reader.problem is not None:
            lost = f"{reader.problem.dropped_bytes} bytes from byte {reader.problem.offset} on are lost"
            report.add("cut", f"{lost}: {reader.problem.reason}")
        elif not reader.finished:
            report.add(
                "unfinished",
                "has no index: its writer was killed; 'hil-serl dataset trim' copies what is whole",
            )
        if reader.finished and not (path.parent / METADATA_FILE).is_file():
            report.add("metadata", f"has no {METADATA_FILE} beside it, which 'ros2 bag info' reads")

    def _order(self, step: Step, report: Report) -> None:
        """Sequence numbers, episodes, step indices and stamps follow each other."""
        where = f"episode {step.episode}, step {step.step_index}"
        if (step.actor_id, step.sequence) in self._seen:
            report.add("twice", f"{where}: record {step.sequence} of {step.actor_id} is there twice")
        self._seen.add((step.actor_id, step.sequence))
        last = self._last.get(step.actor_id)
        if last is not None and step.sequence > last.sequence + 1:
            gap = f"records {last.sequence + 1} to {step.sequence - 1} of {step.actor_id} are missing"
            report.add("sequence", f"{where}: {gap}")
        if last is None or (last.episode != step.episode):
            if last is not None:
                self._check_ended(last, report)
            if step.step_index != 0 or not step.is_first:
                report.add("start", f"{where}: the episode starts here, its first records are missing")
            return
        if last.is_last:
            report.add("after_end", f"{where}: the episode had ended at step {last.step_index}")
        if step.step_index != last.step_index + 1:
            report.add("gap", f"{where}: follows step {last.step_index}, steps between them are missing")
        if step.is_first:
            report.add("first", f"{where}: is marked as the first of its episode")
        self._times(step, last, where, report)

    def _times(self, step: Step, last: Step, where: str, report: Report) -> None:
        passed = step.stamp - last.stamp
        if passed <= 0.0:
            report.add("stamp", f"{where}: its stamp {step.stamp:.3f} s is not after {last.stamp:.3f} s")
            return
        spec = self._spec(step.spec_hash)
        if spec is None or step.step_index != last.step_index + 1:
            return
        if abs(passed - spec.period) > self._jitter * spec.period:
            rate = f"{spec.control.frequency:g} Hz is one record every {1e3 * spec.period:.0f} ms"
            report.add("rate", f"{where}: comes {1e3 * passed:.0f} ms after the one before it, {rate}")

    def _check_ended(self, last: Step, report: Report) -> None:
        key = last.actor_id, last.episode
        if not last.is_last and key not in self._ended:
            report.add(
                "no_end", f"episode {last.episode}: has no end, its last record is step {last.step_index}"
            )
        self._ended.add(key)

    def _content(self, step: Step, report: Report) -> None:
        """Hash, images, numbers."""
        where = f"episode {step.episode}, step {step.step_index}"
        self._first_hash = self._first_hash or step.spec_hash
        wanted = [spec.hash for spec in self._expected] or [self._first_hash]
        spec = self._spec(step.spec_hash)
        if step.spec_hash not in wanted:
            whose = self._expected[0] if self._expected else None
            task = f"task '{whose.name}' has {whose.hash}" if whose else f"records before it have {wanted[0]}"
            report.add("hash", f"{where}: was recorded under task spec {step.spec_hash}, {task}")
            spec = whose or spec  # the differences to the expected task say what is wrong
        outside = None if step.action is None else beyond_range(step.action)
        reason = outside if spec is None else defect(step, spec)
        if outside is not None:
            report.add("range", f"{where}: {outside}")
        if reason is not None and reason != outside:
            report.add(reason, f"{where}: {reason}")
        if reason is None and spec is not None and (wrong := reward_defect(spec.reward, step)) is not None:
            report.add("reward", f"{where}: {wrong}")
        if reason is None and spec is not None and step.step_index == 0:
            fault = start_fault(step.state, spec, cut=self._cut)
            if fault is not None:
                remedy = "if they were imported, import them anew with --pose absolute"
                report.add("start_pose", f"{where}: the episode {fault}; {remedy}")
        norms = np.linalg.norm(step.tcp_poses[:, 3:], axis=1)
        if not np.isfinite(step.tcp_poses).all() or (np.abs(norms - 1.0) > _UNIT).any():
            report.add("pose", f"{where}: the tcp pose is not a pose: {step.tcp_poses.round(3).tolist()}")

    def _spec(self, spec_hash: str) -> TaskSpec | None:
        if spec_hash not in self._specs:
            self._specs[spec_hash] = task_of(self._recording, spec_hash, self._named)
        return self._specs[spec_hash]


def _is_being_written(path: Path) -> bool:
    """Whether a writer holds the lock of a bag; see ``hil_serl_ros.bag.writer``."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # reading says what is wrong
    return False
