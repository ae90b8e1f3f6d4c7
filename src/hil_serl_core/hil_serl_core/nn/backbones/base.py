# SPDX-License-Identifier: Apache-2.0
"""What a frozen image backbone offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


class BackboneError(ValueError):
    """A backbone's weights are missing or do not fit; the message names the file and the remedy."""


class Backbone(nn.Module, ABC):
    """Frozen convolutional trunk.

    Attributes:
        name: Name in the task file.
        mean: Per-channel mean subtracted from uint8 RGB.
        std: Per-channel divisor.
        channels: Channels of the feature map.
        stride: Pixels per feature location.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: int
    stride: int

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalises (N, H, W, 3) uint8 RGB to (N, 3, H, W) float32."""
        scale = images.new_tensor(self.std, dtype=torch.float32).reciprocal()
        offset = images.new_tensor(self.mean, dtype=torch.float32) * -scale
        x = torch.addcmul(offset, images.to(torch.float32), scale)
        return x.permute(0, 3, 1, 2)

    @abstractmethod
    def trunk(self, x: Tensor) -> Tensor:
        """Maps normalised (N, 3, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, H, W, 3) uint8 RGB to the feature map (N, channels, h, w) float32.

        Never tracks gradients.
        """
        with torch.no_grad():
            return self.trunk(self.preprocess(images))

    def output_size(self, size: int) -> int:
        """Side of the feature map of a square image with the given side [px]."""
        return -(-size // self.stride)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis under SAME padding; asymmetric at stride 2, the larger part after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def same_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int = 1) -> Tensor:
    """Convolution with SAME padding; weight (out, in / groups, k, k)."""
    kernel = weight.shape[-1]
    top, bottom = same_padding(x.shape[-2], kernel, stride)
    left, right = same_padding(x.shape[-1], kernel, stride)
    if top == bottom and left == right:
        return functional.conv2d(x, weight, bias, stride, (top, left), groups=groups)
    return functional.conv2d(
        functional.pad(x, (left, right, top, bottom)), weight, bias, stride, groups=groups
    )


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Copies ``tensors`` into the module's parameters and buffers.

    Raises:
        BackboneError: A tensor is missing, has another shape or is not finite.
    """
    for name, target in module.state_dict().items():
        if name not in tensors:
            raise BackboneError(
                f"{origin} lacks the tensor '{name}'; is it a weight file of another network?"
            )
        source = tensors[name]
        if source.shape != target.shape:
            raise BackboneError(
                f"{origin}: '{name}' has shape {tuple(source.shape)}, expected {tuple(target.shape)}"
            )
        if not torch.isfinite(source).all():
            raise BackboneError(f"{origin}: '{name}' is not finite")
        target.copy_(source)
