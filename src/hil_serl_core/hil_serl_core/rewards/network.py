# SPDX-License-Identifier: Apache-2.0
"""Classifier network on frozen spatial features (App. B: backbone, then a two-layer MLP, cross entropy)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hil_serl_core.nn.encoder import CAMERA_HEADS
from hil_serl_core.nn.layers import LAYER_NORM_EPS, Dense

DROPOUT = 0.1
EMBEDDING = 256
HIDDEN = 256


class ClassifierNetwork(nn.Module):
    """Camera heads -> Dense 256 -> dropout 0.1 -> LayerNorm -> ReLU -> one logit, or one per class.

    Two classes share one logit, that of the second class; more classes have one each.
    """

    def __init__(self, cameras: Mapping[str, tuple[int, int, int]], head: str, classes: int) -> None:
        """Make the heads, untrained.

        Args:
            cameras: Camera name to (height, width, channels) of its features.
            head: Camera head, as ``learner.camera_head``.
            classes: Number of classes.
        """
        super().__init__()
        self.heads = nn.ModuleDict(
            {name: CAMERA_HEADS[head](shape, EMBEDDING) for name, shape in cameras.items()}
        )
        self._sizes = [h * w * c for h, w, c in cameras.values()]
        self.hidden = Dense(len(cameras) * EMBEDDING, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=LAYER_NORM_EPS)
        self.output = Dense(HIDDEN, 1 if classes == 2 else classes)

    def embed(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps flat features (B, F) to the camera heads' outputs (B, cameras * 256)."""
        parts = torch.split(features, self._sizes, dim=1)
        return torch.cat(
            [head(part, generator) for head, part in zip(self.heads.values(), parts, strict=True)], 1
        )

    def classify(self, embedding: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps embeddings (B, cameras * 256) to logits (B, 1) or (B, classes)."""
        x = self.hidden(embedding)
        if generator is not None:
            keep = torch.rand(x.shape, generator=generator, device=x.device) >= DROPOUT
            x = x * keep / (1.0 - DROPOUT)
        return self.output(functional.relu(self.norm(x)))

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps flat features (B, F) to logits; dropout acts only when a generator is given."""
        return self.classify(self.embed(features, generator), generator)


def class_probabilities(logits: Tensor) -> Tensor:
    """Maps logits (B, 1) or (B, N) to probabilities (B, 2) or (B, N)."""
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits)
        return torch.cat([1.0 - positive, positive], dim=1)
    return torch.softmax(logits, dim=1)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of logits (B, 1) or (B, N) against class indices (B,)."""
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
    return functional.cross_entropy(logits, labels)
