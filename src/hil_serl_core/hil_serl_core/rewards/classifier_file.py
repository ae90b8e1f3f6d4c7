# SPDX-License-Identifier: Apache-2.0
"""File of a trained classifier: safetensors with a JSON description that says what it was trained for. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from hil_serl_core.nn.backbones import Backbone
from hil_serl_core.rewards.errors import RewardError
from hil_serl_core.spec import TaskSpec

CLASSIFIER_FILE = "classifier.safetensors"
"""Name inside a classifier folder."""
FORMAT = 1
_DESCRIPTION = "hil_serl_classifier"


class ClassifierError(RewardError):
    """A classifier file is refused; the message says why and what to do."""


@dataclass(frozen=True)
class ClassifierDescription:
    """What a classifier was trained for.

    Attributes:
        task: Name of the task.
        spec_hash: Hash of the task spec at training.
        views: Camera name to its source size, crop and size, in the order of the features.
        classes: Class names, in the order of the outputs.
        backbone, backbone_stride, camera_head: As in the task's ``learner`` section.
        pca_channels: As there, or None for all channels of the backbone.
        trunk: Digest of the frozen trunk's weights.
        threshold: Least probability of success that counts as success.
        failure_threshold: Least probability of the failure classes that counts as failure.
        metrics: Held-out results and the size of the data.
    """

    task: str
    spec_hash: str
    views: dict[str, Any]
    classes: tuple[str, ...]
    backbone: str
    backbone_stride: int
    pca_channels: int | None
    camera_head: str
    trunk: str
    threshold: float = 0.5
    failure_threshold: float = 0.5
    metrics: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def for_task(cls, spec: TaskSpec, backbone: Backbone) -> ClassifierDescription:
        """Description of an untrained classifier of a task.

        Raises:
            ClassifierError: The task file has no classifier section.
        """
        classifier = spec.reward.classifier
        if classifier is None:
            raise ClassifierError(
                f"task '{spec.name}' has no section reward.classifier, which names the cameras of its classifier; "
                "add 'classifier: {cameras: [...]}' under 'reward' of the task file"
            )
        learner = spec.learner
        return cls(
            task=spec.name,
            spec_hash=spec.hash,
            views=task_views(spec, classifier.cameras),
            classes=classifier.classes,
            backbone=learner.backbone,
            backbone_stride=learner.backbone_stride,
            pca_channels=None if classifier.all_channels else learner.pca_channels,
            camera_head=learner.camera_head,
            trunk=trunk_digest(backbone),
        )

    @property
    def views_hash(self) -> str:
        """16 hex digits over the views; equal hashes mean that pictures of one suit the other."""
        return views_hash(self.views)

    @property
    def sizes(self) -> dict[str, int]:
        """Camera name to side of its square image [px]."""
        return {name: int(view["size"]) for name, view in self.views.items()}

    def check(self, spec: TaskSpec, backbone: Backbone, path: Path) -> None:
        """Refuses a classifier that a task cannot use.

        Raises:
            ClassifierError: Names every difference.
        """
        mine = ClassifierDescription.for_task(spec, backbone)
        reasons = [] if self.task == mine.task else [f"it was trained for task '{self.task}'"]
        reasons += view_differences(self.views, mine.views)
        if self.classes != mine.classes:
            reasons.append(f"its classes are {list(self.classes)}, the task file's are {list(mine.classes)}")
        for key in ("backbone", "backbone_stride", "camera_head"):
            had, have = getattr(self, key), getattr(mine, key)
            if had != have:
                reasons.append(f"it was trained with learner.{key} {had}, the task file says {have}")
        if self.pca_channels != mine.pca_channels:
            had, have = self.pca_channels or "all", mine.pca_channels or "all"
            reasons.append(
                f"it was trained on {had} channels of the backbone, the task file says {have} (learner.pca_channels, "
                "reward.classifier.all_channels)"
            )
        if self.backbone == mine.backbone and self.trunk != mine.trunk:
            reasons.append("it was trained on other weights of the same backbone")
        if reasons:
            raise ClassifierError(
                f"classifier {path} cannot judge task '{spec.name}': {'; '.join(reasons)}; "
                "train one with: hil-serl classifier train"
            )


def task_views(spec: TaskSpec, cameras: tuple[str, ...]) -> dict[str, Any]:
    """What each named camera of a task shows, in the task's order."""
    return {
        camera.name: camera.model_dump(mode="json", exclude={"name"})
        for camera in spec.cameras
        if camera.name in cameras
    }


def views_hash(views: Mapping[str, Any]) -> str:
    """16 hex digits over views."""
    return hashlib.sha256(json.dumps(views, separators=(",", ":")).encode()).hexdigest()[:16]


def view_differences(had: Mapping[str, Any], have: Mapping[str, Any]) -> list[str]:
    """Differences of two sets of views in words: what was, and what the task file says."""
    if set(had) != set(have):
        return [f"its cameras are {list(had)}, the task file's are {list(have)}"]
    reasons = [
        f"'{key}' of camera '{name}' was {had[name].get(key)}, the task file says {value}"
        for name, view in have.items()
        for key, value in view.items()
        if had[name].get(key) != value
    ]
    if not reasons and list(had) != list(have):
        reasons.append(f"its cameras are in the order {list(had)}, the task file's in {list(have)}")
    return reasons


def trunk_digest(backbone: Backbone) -> str:
    """16 hex digits over the trunk's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_classifier(path: Path, description: ClassifierDescription, tensors: Mapping[str, Tensor]) -> None:
    """Writes a classifier file, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {_DESCRIPTION: json.dumps({"format": FORMAT, **asdict(description)})}
    plain = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(safetensors.torch.save(plain, metadata))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_classifier(path: Path) -> tuple[ClassifierDescription, dict[str, Tensor]]:
    """Reads a classifier file, or the one inside a folder.

    Raises:
        ClassifierError: There is none, or it is damaged or of another version of this suite.
    """
    file = path / CLASSIFIER_FILE if path.is_dir() else path
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            entry = json.loads((opened.metadata() or {})[_DESCRIPTION])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        if (found := entry.pop("format")) != FORMAT:
            raise ClassifierError(f"{file} has format {found}, this version reads {FORMAT}; train it again")
        entry["classes"] = tuple(entry["classes"])
        description = ClassifierDescription(**entry)
    except ClassifierError:
        raise
    except OSError as error:
        raise ClassifierError(
            f"cannot read the classifier {file}: {error.strerror or error}; "
            "train one with: hil-serl classifier train"
        ) from error
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClassifierError(
            f"{file} is not a classifier file of this suite, or is damaged: {error}"
        ) from error
    return description, tensors
