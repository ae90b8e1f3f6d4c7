# SPDX-License-Identifier: Apache-2.0
"""Behaviour cloning on the demonstration list, with the same encoder, features and augmentation as RLPD."""

from __future__ import annotations

import torch
from torch import Tensor

from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.policy import PolicyNetwork
from hil_serl_core.spec.model import LearnerSpec
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam, FlatParameters


class BehaviourCloning:
    """Squared error between tanh(mean) and the executed action.

    The squared error rather than the squashed Gaussian's likelihood, because operators push devices to their
    stops and the likelihood of |a| = 1 under a tanh is unbounded. All of the encoder is trained.
    """

    demonstration_share = 1.0
    needs_online_data = False

    def __init__(self, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = PolicyNetwork(config).to(device)
        self._flat = FlatParameters([self.policy])
        self._adam = FlatAdam([self._flat.data], learner.learning_rate)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on a batch of demonstrations."""
        embedding = self.policy.encoder(batch.features, batch.state)
        loss = (self.policy.actor.mode(embedding) - batch.action).square().mean()
        gradients = torch.autograd.grad(loss, self._flat.parameters, allow_unused=True)
        filled = [
            torch.zeros_like(p) if g is None else g
            for g, p in zip(gradients, self._flat.parameters, strict=True)
        ]
        self._adam.step(filled)
        return {"actor_loss": loss.detach()}

    def model_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        return {f"policy.{name}": tensor for name, tensor in self.policy.state_dict().items()}

    def load_model_state(self, tensors: dict[str, Tensor]) -> None:
        """See :class:`Algorithm`."""
        for name, target in self.model_state().items():
            target.copy_(tensors[name])

    def optimizer_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        return self._adam.state()

    def load_optimizer_state(self, tensors: dict[str, Tensor]) -> None:
        """See :class:`Algorithm`."""
        self._adam.load_state(tensors)
