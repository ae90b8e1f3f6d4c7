# SPDX-License-Identifier: Apache-2.0
"""What a run that `ros2 launch` started says when it ends; the commands of `hil-serl` say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hil_serl_core.episode import Mode
from hil_serl_runs import evaluation, labels, report
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import EpisodeLog, rates
from hil_serl_runs.terminal import word


def conclusion(
    folder: RunFolder, log: EpisodeLog, mode: Mode, phase: str, checkpoints: Sequence[Path] = ()
) -> Iterator[str]:
    """Results of a phase, line by line.

    Args:
        folder: The run.
        log: Its episodes.
        mode: What was done.
        phase: Name of the phase in the log.
        checkpoints: Checkpoint folder of each agent that was evaluated.
    """
    match mode:
        case Mode.EVAL:
            judge = folder.task().reward.kind
            yield from evaluation.conclude(folder, log, phase, checkpoints, perturbation="none", reward=judge)
        case Mode.RECORD_DEMOS:
            yield report.demonstrations_in_words(rates([e for e in log.of(phase) if e.success]))
            yield f"To train on them, launch the same with mode:=train and run_dir:={word(folder.path)}"
        case Mode.RECORD_CLASSIFIER:
            yield labels.in_words(labels.count_labels(folder))
            yield f"Train with: hil-serl classifier train {word(folder.path)}"
        case Mode.TRAIN:
            yield f"To go on with the training, launch the same with run_dir:={word(folder.path)}"
