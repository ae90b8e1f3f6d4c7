# SPDX-License-Identifier: Apache-2.0
"""Record labelled pictures for a reward classifier, until there are enough of both kinds."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path

from hil_serl_bringup.graph.build import GraphError, Operator
from hil_serl_bringup.graph.request import words_of
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Session
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec
from hil_serl_monitor.watch import Phase
from hil_serl_runs.labels import LEAST_EPISODES, count_labels
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.terminal import word

MOST_EPISODES = 200
MOST_ROUNDS = 4
_PHASE = "record_classifier"


def record(
    session: Session, setup: Setup, positives: int, negatives: int, episodes: int | None = None
) -> Counter[str]:
    """Record episodes until there are enough examples of success and of everything else.

    Args:
        session: The run.
        setup: Common settings.
        positives: Examples of success wanted.
        negatives: Other examples wanted.
        episodes: Record exactly so many more episodes instead, as a person does.

    Returns:
        Examples by class.
    """
    if setup.operator is Operator.NONE:
        raise GraphError("recording classifier data needs an operator: scripted, spacenav, joy or keyboard")
    folder = session.folder
    for _ in range(1 if episodes is not None else MOST_ROUNDS):
        done = len(session.log.of(_PHASE))
        wanted = episodes or episodes_needed(
            count_labels(folder), done, folder.task().episode.max_steps, positives, negatives
        )
        if not wanted:
            break
        part = folder.begin_part(_PHASE)
        # The scripted operator of each part is a new process: the same seed would make it do the same again.
        scripted = setup.operator is Operator.SCRIPTED
        extra = {"operator": {"seed": folder.seed * 1000 + part}} if scripted else {}
        request = setup.request(folder, Mode.RECORD_CLASSIFIER, folder.seed, episodes=wanted, extra=extra)
        tally = partial(_tally, folder, positives, negatives)
        session.run(request, Phase(_PHASE, words_of(request), done + wanted, tally=tally))
    return count_labels(folder)


def _tally(folder: RunFolder, positives: int, negatives: int) -> list[tuple[str, int, int]]:
    counts = count_labels(folder)
    return [
        ("success", counts["success"], positives),
        ("other", counts.total() - counts["success"], negatives),
    ]


def shortage(counts: Counter[str], positives: int, negatives: int) -> str:
    """What is missing of what was wanted, in words; empty for nothing."""
    others = counts.total() - counts["success"]
    missing = {"success": positives - counts["success"], "no success": negatives - others}
    return " and ".join(f"{count} of {what}" for what, count in missing.items() if count > 0)


def episodes_needed(counts: Counter[str], done: int, max_steps: int, positives: int, negatives: int) -> int:
    """Episodes still to record, from what the earlier ones brought.

    Args:
        counts: Examples by class.
        done: Episodes recorded.
        max_steps: Records of an episode.
        positives: Examples of success wanted.
        negatives: Examples of failure wanted.
    """
    have = counts["success"], counts.total() - counts["success"]
    missing = max(0, positives - have[0]), max(0, negatives - have[1])
    if not done:
        return max(LEAST_EPISODES, math.ceil((positives + negatives) / max_steps))
    if done >= MOST_EPISODES or not any(missing):
        return max(0, LEAST_EPISODES - done)
    # A class that has not been seen yet is expected to show in one record of an episode.
    rates = [max(1, count) / done for count in have]
    more = max(math.ceil(lack / rate) for lack, rate in zip(missing, rates, strict=True))
    return min(more, MOST_EPISODES - done)


def label_help(task: TaskSpec, operator: Operator, path: Path) -> str:
    """What a person has to know before recording."""
    if operator is Operator.SCRIPTED:
        return "The scripted operator does the task, misses it and strays; the simulator's truth labels every step."
    button = task.intervention.success_button
    how = "the key y" if operator is Operator.KEYBOARD else f"button {button} (counted from 0) of the device"
    return (
        f"Drive the task; hold {how} as long as the state shows success, every other step counts as no success. "
        "Keep the part where it belongs for some seconds, pull it out again, miss on purpose, stray. "
        f"More later with: hil-serl classifier record --resume {word(path)}"
    )
