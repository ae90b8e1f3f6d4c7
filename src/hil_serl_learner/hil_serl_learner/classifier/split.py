# SPDX-License-Identifier: Apache-2.0
"""Held-out data: whole episodes, because neighbouring pictures of one episode are nearly the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from hil_serl_learner.classifier.samples import DataError, LabelledStep

HELD_OUT_SHARE = 0.25
LEAST_EPISODES = 4
LEAST_PER_CLASS = 8


def check_enough(samples: Sequence[LabelledStep], classes: Sequence[str]) -> None:
    """Refuses data that cannot be learnt from and tested on.

    Raises:
        DataError: One class only, too few samples of one, or too few episodes; says which and how many are needed.
    """
    counts = {name: sum(s.label == index for s in samples) for index, name in enumerate(classes)}
    summary = ", ".join(f"{count} of '{name}'" for name, count in counts.items())
    missing = [name for name, count in counts.items() if not count]
    if missing:
        raise DataError(
            f"the data has no example of '{missing[0]}' ({summary}); a classifier needs every class: record some "
            "with 'hil-serl classifier record', or label steps with --add-positive or --add-negative"
        )
    few = [name for name, count in counts.items() if count < LEAST_PER_CLASS]
    if few:
        raise DataError(
            f"the data has too few examples of '{few[0]}' ({summary}); at least {LEAST_PER_CLASS} are needed, "
            "about 200 positives and 1000 negatives are usual"
        )
    episodes = {s.episode_key for s in samples}
    if len(episodes) < LEAST_EPISODES:
        raise DataError(
            f"the data is from {len(episodes)} episodes; at least {LEAST_EPISODES} are needed, so that whole "
            "episodes can be held out for the test"
        )
    for index, name in enumerate(classes):
        having = {s.episode_key for s in samples if s.label == index}
        if len(having) < 2:
            raise DataError(
                f"all examples of '{name}' are from one episode; record another one, so that one can be trained on "
                "and the other held out"
            )


def held_out(
    samples: Sequence[LabelledStep], classes: int, seed: int = 0, share: float = HELD_OUT_SHARE
) -> np.ndarray:
    """Which samples are held out.

    Episodes are drawn by a hash of their name, so that adding data later moves few of them to the other side, and the
    threshold of a retrained classifier is chosen on much the same data. Each class is on both sides. Episodes of which a
    person added steps are trained on: what is held out would not be cured.

    Args:
        samples: Enough of them, see :func:`check_enough`.
        classes: Number of classes.
        seed: Of the draw.
        share: Share of the episodes to hold out.

    Returns:
        (N,) bool.
    """
    labels: dict[str, set[int]] = defaultdict(set)
    for sample in samples:
        labels[sample.episode_key].add(sample.label)
    added = {sample.episode_key for sample in samples if sample.added}
    order = sorted(labels.keys() - added, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    strata: dict[frozenset[int], list[str]] = defaultdict(list)
    for key in order:
        strata[frozenset(labels[key])].append(key)
    held = {key for keys in strata.values() for key in keys[: round(share * len(keys))]}
    for label in range(classes):
        having = [key for key in order if label in labels[key]]
        trained = any(label in labels[key] for key in added)
        if having and not held.intersection(having):
            held.add(having[0])
        elif having and held.issuperset(having) and not trained:
            held.discard(having[-1])
    return np.array([sample.episode_key in held for sample in samples])
