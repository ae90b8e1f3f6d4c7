# SPDX-License-Identifier: Apache-2.0
"""Grasp critic: the value of each joint gripper command."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from hil_serl_core.nn.layers import Dense, DenseNormTanh


class GraspCritic(nn.Module):
    """Q(z, k) for the 3 commands of one gripper or the 9 of two, Q_theta of the paper's eq. (3).

    Dense -> LayerNorm -> tanh layers; the last hidden one is linear, as in the original release. Index k as in
    ``action.ActionLayout``.
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...], choices: int) -> None:
        super().__init__()
        sizes = (inputs, *hidden)
        normed = (DenseNormTanh(a, b) for a, b in itertools.pairwise(sizes[:-1]))
        self.mlp = nn.Sequential(*normed, Dense(sizes[-2], sizes[-1]))
        self.output = Dense(sizes[-1], choices)

    def forward(self, embedding: Tensor) -> Tensor:
        """Maps embeddings (B, Z) to values (B, K)."""
        return self.output(self.mlp(embedding))
