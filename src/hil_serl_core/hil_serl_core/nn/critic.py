# SPDX-License-Identifier: Apache-2.0
"""Critics: an ensemble of Q functions evaluated together."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from hil_serl_core.nn.layers import Dense, EnsembleDense, EnsembleNormTanh


class CriticEnsemble(nn.Module):
    """E critics Q_e(z, a) of Dense -> LayerNorm -> tanh layers and one output, as batched products.

    The first layer's product with the observation can be computed alone (``project``): critic and actor loss
    see the same observations under the same parameters, and the actor loss needs no gradient through it.

    Members are independent of each other, or (``shared_output``) have one output layer in common, as in the original
    release: Q_e(z, a) = h_e(z, a) w + b with hidden layers h_e of their own.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: tuple[int, ...],
        members: int = 2,
        shared_output: bool = False,
    ) -> None:
        super().__init__()
        self.members = members
        self.observation_size = observation_size
        sizes = (observation_size + action_size, *hidden)
        self.layers = nn.ModuleList(EnsembleDense(members, a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(EnsembleNormTanh(members, size) for size in hidden)
        self.output = Dense(sizes[-1], 1) if shared_output else EnsembleDense(members, sizes[-1], 1)

    @property
    def first(self) -> EnsembleDense:
        """The first layer."""
        layer = self.layers[0]
        assert isinstance(layer, EnsembleDense)
        return layer

    def project(self, observation: Tensor) -> Tensor:
        """Observation's share of the first layer before its norm, bias included.

        (B, Z) -> (E, B, hidden[0]).
        """
        first = self.first
        repeated = observation.expand(self.members, *observation.shape)
        return torch.baddbmm(first.bias, repeated, first.weight[:, : self.observation_size])

    def evaluate(self, projected: Tensor, action: Tensor) -> Tensor:
        """Q values (E, B) from ``project``'s result and actions (B, A)."""
        repeated = action.expand(self.members, *action.shape)
        x = torch.baddbmm(projected, repeated, self.first.weight[:, self.observation_size :])
        x = self.norms[0](x)
        # Slicing a ModuleList would build a new one in every call.
        for layer, norm in itertools.islice(zip(self.layers, self.norms, strict=True), 1, None):
            x = norm(layer(x))
        if isinstance(self.output, Dense):
            return self.output(x.flatten(0, 1)).view(x.shape[:2])
        return self.output(x).squeeze(-1)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Q values (E, B) of embeddings (B, Z) and actions (B, A)."""
        return self.evaluate(self.project(observation), action)
