# SPDX-License-Identifier: Apache-2.0
"""Training of a classifier on labelled pictures (App. B: cross entropy, Adam 3e-4), test on held-out episodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hil_serl_core.rewards.classifier import SuccessClassifier
from hil_serl_core.rewards.network import class_probabilities, classification_loss
from hil_serl_core.spec import TaskSpec
from hil_serl_learner.augmentation import shift, view_offsets
from hil_serl_learner.classifier.metrics import (
    BinaryMetrics,
    choose_threshold,
    confusion,
    measure,
    thresholds_of_others,
)
from hil_serl_learner.classifier.samples import DataError, LabelledStep
from hil_serl_learner.classifier.split import check_enough, held_out

PCA_PICTURES = 400
"""Pictures that the principal components are fitted on, at most."""
_CHUNK = 64


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        iterations: Gradient steps.
        batch_size: Samples a step, the same number of each class.
        learning_rate: Adam.
        views: Randomly shifted views of each picture, the unshifted one among them.
        added_weight: How much oftener a sample that a person added is drawn than another of its class.
        seed: Of split, networks and draws.
    """

    iterations: int = 150
    batch_size: int = 256
    learning_rate: float = 3e-4
    views: int = 4
    added_weight: float = 5.0
    seed: int = 0


@dataclass(frozen=True)
class TrainingResult:
    """A trained classifier and what it makes of the data.

    Attributes:
        classifier: With threshold and metrics in its description.
        probabilities: (N, classes) of every sample, unshifted.
        held: (N,) bool, held out.
        metrics: Of success against the rest on the held-out samples.
    """

    classifier: SuccessClassifier
    probabilities: np.ndarray
    held: np.ndarray
    metrics: BinaryMetrics


def train_classifier(
    spec: TaskSpec,
    samples: Sequence[LabelledStep],
    options: TrainingOptions = TrainingOptions(),
    progress: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Trains a task's classifier and chooses its threshold on held-out episodes.

    Args:
        spec: The task, with a classifier section.
        samples: Labelled records.
        options: How to train.
        progress: Told what is being done.

    Raises:
        DataError: One class only, or too little data.
        ClassifierError, BackboneError: See :class:`SuccessClassifier`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        classifier = SuccessClassifier(spec)
    classes = classifier.description.classes
    check_enough(samples, classes)
    labels = np.array([sample.label for sample in samples])
    held = held_out(samples, len(classes), options.seed)
    for side in (held, ~held):
        if len(set(labels[side].tolist())) < len(classes):
            raise DataError(
                "the episodes cannot be split so that both parts have every class; record more episodes"
            )
    progress(f"features of {len(samples)} pictures")
    features = _features(classifier, samples, held, spec.learner.crop_padding, options)
    progress(f"{options.iterations} iterations")
    fit_network(classifier, features, labels, ~held, np.array([s.added for s in samples]), options)
    probabilities = _probabilities(classifier, features[:, 0])
    metrics = _conclude(classifier, probabilities, labels, held, samples)
    return TrainingResult(classifier, probabilities, held, metrics)


def _features(
    classifier: SuccessClassifier,
    samples: Sequence[LabelledStep],
    held: np.ndarray,
    padding: int,
    options: TrainingOptions,
) -> Tensor:
    """(N, views, F) float16; held-out pictures have no shifted views. Fits the principal components first."""
    extractor = classifier.extractor
    training = [sample for sample, out in zip(samples, held, strict=True) if not out]
    chosen = training[:: max(1, math.ceil(len(training) / PCA_PICTURES))]
    extractor.fit(torch.from_numpy(np.stack([s.frames[name] for s in chosen])) for name in extractor.cameras)
    rng = np.random.default_rng(options.seed)
    views = options.views if padding else 1
    features = torch.zeros(len(samples), views, extractor.size, dtype=torch.float16)
    for index, (sample, out) in enumerate(zip(samples, held, strict=True)):
        offsets = view_offsets(rng, views, padding)[: 1 if out else views]
        pictures = {name: shift(sample.frames[name], offsets) for name in extractor.cameras}
        features[index, : len(offsets)] = classifier.features(pictures).half()
    return features


def fit_network(
    classifier: SuccessClassifier,
    features: Tensor,
    labels: np.ndarray,
    training: np.ndarray,
    added: np.ndarray,
    options: TrainingOptions,
) -> None:
    """Trains the network on random views, the same number of samples of each class in each batch.

    Args:
        classifier: Its network is trained.
        features: (N, views, F) float16.
        labels: (N,) class indices.
        training: (N,) bool, samples to train on.
        added: (N,) bool, samples to draw oftener.
        options: How.
    """
    rng = np.random.default_rng(options.seed + 1)
    generator = torch.Generator().manual_seed(options.seed)
    network = classifier.network.train()
    adam = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    pools = [np.flatnonzero(training & (labels == k)) for k in range(len(classifier.description.classes))]
    weights = [np.where(added[pool], options.added_weight, 1.0) for pool in pools]
    share = max(1, options.batch_size // len(pools))
    targets = torch.arange(len(pools)).repeat_interleave(share)
    for _ in range(options.iterations):
        rows = np.concatenate(
            [rng.choice(pool, share, p=w / w.sum()) for pool, w in zip(pools, weights, strict=True)]
        )
        views = rng.integers(0, features.shape[1], len(rows))
        batch = features[torch.from_numpy(rows), torch.from_numpy(views)].float()
        loss = classification_loss(network(batch, generator), targets)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    network.eval().requires_grad_(False)


@torch.inference_mode()
def _probabilities(classifier: SuccessClassifier, features: Tensor) -> np.ndarray:
    parts = [
        class_probabilities(classifier.network(part.float()).double()) for part in features.split(_CHUNK)
    ]
    return torch.cat(parts).numpy()


def _conclude(
    classifier: SuccessClassifier,
    probabilities: np.ndarray,
    labels: np.ndarray,
    held: np.ndarray,
    samples: Sequence[LabelledStep],
) -> BinaryMetrics:
    """Chooses the thresholds and writes the results into the classifier's description.

    A threshold that the task file states is taken and not chosen. The held-out figures never judge a sample by a
    threshold that was chosen on it, see :func:`thresholds_of_others`.
    """
    classes = classifier.description.classes
    success = classes.index("success")
    episodes = [sample.episode_key for sample, out in zip(samples, held, strict=True) if out]
    positive, p = labels == success, probabilities[:, success]
    threshold = classifier.fixed_threshold
    unseen: float | np.ndarray
    if threshold is None:
        threshold = choose_threshold(p[held], positive[held])
        unseen = thresholds_of_others(p[held], positive[held], episodes)
    else:
        unseen = threshold
    metrics = measure(p[held], positive[held], unseen)
    report: dict[str, Any] = {
        "held_out": metrics.as_dict(),
        "training": measure(p[~held], positive[~held], threshold).as_dict(),
        "episodes": len({s.episode_key for s in samples}),
        "held_out_episodes": len(set(episodes)),
        "samples": {name: int(np.sum(labels == k)) for k, name in enumerate(classes)},
        "confusion": confusion(labels[held], probabilities[held].argmax(1), len(classes)),
    }
    failure = _failure_threshold(classifier, probabilities[held], labels[held])
    classifier.trained(threshold, failure, report)
    return metrics


def _failure_threshold(classifier: SuccessClassifier, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Threshold of the classes that end an episode as failed, together."""
    failing = classifier.failure_indices
    if not failing:
        return 0.5
    return choose_threshold(probabilities[:, failing].sum(1), np.isin(labels, failing))


def judge(classifier: SuccessClassifier, samples: Sequence[LabelledStep]) -> np.ndarray:
    """(N, classes) probabilities that a trained classifier gives to samples."""
    names = list(classifier.extractor.cameras)
    parts = [
        _probabilities(
            classifier, classifier.features({n: np.stack([s.frames[n] for s in chunk]) for n in names})
        )
        for chunk in (samples[i : i + _CHUNK] for i in range(0, len(samples), _CHUNK))
    ]
    return np.concatenate(parts)
