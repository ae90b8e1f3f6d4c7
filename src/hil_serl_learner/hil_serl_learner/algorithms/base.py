# SPDX-License-Identifier: Apache-2.0
"""What the trainer asks of an algorithm."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hil_serl_core.policy import PolicyNetwork
from hil_serl_learner.batch import Batch


class Algorithm(Protocol):
    """Trains a :class:`PolicyNetwork` from batches.

    Attributes:
        policy: The networks the actor runs.
        demonstration_share: Share of each batch drawn from the demonstration list.
        needs_online_data: False if training starts without online experience.
    """

    policy: PolicyNetwork
    demonstration_share: float
    needs_online_data: bool

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient update; returns scalars for the log."""
        ...

    def model_state(self) -> dict[str, Tensor]:
        """Every tensor of every network, by name."""
        ...

    def load_model_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores :meth:`model_state`."""
        ...

    def optimizer_state(self) -> dict[str, Tensor]:
        """Optimiser moments, random state and counters, by name."""
        ...

    def load_optimizer_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores :meth:`optimizer_state`."""
        ...
