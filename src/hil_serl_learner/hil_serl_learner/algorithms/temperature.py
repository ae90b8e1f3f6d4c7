# SPDX-License-Identifier: Apache-2.0
"""Temperature of the entropy term, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Temperature(nn.Module):
    """alpha = softplus(lambda), trained so that the policy's entropy approaches a target."""

    def __init__(self, initial: float, target_entropy: float) -> None:
        super().__init__()
        inverse = torch.log(torch.expm1(torch.tensor(initial, dtype=torch.float64)))
        self.multiplier = nn.Parameter(inverse.to(torch.float32).reshape(1))
        self.target_entropy = target_entropy

    def forward(self) -> Tensor:
        """alpha, a scalar."""
        return functional.softplus(self.multiplier[0])

    def loss(self, entropy: Tensor) -> Tensor:
        """alpha (entropy - target)."""
        return self() * (entropy - self.target_entropy)
