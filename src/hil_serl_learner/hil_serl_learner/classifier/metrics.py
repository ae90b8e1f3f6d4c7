# SPDX-License-Identifier: Apache-2.0
"""How good a classifier is, and from which probability on it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# A false positive ends an episode with a reward that was not earned; a false negative costs a step.
FALSE_POSITIVE_COST = 2.0
LEAST_THRESHOLD = 0.5
_LARGEST_LOGIT = 10.0


@dataclass(frozen=True)
class BinaryMetrics:
    """Counts of one class against the rest at a threshold."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def accuracy(self) -> float:
        """Share judged rightly; NaN of nothing."""
        return _share(self.true_positives + self.true_negatives, self.total)

    @property
    def precision(self) -> float:
        """Share of the positive verdicts that are right; NaN without any."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the positives that are found; NaN without any."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def total(self) -> int:
        """Number of samples."""
        return sum(asdict(self).values())

    def as_dict(self) -> dict[str, Any]:
        """Counts and rates for a file."""
        rates = {"accuracy": self.accuracy, "precision": self.precision, "recall": self.recall}
        return {**asdict(self), **rates}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def measure(probability: np.ndarray, positive: np.ndarray, threshold: float | np.ndarray) -> BinaryMetrics:
    """Counts at a threshold.

    Args:
        probability: (N,) probability of the class.
        positive: (N,) bool, labelled as the class.
        threshold: Least probability of a positive verdict, of all samples or (N,) of each.
    """
    verdict = probability >= threshold
    return BinaryMetrics(
        true_positives=int(np.sum(verdict & positive)),
        false_positives=int(np.sum(verdict & ~positive)),
        true_negatives=int(np.sum(~verdict & ~positive)),
        false_negatives=int(np.sum(~verdict & positive)),
    )


def choose_threshold(probability: np.ndarray, positive: np.ndarray) -> float:
    """Threshold with the lowest cost, a false positive counting twice.

    Of all thresholds that cost the same, the middle of the widest gap between two samples (in log-odds), because that is
    furthest from any known sample; never below 0.5.

    Args:
        probability: (N,) held-out probabilities of the class.
        positive: (N,) bool labels; both must occur.

    Raises:
        ValueError: Only one label occurs.
    """
    positive = np.asarray(positive, bool)
    if positive.all() or not positive.any():
        raise ValueError("a threshold needs held-out samples of both labels")
    p = np.clip(np.asarray(probability, np.float64), 1e-12, 1.0 - 1e-12)
    logit = np.clip(np.log(p / (1.0 - p)), -_LARGEST_LOGIT, _LARGEST_LOGIT)
    edges = np.unique(np.concatenate([[0.0, _LARGEST_LOGIT], logit[logit > 0.0]]))
    middles = (edges[:-1] + edges[1:]) / 2.0
    verdict = logit[:, None] >= middles[None]
    false_positives = (verdict & ~positive[:, None]).sum(0)
    false_negatives = (~verdict & positive[:, None]).sum(0)
    cost = FALSE_POSITIVE_COST * false_positives + false_negatives
    widths = np.where(cost == cost.min(), edges[1:] - edges[:-1], -1.0)
    return float(1.0 / (1.0 + np.exp(-middles[int(np.argmax(widths))])))


def thresholds_of_others(
    probability: np.ndarray, positive: np.ndarray, episodes: Sequence[str]
) -> np.ndarray:
    """For each sample, the threshold that all *other* episodes would have chosen.

    A threshold looks best on the samples that it was chosen on. Judging every episode by the threshold of the others
    (leave-one-out, on top of a network that has seen none of them) measures what a new episode will meet, and needs no
    third part of a recording that has ten episodes in all.

    Args:
        probability: (N,) held-out probabilities of the class.
        positive: (N,) bool labels.
        episodes: (N,) name of each sample's episode.

    Returns:
        (N,) thresholds; ``LEAST_THRESHOLD`` where the others show one label only and can choose none.
    """
    names = np.asarray(episodes)
    thresholds = np.full(len(names), LEAST_THRESHOLD)
    for name in np.unique(names):
        own = names == name
        if 0 < positive[~own].sum() < (~own).sum():
            thresholds[own] = choose_threshold(probability[~own], positive[~own])
    return thresholds


def confusion(labels: np.ndarray, verdicts: np.ndarray, classes: int) -> list[list[int]]:
    """Counts, rows by label, columns by verdict."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, verdicts), 1)
    return [[int(n) for n in row] for row in table]
