# SPDX-License-Identifier: Apache-2.0
"""`hil-serl dataset`: look after recorded demonstrations, classifier data and runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from hil_serl_core.spec import TaskSpec
from hil_serl_datasets import check, edit, episodes
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.recordings import Recording, find_recordings
from hil_serl_runs.terminal import plain_console, word
from hil_serl_tasks.finder import find_task

Mode = Literal["record_demos", "record_classifier", "train", "eval"]


@dataclass(kw_only=True)
class TaskChoice:
    task: str | None = None
    """Task by name or path, for bags outside a run folder; default: the run folder's, or the known one of that hash."""
    twin: bool = False
    """With a task's name: the simulated twin's file rather than the real cell's."""

    def named(self) -> TaskSpec | None:
        """The task named, None for none."""
        return None if self.task is None else find_task(self.task, self.twin)


@dataclass
class Sources(TaskChoice):
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders, bag folders or .mcap files."""
    mode: Mode | None = None
    """Only this phase of run folders; default: all."""

    def recordings(self) -> list[Recording]:
        """Of all paths."""
        if not self.paths:
            raise DatasetError("name a run folder, a bag folder or an .mcap file")
        return find_recordings(self.paths, self.mode or "")


@dataclass
class List(Sources):
    """List episodes: task, mode, steps, duration, end, the operator's share of the steps, size."""

    def run(self) -> int:
        console, found = plain_console(), []
        named = self.named()
        for recording in self.recordings():
            found += episodes.episodes_in(recording, named=named, keep_before_damage=True)
            for problem in recording.problems:
                _say(console, f"{problem}; look with: hil-serl dataset check {word(problem.path)}")
        episodes.show(console, found)
        return 0


@dataclass
class Check(Sources):
    """Check integrity and content of every record; the exit status is 1 if anything is wrong."""

    jitter: float = check.JITTER
    """Share of the control period by which the time between two records may be off."""

    def run(self) -> int:
        console, named = plain_console(), self.named()
        reports = [report for r in self.recordings() for report in check.check(r, named, self.jitter)]
        for report in reports:
            counts = f"{report.episodes} episodes, {report.records} records"
            _say(console, f"{report.path}: {counts}{'' if report.findings else ', sound'}")
            for finding in report.findings:
                _say(console, f"  - {finding}")
        faulty = sum(bool(report.findings) for report in reports)
        _say(console, f"{faulty} of {len(reports)} bags have faults." if faulty else "Nothing is wrong.")
        return 1 if faulty else 0


@dataclass(kw_only=True)
class _Edits(TaskChoice):
    output: Path
    """New run folder; it must not exist. The originals are only read."""
    keep_before_damage: bool = False
    """Of a damaged bag take what is before the damage, instead of refusing it."""

    def _episodes(self, recordings: list[Recording]) -> list[episodes.RecordedEpisode]:
        named = self.named()
        found = [
            episode
            for recording in recordings
            for episode in episodes.episodes_in(
                recording, named=named, keep_before_damage=self.keep_before_damage
            )
        ]
        if not found:
            raise DatasetError("there is no episode in it; look with: hil-serl dataset check")
        return found

    def _write(
        self, edits: list[edit.Edit], command: str, notes: list[str] | None = None, mode: str | None = None
    ) -> int:
        result = edit.write_edits(
            edits,
            self.output,
            f"dataset {command}",
            mode=mode or "",
            keep_before_damage=self.keep_before_damage,
        )
        console = plain_console()
        for note in notes or []:
            _say(console, note)
        _say(console, f"{result.episodes} episodes, {result.records} records: {result.folder}")
        return 0


@dataclass
class Trim(_Edits):
    """Leave episodes out, and cut records off the others, into a new run folder.

    An episode that had no end, because the recording was stopped, gets one: its last record becomes its final
    observation, as if the time limit had been reached. What a killed writer left is read up to its last whole record.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """Run folder, bag folder or .mcap file."""
    mode: Mode | None = None
    """Only this phase of a run folder; default: all."""
    keep: tuple[str, ...] = ()
    """Only these episodes: 7, 3-7 or train/actor_0:7; default: all."""
    drop: tuple[str, ...] = ()
    """Not these."""
    only: Literal["success", "failure", "time_limit"] | None = None
    """Only those that ended so."""
    skip_first: int = 0
    """Records to cut off at the begin of each."""
    skip_last: int = 0
    """Records to cut off at the end of each; it then ends as if by the time limit."""
    as_mode: Mode | None = None
    """Put them under this phase, e.g. record_demos; default: as recorded."""

    def run(self) -> int:
        edits, notes = edit.plan_trim(
            self._episodes(find_recordings([self.path], self.mode or "")),
            keep=self.keep,
            drop=self.drop,
            only=edit.Verdict(self.only) if self.only else None,
            skip_first=self.skip_first,
            skip_last=self.skip_last,
        )
        return self._write(edits, "trim", notes, self.as_mode)


@dataclass
class Relabel(_Edits):
    """Judge episodes anew, into a new run folder: reward and terminal flag of the last record, and its label."""

    path: Annotated[Path, tyro.conf.Positional]
    """Run folder, bag folder or .mcap file."""
    mode: Mode | None = None
    """Only this phase of a run folder; default: all."""
    success: tuple[str, ...] = ()
    """Episodes that solved the task: 7, 3-7 or train/actor_0:7."""
    failure: tuple[str, ...] = ()
    """Episodes that ended because the task could no longer be solved: terminal, without reward."""
    time_limit: tuple[str, ...] = ()
    """Episodes that were only cut off: not terminal, without reward."""
    mend_rewards: bool = False
    """In all episodes: 0 for every step but success, where a classifier's log-probability was paid although the task's
    reward is sparse. 'dataset check' tells such recordings."""

    def run(self) -> int:
        verdicts = (
            (edit.Verdict.SUCCESS, self.success),
            (edit.Verdict.FAILURE, self.failure),
            (edit.Verdict.TIME_LIMIT, self.time_limit),
        )
        edits = edit.plan_relabel(
            self._episodes(find_recordings([self.path], self.mode or "")),
            verdicts,
            mend_rewards=self.mend_rewards,
        )
        return self._write(edits, "relabel")


@dataclass
class Merge(_Edits):
    """Put several recordings of one task into one new run folder; refused, with the reason, if their tasks differ."""

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders, bag folders or .mcap files."""
    mode: Mode | None = None
    """Only this phase of run folders; default: all."""
    as_mode: Mode | None = None
    """Put them under this phase, e.g. record_demos; default: as recorded."""

    def run(self) -> int:
        recordings = find_recordings(self.paths, self.mode or "")
        if len(recordings) < 2:
            raise DatasetError(
                f"there is only {len(recordings)} recording in what is named; merge takes several"
            )
        edits = [edit.Edit(episode) for episode in self._episodes(recordings)]
        return self._write(edits, "merge", mode=self.as_mode)


@dataclass
class Convert(Sources):
    """Write recordings in another format: --to lerobot is a LeRobotDataset v3.0 folder (needs pyarrow)."""

    to: Literal["lerobot"] = "lerobot"
    """The format."""
    output: Path = Path("lerobot_dataset")
    """New folder; it must not exist."""
    images: bool = False
    """PNG images in the parquet file, without loss, instead of video."""
    only: Literal["success", "failure", "time_limit"] | None = None
    """Only episodes that ended so."""

    def run(self) -> int:
        from hil_serl_datasets import lerobot

        lerobot.require_pyarrow()
        named = self.named()
        found = [e for r in self.recordings() for e in episodes.episodes_in(r, named=named)]
        chosen = [e for e in found if self.only is None or e.episode.reason == self.only]
        written = lerobot.convert(chosen, self.output, videos=not self.images)
        console = plain_console()
        for note in written.notes:
            _say(console, note)
        _say(console, f"{written.episodes} episodes, {written.frames} frames: {self.output}")
        return 0


@dataclass
class ImportHilserl:
    """Import demonstrations of HIL-SERL's original release (demo_data/*.pkl), without unpickling them.

    Only a list of transitions made of numbers, texts and numeric arrays is understood. The result is a run folder for
    'hil-serl train --demos'.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files that its record_demos.py wrote."""
    task: str
    """Task that they are demonstrations of, by name or path."""
    output: Path | None = None
    """New run folder; default: runs/TASK-hilserl-FILE."""
    twin: bool = False
    """With a task's name: the simulated twin's file rather than the real cell's."""
    state: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """PART=FIRST:END[,FIRST:END]: where a state part stands in the state vector, e.g. --state gripper=0:1
    --state tcp_wrench=1:4,10:13; default: HIL-SERL's layout of 19 numbers an arm. May be repeated."""
    rotation: Literal["euler", "rotation_vector"] = "euler"
    """How tcp_pose holds its rotation; HIL-SERL's: extrinsic xyz Euler angles [rad]."""
    pose: Literal["relative", "absolute"] = "relative"
    """What tcp_pose is relative to: the pose where the episode began, or (absolute) the base frame, as in HIL-SERL's tasks
    without its relative-frame wrapper, such as the egg flip."""
    adjoint: Literal["auto", "original", "none"] = "auto"
    """Whether actions and velocities carry the lever-arm error of HIL-SERL's adjoint. auto: compare them with the motion,
    and undo it; original: undo it without a comparison; none: take them as they are."""
    reset_pose: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """[ARM=]X,Y,Z,ROLL,PITCH,YAW [m, rad]: where episodes begin in the base frame (RESET_POSE of its configuration), for
    files without absolute poses. Once for each arm; write --reset-pose=... if the first number is negative."""
    camera: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """CAMERA=KEY: under which key of the observation the pictures of one of the task's cameras are; default: its
    name. May be repeated."""

    def run(self) -> int:
        from hil_serl_datasets import hilserl

        if not self.files:
            raise DatasetError("name at least one .pkl file")
        spec = find_task(self.task, self.twin)
        output = self.output or Path("runs") / f"{spec.name}-hilserl-{self.files[0].stem}"
        layout = hilserl.Layout.of(
            spec,
            self.state,
            self.rotation,
            self.camera,
            absolute=self.pose == "absolute",
            resets=self.reset_pose,
        )
        imported = hilserl.import_files(self.files, spec, layout, output, self.adjoint)
        console = plain_console()
        for note in imported.notes:
            _say(console, note)
        _say(console, f"{imported.episodes} episodes, {imported.records} records: {imported.folder}")
        _say(console, f"Train with: hil-serl train --task {word(self.task)} --demos {word(imported.folder)}")
        return 0


@dataclass
class Dataset:
    """Recorded data: list, check, trim, relabel, merge, convert, import-hilserl."""

    action: (
        Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Trim, tyro.conf.subcommand("trim")]
        | Annotated[Relabel, tyro.conf.subcommand("relabel")]
        | Annotated[Merge, tyro.conf.subcommand("merge")]
        | Annotated[Convert, tyro.conf.subcommand("convert")]
        | Annotated[ImportHilserl, tyro.conf.subcommand("import-hilserl")]
    )

    def run(self) -> int:
        return self.action.run()


def _say(console: Console, text: str) -> None:
    """One line for people, not wrapped: it may hold a path."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)
