# SPDX-License-Identifier: Apache-2.0
"""The running average of the policy, which evaluations use: one flat buffer."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from hil_serl_core.policy import PolicyNetwork
from hil_serl_learner.optimise import FlatParameters


class PolicyAverage:
    """theta_avg <- (1 - share) theta_avg + share theta after every update; the first update's policy begins it.

    Attributes:
        policy: Networks with the averaged parameters, without gradient.
        updates: () int64, updates averaged so far; on the CPU, because each step asks whether it is the first.
    """

    def __init__(self, policy: PolicyNetwork, parts: Sequence[Tensor], share: float) -> None:
        """Copy the networks and move the copy's parameters into one buffer.

        Args:
            policy: The one that is trained.
            parts: Flat buffers that hold its parameters: those of the encoder (proprio encoder, then camera heads), of
                the actor and, if there is one, of the grasp critic. A part may be empty.
            share: Of the latest policy, per update, in (0, 1].

        Raises:
            ValueError: The parts are not as long as the policy's parameters.
        """
        self.policy = copy.deepcopy(policy).requires_grad_(False)
        encoder, grasp = self.policy.encoder, self.policy.grasp
        modules = [encoder.state, encoder.heads, self.policy.actor]
        self._flat = FlatParameters(modules if grasp is None else [*modules, grasp])
        self._share = share
        self.updates = torch.zeros((), dtype=torch.int64)
        lengths = [len(part) for part in parts]
        if sum(lengths) != len(self._flat.data):
            raise ValueError(f"the parts hold {sum(lengths)} parameters, the policy {len(self._flat.data)}")
        pairs = zip(self._flat.data.split(lengths), parts, strict=True)
        self._pairs = [(average, latest) for average, latest in pairs if len(latest)]

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the policy as it is now."""
        # Sooner than the first update, the average would hold on to untrained weights.
        share = self._share if self.updates.item() else 1.0
        for average, latest in self._pairs:
            average.lerp_(latest, share)
        self.updates += 1
