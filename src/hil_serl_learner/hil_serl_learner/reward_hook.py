# SPDX-License-Identifier: Apache-2.0
"""Rewards that are learnt beside the policy: relabelled when a batch is made, never stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.spec import TaskSpec
from hil_serl_learner.observations import CachedObservations, PlainObservations
from hil_serl_learner.replay import Replay


class RewardRelabeller(Protocol):
    """Replaces the recorded reward of each sampled transition.

    The trainer calls :meth:`update` once before every gradient update (a relabeller that learns more rarely
    counts for itself) and :meth:`reward` once for the batch, in which no state is terminal then: a demonstration
    that ends at success goes on there as the policy's episodes do. Checkpoints keep its state under ``reward.``.
    """

    def reward(self, next_features: Tensor, stored_reward: Tensor) -> Tensor:
        """Rewards (B,) float32 on arrival, without gradient.

        Args:
            next_features: (B, F) frozen spatial features of o', the ones the critic is given.
            stored_reward: (B,) as recorded.
        """
        ...

    def update(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Learns from the replay if it is time to; returns scalars for the log.

        Args:
            rng: The trainer's sampler; draws must depend on it alone, so that runs repeat by seed.
        """
        ...

    def model_state(self) -> dict[str, Tensor]:
        """Every tensor that :meth:`reward` depends on, by name; the live ones, which a restore copies into."""
        ...

    def optimizer_state(self) -> dict[str, Tensor]:
        """Optimiser moments and counters, by name."""
        ...

    def load_optimizer_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores :meth:`optimizer_state`. Raises KeyError or ValueError if it does not fit; nothing is changed then."""
        ...


@dataclass(frozen=True)
class RewardContext:
    """What a relabeller may look at.

    Attributes:
        spec: The task.
        extractor: Frozen features; ``extractor.cameras`` gives their layout.
        replay: All records; ``replay.goals()`` are the final records of successful demonstrations,
            ``replay.online`` what happened while the policy trained.
        observations: ``observations.features(slots, rng)`` gives (B, F) features of records.
        seed: Of the run.
        device: Of the networks.
    """

    spec: TaskSpec
    extractor: FeatureExtractor
    replay: Replay
    observations: CachedObservations | PlainObservations
    seed: int
    device: torch.device


RelabellerFactory = Callable[[RewardContext], RewardRelabeller]
"""Makes the relabeller of a training; called once, before any record is there."""
