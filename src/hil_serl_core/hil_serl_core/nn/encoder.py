# SPDX-License-Identifier: Apache-2.0
"""Observation encoder: one head per camera on frozen spatial features, one for the proprioceptive state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hil_serl_core.nn.layers import DenseNormTanh, lecun_normal_
from hil_serl_core.spec import TaskSpec


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the trainable networks.

    Attributes:
        cameras: Camera name to the (height, width, channels) of its spatial features, in the task's order.
        state_size: Length of the flat proprioceptive state.
        action_size: Number of continuous action components.
        camera_embedding: Outputs of each camera head.
        state_embedding: Outputs of the proprio encoder.
        hidden: Widths of the hidden layers of actor and critics.
        grasp_choices: Discrete actions of the grasp critic; 0 for a task that moves no gripper.
        grasp_hidden: Widths of its hidden layers.
        critic_ensemble: Number of critics.
        critic_shared_output: The critics have one output layer in common.
        camera_head: ``dense`` (flatten -> Dense) or ``learned_pooling`` (original release).
    """

    cameras: Mapping[str, tuple[int, int, int]]
    state_size: int
    action_size: int
    camera_embedding: int = 128
    state_embedding: int = 64
    hidden: tuple[int, ...] = (256, 256)
    critic_ensemble: int = 2
    camera_head: str = "dense"
    grasp_choices: int = 0
    grasp_hidden: tuple[int, ...] = (256, 256)
    critic_shared_output: bool = False

    @classmethod
    def from_spec(cls, spec: TaskSpec, cameras: Mapping[str, tuple[int, int, int]]) -> NetworkConfig:
        """Sizes for a task whose frozen features have the given layout."""
        learner = spec.learner
        return cls(
            cameras=dict(cameras),
            state_size=sum(spec.state_sizes.values()),
            action_size=spec.continuous_size,
            camera_embedding=learner.camera_embedding,
            state_embedding=learner.state_embedding,
            hidden=tuple(learner.hidden),
            critic_ensemble=learner.critic_ensemble,
            camera_head=learner.camera_head,
            grasp_choices=spec.grasp_choices,
            grasp_hidden=tuple(learner.grasp_hidden),
            critic_shared_output=learner.critic_shared_output,
        )

    @property
    def embedding_size(self) -> int:
        """Length of the encoder's output."""
        return len(self.cameras) * self.camera_embedding + self.state_embedding


class LearnedSpatialPooling(nn.Module):
    """Weighted sums over space with a learned kernel (H, W, C, F).

    Out[c * F + f] = sum_hw x[h, w, c] k[h, w, c, f].
    """

    def __init__(self, height: int, width: int, channels: int, blocks: int = 8) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(height, width, channels, blocks))
        with torch.no_grad():
            lecun_normal_(self.kernel, height * width * channels)

    @property
    def outputs(self) -> int:
        """Channels times blocks."""
        return self.kernel.shape[2] * self.kernel.shape[3]

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, H, W, C) to (B, C * F)."""
        return torch.einsum("bhwc,hwcf->bcf", x, self.kernel).flatten(1)


class CameraHead(nn.Module):
    """Flatten -> Dense -> LayerNorm -> tanh on whitened principal components."""

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        height, width, channels = shape
        self.bottleneck = DenseNormTanh(height * width * channels, outputs, init="lecun")

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps flat features (B, H * W * C) to (B, outputs)."""
        return self.bottleneck(x)


class PooledCameraHead(nn.Module):
    """The original release's head: learned spatial pooling -> dropout 0.1 -> Dense -> LayerNorm -> tanh.

    Dropout acts only when a generator is given, which only the actor's training passes do.
    """

    DROPOUT = 0.1

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        self.shape = shape
        self.pooling = LearnedSpatialPooling(*shape)
        self.bottleneck = DenseNormTanh(self.pooling.outputs, outputs, init="lecun")

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps flat features (B, H * W * C) to (B, outputs)."""
        pooled = self.pooling(x.unflatten(1, self.shape))
        if generator is not None:
            keep = torch.rand(pooled.shape, generator=generator, device=pooled.device) >= self.DROPOUT
            pooled = pooled * keep / (1.0 - self.DROPOUT)
        return self.bottleneck(pooled)


CAMERA_HEADS: dict[str, type[nn.Module]] = {"dense": CameraHead, "learned_pooling": PooledCameraHead}


class ObservationEncoder(nn.Module):
    """Camera heads and proprio encoder, concatenated.

    Shared by actor and critics, trained by the critic loss.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.camera_head not in CAMERA_HEADS:
            raise ValueError(f"unknown camera head '{config.camera_head}', use one of {sorted(CAMERA_HEADS)}")
        head = CAMERA_HEADS[config.camera_head]
        self.heads = nn.ModuleDict(
            {name: head(shape, config.camera_embedding) for name, shape in config.cameras.items()}
        )
        self.state = DenseNormTanh(config.state_size, config.state_embedding)
        self._sizes = [h * w * c for h, w, c in config.cameras.values()]
        # Only the pooled head has dropout; without it the actor can reuse the critic's camera embeddings.
        self.has_dropout = head is PooledCameraHead

    def cameras(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps flat features of all cameras (B, sum H * W * C) to (B, cameras * camera_embedding)."""
        parts = torch.split(features, self._sizes, dim=1)
        return torch.cat(
            [head(part, generator) for head, part in zip(self.heads.values(), parts, strict=True)], 1
        )

    def forward(self, features: Tensor, state: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps features (B, F) and scaled state (B, S) to the embedding (B, Z); ``generator``: of the heads' dropout."""
        return torch.cat([self.cameras(features, generator), self.state(state)], dim=1)
