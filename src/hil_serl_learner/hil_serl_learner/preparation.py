# SPDX-License-Identifier: Apache-2.0
"""Principal components first, then features of the records that waited for them."""

from __future__ import annotations

import math

import numpy as np
import torch

from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.step import Step
from hil_serl_learner.observations import CachedObservations, PlainObservations

# Frames the principal components are fitted on, at most; more change nothing and cost start-up time.
PCA_RECORDS = 400


class Preparation:
    """Has the features of stored records computed, as soon as that is possible.

    Attributes:
        waiting: Slots and records without features yet.
    """

    def __init__(
        self, extractor: FeatureExtractor, observations: CachedObservations | PlainObservations
    ) -> None:
        self._extractor, self._observations = extractor, observations
        self.waiting: list[tuple[int, Step]] = []

    def add(self, slot: int, step: Step, *, wait: bool) -> None:
        """Takes a stored record; ``wait`` for :meth:`compute`."""
        if wait:
            self.waiting.append((slot, step))
        else:
            self._observations.store(slot, step)

    def compute(self) -> None:
        """Features of the waiting records, after fitting the principal components on them if need be.

        Raises:
            ValueError: The components cannot be fitted on these frames.
        """
        if not self._extractor.fitted:
            chosen = self.waiting[:: max(1, math.ceil(len(self.waiting) / PCA_RECORDS))]
            self._extractor.fit(
                torch.from_numpy(np.stack([np.asarray(step.frames[camera]) for _, step in chosen]))
                for camera in self._extractor.cameras
            )
        for slot, step in self.waiting:
            self._observations.store(slot, step)
        self.waiting.clear()
