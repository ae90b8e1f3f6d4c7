# SPDX-License-Identifier: Apache-2.0
"""Frozen spatial features: backbone, then whitened principal components per location."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hil_serl_core.nn.backbones import Backbone, create_backbone
from hil_serl_core.spec import TaskSpec

# Images per pass through the trunk; small enough for the activations to stay in the processor's cache.
CHUNK = 8
# Share of the mean square below which a variance is rounding (float64, hundreds of channels).
ROUNDING = 1e-12
# Components below this share of the largest variance are noise; whitening must not blow them up.
RELATIVE_VARIANCE_FLOOR = 1e-6


class FeatureExtractor(nn.Module):
    """Maps frames of all cameras to one flat feature vector per observation.

    The principal components are fitted once, on demonstration frames, and travel with the policy's weights.
    All cameras share them, as they share the trunk. Location-major order: each camera's block is (h, w,
    channels).

    Attributes:
        cameras: Camera name to (height, width, channels) of its features, in the task's order.
        size: Length of the flat feature vector.
    """

    pca_mean: Tensor
    pca_components: Tensor

    def __init__(self, backbone: Backbone, sizes: Mapping[str, int], channels: int | None) -> None:
        """Begin without principal components.

        Args:
            backbone: Frozen trunk.
            sizes: Camera name to side of its square image [px].
            channels: Principal components kept, None for the trunk's own channels.
        """
        super().__init__()
        self.backbone = backbone
        self.image_sizes = dict(sizes)
        kept = backbone.channels if channels is None else channels
        if kept > backbone.channels:
            raise ValueError(
                f"pca_channels {kept} exceeds the {backbone.channels} channels of {backbone.name}"
            )
        self.cameras = {
            name: (backbone.output_size(size), backbone.output_size(size), kept)
            for name, size in sizes.items()
        }
        self.size = sum(h * w * c for h, w, c in self.cameras.values())
        self.uses_pca = channels is not None
        if self.uses_pca:
            self.register_buffer("pca_mean", torch.zeros(backbone.channels))
            self.register_buffer("pca_components", torch.zeros(backbone.channels, kept))

    @classmethod
    def from_spec(cls, spec: TaskSpec) -> FeatureExtractor:
        """Extractor of a task. Raises BackboneError if the trunk's weights are missing."""
        learner = spec.learner
        backbone = create_backbone(learner.backbone, learner.backbone_stride, learner.backbone_weights)
        return cls(backbone, {camera.name: camera.size for camera in spec.cameras}, learner.pca_channels)

    @property
    def fitted(self) -> bool:
        """False while the principal components have not been fitted or loaded."""
        return not self.uses_pca or bool(self.pca_components.any())

    def trainable_state(self) -> dict[str, Tensor]:
        """What travels with the policy's weights: the principal components, never the trunk."""
        return {"pca_mean": self.pca_mean, "pca_components": self.pca_components} if self.uses_pca else {}

    def fit(self, frames: Iterable[Tensor]) -> None:
        """Fits mean and whitened components on the trunk's output.

        Args:
            frames: Batches (N, H, W, 3) uint8 of any cameras.

        Raises:
            ValueError: No frames, or a constant image set.
        """
        if not self.uses_pca:
            return
        channels = self.backbone.channels
        count, total = 0, torch.zeros(channels, dtype=torch.float64)
        second = torch.zeros(channels, channels, dtype=torch.float64)
        for batch in frames:
            for chunk in batch.split(CHUNK):
                maps = self.backbone(chunk.to(self.pca_mean.device)).cpu()
                x = maps.permute(0, 2, 3, 1).reshape(-1, channels).double()
                count += len(x)
                total += x.sum(0)
                second += x.T @ x
        if count < 2:
            raise ValueError("principal components need frames to be fitted on; record demonstrations first")
        mean = total / count
        values, vectors = torch.linalg.eigh(second / count - torch.outer(mean, mean))
        kept = self.pca_components.shape[1]
        values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
        # Of constant images the difference above leaves rounding, of either sign, and no variance.
        if values[0] <= ROUNDING * float(second.trace() / count):
            raise ValueError("principal components cannot be fitted on constant images; check the cameras")
        # An eigenvector's sign is arbitrary; fixing it keeps runs comparable across machines.
        signs = torch.sign(vectors.gather(0, vectors.abs().argmax(0, keepdim=True)))
        values = values.clamp_min(values[0] * RELATIVE_VARIANCE_FLOOR)
        self.pca_mean.copy_(mean)
        self.pca_components.copy_(vectors * signs / values.sqrt())

    def project(self, maps: Tensor) -> Tensor:
        """Maps trunk output (N, C, h, w) to flat features (N, h * w * channels), location-major."""
        x = maps.permute(0, 2, 3, 1).flatten(0, 2)
        if self.uses_pca:
            x = (x - self.pca_mean) @ self.pca_components
        return x.reshape(len(maps), -1)

    @torch.inference_mode()
    def forward(self, frames: Mapping[str, Tensor]) -> Tensor:
        """Flat features (N, size) float32 of frames: camera name to (N, H, W, 3) uint8, same device."""
        features: dict[str, Tensor] = {}
        for size in dict.fromkeys(self.image_sizes.values()):
            names = [name for name, other in self.image_sizes.items() if other == size]
            images = torch.cat([frames[name] for name in names])
            chunks = [self.project(self.backbone(chunk)) for chunk in images.split(CHUNK)]
            flat = chunks[0] if len(chunks) == 1 else torch.cat(chunks)
            features.update(zip(names, flat.chunk(len(names)), strict=True))
        return torch.cat([features[name] for name in self.cameras], dim=1)

    def check(self, frames: Mapping[str, np.ndarray]) -> None:
        """Checks one observation's frames against the task.

        Raises:
            ValueError: A camera is missing or has another size or type.
        """
        for name, size in self.image_sizes.items():
            if name not in frames:
                raise ValueError(f"camera '{name}' is missing; got {sorted(frames)}")
            frame = frames[name]
            if frame.shape != (size, size, 3) or frame.dtype != np.uint8:
                raise ValueError(
                    f"frame of camera '{name}' is {frame.dtype} {frame.shape}, "
                    f"the task file says uint8 ({size}, {size}, 3)"
                )
