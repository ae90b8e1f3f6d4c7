# SPDX-License-Identifier: Apache-2.0
"""Actor: tanh-squashed diagonal Gaussian."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hil_serl_core.nn.layers import Dense, DenseNormTanh

STD_MIN = 1e-5
STD_MAX = 5.0
_LOG_2 = math.log(2.0)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class GaussianActor(nn.Module):
    """MLP of Dense -> LayerNorm -> tanh, then mean and log standard deviation.

    Action = tanh(mean + std * noise).
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...], actions: int) -> None:
        super().__init__()
        sizes = (inputs, *hidden)
        self.mlp = nn.Sequential(*(DenseNormTanh(a, b) for a, b in itertools.pairwise(sizes)))
        self.mean = Dense(sizes[-1], actions)
        self.log_std = Dense(sizes[-1], actions)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, Z) to mean and standard deviation (B, A) before squashing; std within [1e-5, 5]."""
        x = self.mlp(embedding)
        return self.mean(x), torch.exp(self.log_std(x)).clamp(STD_MIN, STD_MAX)

    def mode(self, embedding: Tensor) -> Tensor:
        """The deterministic action tanh(mean), (B, A)."""
        return torch.tanh(self.mean(self.mlp(embedding)))

    def sample(self, embedding: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reparameterised sample.

        Args:
            embedding: (B, Z).
            noise: (B, A) unit normal.

        Returns:
            Action (B, A) in (-1, 1) and its log density (B,).
        """
        mean, std = self(embedding)
        unsquashed = mean + std * noise
        return torch.tanh(unsquashed), squashed_log_prob(unsquashed, std, noise)


def squashed_log_prob(unsquashed: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    """log density of tanh(u) for u = mean + std * noise, summed over components.

    log p(tanh u) = sum(log N(u; mean, std) - log(1 - tanh(u)^2)), the last term in its stable form
    2 (log 2 - u - softplus(-2 u)).
    """
    gaussian = -0.5 * noise.square() - torch.log(std) - _HALF_LOG_2PI
    correction = 2.0 * (_LOG_2 - unsquashed - functional.softplus(-2.0 * unsquashed))
    return (gaussian - correction).sum(dim=-1)
