# SPDX-License-Identifier: Apache-2.0
"""Trim, relabel and merge: what becomes of each episode, and the new recording made of them."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from hil_serl_core.episode import Outcome
from hil_serl_core.rewards import label_of, mended_reward, read_labels
from hil_serl_core.step import Source
from hil_serl_datasets.episodes import RecordedEpisode, select
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.output import ActorOutput, Result, create_run, new_folder
from hil_serl_datasets.recordings import Recording
from hil_serl_datasets.tasks import common_tasks
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros.bag import BagDamagedError
from hil_serl_runs.terminal import word

LEAST_RECORDS = 2
"""Records of an episode with one transition."""


class Verdict(StrEnum):
    """How an episode ended, in a person's judgement."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True)
class Edit:
    """What becomes of one episode.

    Attributes:
        source: The episode as it was recorded.
        skip_first, skip_last: Records left out at its begin and its end.
        close: Give it an end if it has none.
        verdict: New judgement, None: as recorded.
        mend_rewards: Replace rewards that were paid for every step by the sparse ones of the task.
    """

    source: RecordedEpisode
    skip_first: int = 0
    skip_last: int = 0
    close: bool = False
    verdict: Verdict | None = None
    mend_rewards: bool = False

    @property
    def records(self) -> int:
        """Records that remain."""
        return self.source.records - self.skip_first - self.skip_last


def plan_trim(
    episodes: Sequence[RecordedEpisode],
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    only: Verdict | None = None,
    skip_first: int = 0,
    skip_last: int = 0,
) -> tuple[list[Edit], list[str]]:
    """Which episodes stay, and how much of each.

    Args:
        episodes: Of all recordings.
        keep: Names of those to keep; empty: all.
        drop: Names of those to leave out.
        only: Keep those that ended so.
        skip_first, skip_last: Records to cut off every kept episode.

    Returns:
        Edits in recording order, and notes for a person.

    Raises:
        DatasetError: A name is wrong, a kept episode has gaps, or nothing remains.
    """
    if skip_first < 0 or skip_last < 0:
        raise DatasetError(f"cannot cut {min(skip_first, skip_last)} records off; give 0 or more")
    kept = select(keep, episodes) if keep else set(range(len(episodes)))
    kept -= select(drop, episodes) if drop else set()
    edits, notes = [], []
    for index in sorted(kept):
        episode = episodes[index]
        if only is not None and episode.episode.reason != only:
            continue
        edit = Edit(episode, skip_first, skip_last, close=True)
        if edit.records < LEAST_RECORDS:
            notes.append(
                f"{episode} is left out: {max(0, edit.records)} of its {episode.records} records would remain"
            )
            continue
        if episode.episode.aborted:
            notes.append(f"{episode} had no end; it now ends as cut off by the time limit")
        edits.append(edit)
    if not edits:
        raise DatasetError("no episode would remain; choose others with --keep, --drop and --only")
    return edits, notes


def plan_relabel(
    episodes: Sequence[RecordedEpisode],
    verdicts: Iterable[tuple[Verdict, Sequence[str]]],
    *,
    mend_rewards: bool = False,
) -> list[Edit]:
    """New judgements of the named episodes; all others stay as they are.

    Args:
        episodes: Of all recordings.
        verdicts: Names of the episodes that get each.
        mend_rewards: In all episodes, rewards that were paid for every step become the sparse ones of the task.

    Raises:
        DatasetError: A name is wrong or given two verdicts, an episode has no end, the reward is dense, or nothing
            would change.
    """
    judged: dict[int, Verdict] = {}
    for verdict, names in verdicts:
        for index in select(names, episodes):
            if judged.setdefault(index, verdict) != verdict:
                raise DatasetError(f"{episodes[index]} is named both as {judged[index]} and as {verdict}")
    if not judged and not mend_rewards:
        raise DatasetError("no episode is named; use --success, --failure, --time-limit or --mend-rewards")
    for index, episode in enumerate(episodes):
        if index in judged and episode.episode.aborted:
            raise DatasetError(f"{episode} has no end to be judged; give it one with: hil-serl dataset trim")
        if (index in judged or mend_rewards) and episode.task is not None and episode.task.reward.dense:
            raise DatasetError(f"{episode} has a dense reward, of which success or failure says nothing")
    return [
        Edit(episode, verdict=judged.get(index), mend_rewards=mend_rewards)
        for index, episode in enumerate(episodes)
    ]


def write_edits(
    edits: Sequence[Edit], target: Path, command: str, *, mode: str = "", keep_before_damage: bool = False
) -> Result:
    """Write a new run folder; the recordings it is made from are only read.

    Every recording becomes an actor of its own, with a new name: (actor_id, sequence) names a record for ever, and these
    are other records. Its stamps stay, which is why several recordings do not share a bag: their times overlap.

    Args:
        edits: Episodes in recording order.
        target: Must not exist; it is there only when it is complete.
        command: Which command made it.
        mode: Phase to put them under, e.g. ``record_demos``; empty: as recorded.
        keep_before_damage: See :func:`hil_serl_ros.bag.read_steps`.

    Raises:
        DatasetError: Task specs differ or are unknown, an episode has gaps, or ``target`` exists.
        BagError: A recording cannot be read, or the new one not be written.
    """
    for edit in edits:
        if not edit.source.whole:
            raise DatasetError(
                f"{edit.source} has gaps ('hil-serl dataset check' says where); leave it out with: "
                f"hil-serl dataset trim --drop {word(edit.source)}"
            )
    specs = common_tasks([edit.source for edit in edits])
    groups: dict[tuple[Path, str], list[Edit]] = {}
    for edit in edits:
        groups.setdefault((edit.source.recording.folder, edit.source.key[0]), []).append(edit)
    sources = sorted({str(edit.source.recording.folder) for edit in edits})
    with new_folder(target) as folder:
        create_run(folder, specs, command, sources=sources)
        for (_, old), members in groups.items():
            recording = members[0].source.recording
            phase = mode or recording.mode or "record_demos"
            # A forward-backward run finds its agents' records by the folder's name.
            with ActorOutput(folder, phase, f"{old}_{_digest(members)}", name=old) as output:
                _copy(recording, members, output, keep_before_damage)
    return Result(target, len(edits), sum(edit.records for edit in edits))


def _digest(edits: Sequence[Edit]) -> str:
    """8 hex digits over what the new records are made of: the same command twice gives the same names."""
    parts = [
        (e.source.checksum, e.skip_first, e.skip_last, e.close, e.verdict, e.mend_rewards) for e in edits
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def _copy(recording: Recording, edits: Sequence[Edit], output: ActorOutput, keep_before_damage: bool) -> None:
    """Second reading of a recording: its edited episodes, each written when its last record has been read."""
    waiting = {edit.source.key: edit for edit in edits}
    labels = read_labels(recording.labels_file) if recording.labels_file else {}
    collected: dict[tuple[str, int], list[StepMessage]] = {}
    for raw in recording.messages(keep_before_damage=keep_before_damage):
        try:
            message = raw.deserialize()
        except BagDamagedError:
            if keep_before_damage:
                continue  # its episode has a gap, and is not among the edits
            raise
        key = message.actor_id, message.episode
        if key not in waiting:
            continue
        collected.setdefault(key, []).append(message)
        if len(collected[key]) == waiting[key].source.records:
            edit = waiting.pop(key)
            records = collected.pop(key)
            records = records[edit.skip_first : len(records) - edit.skip_last]
            classes = [labels.get((m.actor_id, m.sequence)) for m in records]
            if labels and edit.verdict is not None:
                classes[-1] = _class_of(edit)
            output.write_episode(apply(edit, records), classes)
    if waiting:
        raise DatasetError(
            f"{recording.folder} changed while it was read; try again when nothing writes there"
        )


def apply(edit: Edit, records: list[StepMessage]) -> list[StepMessage]:
    """The records with what their new places and verdict ask for; they are changed in place."""
    first, last = records[0], records[-1]
    if edit.mend_rewards:
        assert edit.source.task is not None  # common_tasks refuses unknown ones
        for record in records:
            record.reward = mended_reward(edit.source.task.reward, record.reward, is_last=record.is_last)
    if edit.skip_first:
        first.reward = 0.0  # what was received on arrival belongs to a transition that is gone
        first.grasp_penalty = 0.0
    if not last.is_last and (edit.skip_last or edit.close):
        last.action = array("f")
        last.policy_action = array("f")
        last.source = int(Source.NONE)
        last.is_last = True
        last.is_terminal = False
    if edit.verdict is not None:
        task = edit.source.task
        assert task is not None  # common_tasks refuses unknown ones
        success = edit.verdict is Verdict.SUCCESS
        last.reward = float(task.reward.success_reward) if success else 0.0
        last.is_terminal = edit.verdict is not Verdict.TIME_LIMIT
    return records


def _class_of(edit: Edit) -> str:
    """Label of the last record of a relabelled episode, where records have labels."""
    assert edit.source.task is not None
    outcome = Outcome(success=edit.verdict is Verdict.SUCCESS, failure=edit.verdict is Verdict.FAILURE)
    return label_of(outcome, edit.source.task.reward.classifier)


def with_notes(result: Result, notes: Sequence[str]) -> Result:
    """The same result with notes."""
    return replace(result, notes=tuple(notes))
