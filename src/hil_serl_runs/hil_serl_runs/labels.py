# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures that a run recorded for a reward classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hil_serl_core.episode import Mode
from hil_serl_core.rewards import LABELS_FILE, read_labels
from hil_serl_runs.run_folder import RunFolder

LEAST_EPISODES = 12
"""Whole episodes are held out for the test, so there must be some of them, however long they are."""


def count_labels(folder: RunFolder) -> Counter[str]:
    """Labels recorded so far, by class."""
    counts: Counter[str] = Counter()
    for file in sorted((folder.path / "bags" / str(Mode.RECORD_CLASSIFIER)).glob(f"*/{LABELS_FILE}")):
        counts.update(read_labels(file).values())
    return counts


def in_words(counts: Mapping[str, int]) -> str:
    """Labelled steps by class, for people."""
    classes = ", ".join(f"{count} of '{name}'" for name, count in sorted(counts.items()))
    return f"{sum(counts.values())} labelled steps: {classes or 'none'}."
