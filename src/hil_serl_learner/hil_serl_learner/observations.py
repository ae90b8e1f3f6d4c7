# SPDX-License-Identifier: Apache-2.0
"""Turns sampled slots into batches of features: from the cache, or through the trunk on every update.

The cache holds, per stored record, the float16 features of several shifted views; a view has one offset for
all cameras of the record. A sample draws its view of o and of o' independently, as random crops do. Of two views or more
the first is unshifted, as the actor sees the frame; a single one has an offset drawn at random, as in the original release
but once for each record.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.rewards.classifier_file import trunk_digest
from hil_serl_core.spec import LearnerSpec
from hil_serl_core.step import Step
from hil_serl_learner.augmentation import draw_offsets, shift, view_offsets
from hil_serl_learner.batch import Batch
from hil_serl_learner.feature_file import FeatureFile, record_key
from hil_serl_learner.replay import Replay, ReplayFullError, Sample

_log = logging.getLogger(__name__)
_VIEWS_VERSION, _ONE_VIEW_VERSION = 1, 2
"""Of how views are drawn and shifted; another one makes features on the disk useless. A single view was unshifted once."""


class CachedObservations:
    """Features of each stored record and view, computed once, or read from where an earlier process kept them.

    Attributes:
        seed: Seed of the views' offsets; kept by checkpoints, so that a resumed run sees the same views.
        file: Where features are kept, open from the first record on; None for nowhere.
    """

    def __init__(
        self,
        replay: Replay,
        extractor: FeatureExtractor,
        learner: LearnerSpec,
        seed: int,
        device: str,
        path: Path | None = None,
    ) -> None:
        """Raises ReplayFullError if the memory cannot be reserved; ``path``: of the file that keeps features."""
        self._extractor, self.seed = extractor, seed
        self._path = path
        self.file: FeatureFile | None = None
        self._device = torch.device(device)
        self._views = learner.augmented_views if learner.crop_padding else 1
        self._padding = learner.crop_padding
        try:
            self._cache = np.zeros((replay.capacity * self._views, extractor.size), np.float16)
        except MemoryError as error:
            raise ReplayFullError(
                "the feature cache does not fit into memory; lower learner.replay_capacity"
            ) from error

    def store(self, slot: int, step: Step) -> None:
        """Features of a record's views.

        Offsets depend on the record alone, so a rebuilt cache is the same.
        """
        self._open_file()
        rows = slice(slot * self._views, (slot + 1) * self._views)
        if self.file is None:
            self._cache[rows] = self._compute(step)
            return
        frames = {name: np.asarray(step.frames[name]) for name in self._extractor.cameras}
        key = record_key(f"{step.actor_id}/{step.sequence}", frames)
        kept = self.file.get(key)
        if kept is None:
            self._cache[rows] = self._compute(step)
            self.file.add(key, self._cache[rows])
        else:
            self._cache[rows] = kept.reshape(self._views, -1)

    def _compute(self, step: Step) -> np.ndarray:
        """(views, F) float16."""
        rng = np.random.default_rng((self.seed, crc32(step.actor_id.encode()), step.sequence))
        draw = draw_offsets if self._views == 1 else view_offsets
        offsets = draw(rng, self._views, self._padding)
        views = {
            name: torch.from_numpy(shift(np.asarray(step.frames[name]), offsets)).to(self._device)
            for name in self._extractor.cameras
        }
        return self._extractor(views).half().cpu().numpy()

    def _open_file(self) -> None:
        """At the first record, because principal components and seed are final only then."""
        if self._path is None:
            return
        path, self._path = self._path, None
        try:
            self.file = FeatureFile(path, self._description(), self._views * self._extractor.size)
        except OSError as error:
            _log.warning("features are not kept in %s: %s; a resume takes longer", path, error)

    def _description(self) -> dict[str, Any]:
        """What features depend on besides the record: trunk, preprocessing, cameras, components, views."""
        trunk, components = self._extractor.backbone, hashlib.sha256()
        drawn = _ONE_VIEW_VERSION if self._views == 1 and self._padding else _VIEWS_VERSION
        for name, tensor in sorted(self._extractor.trainable_state().items()):
            components.update(name.encode() + tensor.cpu().numpy().tobytes())
        return {
            "trunk": [trunk.name, trunk.stride, trunk_digest(trunk)],
            "preprocessing": [*trunk.mean, *trunk.std],
            "cameras": [[name, size] for name, size in self._extractor.image_sizes.items()],
            "components": components.hexdigest(),
            "views": [drawn, self._views, self._padding, self.seed],
        }

    def close(self) -> None:
        """Lets go of the file."""
        if self.file is not None:
            self.file.close()

    def features(self, slots: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(B, F) float32 on the device, one random view per slot."""
        rows = slots * self._views + rng.integers(0, self._views, len(slots))
        picked = torch.from_numpy(np.take(self._cache, rows, axis=0))
        return picked.to(self._device).float()


class PlainObservations:
    """The original release's path: crop the stored frames and run the trunk on every update."""

    def __init__(
        self, replay: Replay, extractor: FeatureExtractor, learner: LearnerSpec, seed: int, device: str
    ) -> None:
        self._replay, self._extractor, self.seed = replay, extractor, seed
        self._device = torch.device(device)
        self._padding = learner.crop_padding

    def store(self, slot: int, step: Step) -> None:
        """Nothing to do: the frames are in the replay."""

    def close(self) -> None:
        """Nothing to do."""

    def features(self, slots: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(B, F) float32 on the device of freshly cropped frames.

        One offset per sample for all its cameras.
        """
        offsets = draw_offsets(rng, len(slots), self._padding)
        views = {
            name: torch.from_numpy(shift(frames[slots], offsets)).to(self._device)
            for name, frames in self._replay.frames.items()
        }
        return self._extractor(views).clone()


def gather(
    replay: Replay,
    observations: CachedObservations | PlainObservations,
    sample: Sample,
    rng: np.random.Generator,
    device: torch.device,
) -> Batch:
    """The batch of sampled transitions."""
    start, end = sample.start, sample.end
    return Batch(
        features=observations.features(start, rng),
        state=torch.from_numpy(replay.state[start]).to(device),
        action=torch.from_numpy(replay.action[start]).to(device),
        grasp=torch.from_numpy(replay.grasp[start]).to(device),
        reward=torch.from_numpy(replay.reward[end]).to(device),
        grasp_penalty=torch.from_numpy(replay.grasp_penalty[end]).to(device),
        mask=torch.from_numpy(1.0 - replay.stop[end].astype(np.float32)).to(device),
        next_features=observations.features(end, rng),
        next_state=torch.from_numpy(replay.state[end]).to(device),
    )
