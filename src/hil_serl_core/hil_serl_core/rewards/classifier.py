# SPDX-License-Identifier: Apache-2.0
"""Success classifier on camera images, and the reward it gives at run time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hil_serl_core.episode import Outcome
from hil_serl_core.nn.backbones import create_backbone
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.observation import Observation
from hil_serl_core.rewards.classifier_file import (
    CLASSIFIER_FILE,
    ClassifierDescription,
    ClassifierError,
    read_classifier,
    write_classifier,
)
from hil_serl_core.rewards.network import ClassifierNetwork, class_probabilities
from hil_serl_core.rewards.pose import PoseTest
from hil_serl_core.spec import TaskSpec


class SuccessClassifier:
    """Frozen backbone, principal components and trained network of a task's classifier.

    Attributes:
        description: What it was trained for; ``threshold`` and ``metrics`` are set by training.
        failure_indices: Classes that end an episode as failed.
        extractor: Frozen features of the classifier's cameras.
        network: What is trained.
        fixed_threshold: Threshold that the task file states; None: the one chosen at training.
    """

    def __init__(self, spec: TaskSpec, device: str = "cpu") -> None:
        """Builds an untrained classifier.

        Raises:
            ClassifierError: The task file has no classifier section.
            BackboneError: The backbone's weights are missing.
        """
        learner = spec.learner
        backbone = create_backbone(learner.backbone, learner.backbone_stride, learner.backbone_weights)
        self.description = ClassifierDescription.for_task(spec, backbone)
        assert spec.reward.classifier is not None
        self.fixed_threshold = spec.reward.classifier.threshold
        self.failure_indices = [
            self.description.classes.index(name) for name in spec.reward.classifier.failure_classes
        ]
        channels = self.description.pca_channels
        self.extractor = FeatureExtractor(backbone, self.description.sizes, channels).to(device)
        classes = len(self.description.classes)
        self.network = ClassifierNetwork(self.extractor.cameras, learner.camera_head, classes).to(device)
        self._device = torch.device(device)

    @classmethod
    def load(cls, path: Path, spec: TaskSpec, device: str = "cpu") -> SuccessClassifier:
        """Classifier of a file or folder, checked against the task that is to use it.

        Raises:
            ClassifierError: It cannot be read, or was trained for another task, other views, classes or backbone.
            BackboneError: The backbone's weights are missing.
        """
        description, tensors = read_classifier(path)
        classifier = cls(spec, device)
        description.check(spec, classifier.extractor.backbone, path)
        targets = classifier._tensors()
        for name, target in targets.items():
            if name not in tensors or tensors[name].shape != target.shape:
                raise ClassifierError(f"classifier {path} is damaged: '{name}' is missing or misshaped")
            if not torch.isfinite(tensors[name]).all():
                raise ClassifierError(f"classifier {path} is damaged: '{name}' holds NaN or infinity")
        with torch.no_grad():
            for name, target in targets.items():
                target.copy_(tensors[name])
        classifier.description = description
        return classifier

    @property
    def threshold(self) -> float:
        """Least p(success) that counts as success: the task file's, or else the one chosen at training."""
        return self.description.threshold if self.fixed_threshold is None else self.fixed_threshold

    def save(self, path: Path) -> Path:
        """Writes ``classifier.safetensors`` into a folder, or the named file; returns the file."""
        file = path if path.suffix == ".safetensors" else path / CLASSIFIER_FILE
        write_classifier(file, self.description, self._tensors())
        return file

    def trained(self, threshold: float, failure_threshold: float, metrics: Mapping[str, Any]) -> None:
        """Notes the results of a training."""
        self.description = dataclasses.replace(
            self.description,
            threshold=threshold,
            failure_threshold=failure_threshold,
            metrics=dict(metrics),
        )

    @torch.inference_mode()
    def features(self, frames: Mapping[str, np.ndarray]) -> Tensor:
        """Features (N, F) of camera name to (N, H, W, 3) uint8, rounded as the training data is."""
        pictures = {
            name: torch.from_numpy(np.ascontiguousarray(frames[name])).to(self._device)
            for name in self.extractor.cameras
        }
        return self.extractor(pictures).half().float()

    @torch.inference_mode()
    def probabilities(self, frames: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probability of each class.

        Args:
            frames: Camera name to (H, W, 3) uint8 RGB, as in an observation; other cameras are left aside.

        Returns:
            (classes,) float64, in the order of ``description.classes``.

        Raises:
            ValueError: A frame is missing or has another size.
        """
        self.extractor.check(frames)
        batch = {name: np.asarray(frames[name])[None] for name in self.extractor.cameras}
        return class_probabilities(self.network(self.features(batch)).double())[0].cpu().numpy()

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        return tensors | {f"features.{name}": t for name, t in self.extractor.trainable_state().items()}


class ClassifierReward:
    """Reward kind ``classifier``.

    An observation is positive if p(success) reaches the threshold and the pose test, if there is one, holds; success
    after ``confirm_steps`` positive observations in a row. With ``form: log_probability`` the reward of every step is
    r(s) = log p(success | s), cut below (SERL, Sec. 4.2); success itself brings the task's success reward, because
    records tell a solved episode by its last reward being positive.

    Attributes:
        probabilities: (classes,) of the latest observation, for people and diagnostics.
    """

    def __init__(self, spec: TaskSpec, classifier: SuccessClassifier) -> None:
        section = spec.reward.classifier
        assert section is not None  # checked when the classifier was made
        self._section = section
        self._form = spec.reward.form
        self._classifier = classifier
        description = classifier.description
        self._success = description.classes.index("success")
        self._failure = classifier.failure_indices
        self._test = PoseTest(spec.reward.pose) if spec.reward.pose is not None else None
        self._positives = 0
        self.probabilities = np.zeros(len(description.classes))

    @property
    def threshold(self) -> float:
        """Least probability that counts as success."""
        return self._classifier.threshold

    def begin_episode(self) -> None:
        """Forget the observations before a reset."""
        self._positives = 0

    def judge(self, observation: Observation) -> Outcome:
        """Verdict on one observation."""
        self.probabilities = self._classifier.probabilities(observation.frames)
        p = float(self.probabilities[self._success])
        positive = p >= self._classifier.threshold and (self._test is None or self._test.holds(observation))
        self._positives = self._positives + 1 if positive else 0
        success = self._positives >= self._section.confirm_steps
        lost = float(self.probabilities[self._failure].sum()) if self._failure else 0.0
        failure = (
            not success and bool(self._failure) and lost >= self._classifier.description.failure_threshold
        )
        if self._form == "binary" or success:
            return Outcome(success=success, failure=failure)
        return Outcome(
            success=success, failure=failure, reward=log_probability(p, self._section.least_log_probability)
        )


def log_probability(p: float, least: float) -> float:
    """SERL's r = log p(e | s), not below ``least``."""
    return max(math.log(p), least) if p > 0.0 else least
