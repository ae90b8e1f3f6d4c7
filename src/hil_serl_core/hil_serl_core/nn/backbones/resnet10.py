# SPDX-License-Identifier: Apache-2.0
"""ResNet-10 of the original release: group norm, one basic block per stage, SAME padding.

Two public copies of its ImageNet weights can be loaded: the Flax pickle ``resnet10_params.pkl`` and the
PyTorch copy ``lerobot/resnet10`` (safetensors, or a torch file read with ``weights_only``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from hil_serl_core.nn.backbones.base import Backbone, BackboneError, load_exactly, same_conv, same_padding
from hil_serl_core.nn.backbones.flax_pickle import read_array_tree

GROUPS = 4
GROUP_NORM_EPS = 1e-5
STEM_CHANNELS = 64
STAGE_CHANNELS = (64, 128, 256, 512)
STAGES_AT_STRIDE = {8: 2, 16: 3, 32: 4}


class SameConv(nn.Module):
    """Convolution without bias under SAME padding; the weight is frozen."""

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs, kernel, kernel))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return same_conv(x, self.weight, None, self.stride)


class FrozenGroupNorm(nn.Module):
    """Group norm over 4 groups with frozen gain and offset."""

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return functional.group_norm(x, GROUPS, self.weight, self.bias, GROUP_NORM_EPS)


class BasicBlock(nn.Module):
    """conv-norm-ReLU-conv-norm plus shortcut, then ReLU; projected shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = SameConv(inputs, outputs, 3, stride), FrozenGroupNorm(outputs)
        self.conv2, self.norm2 = SameConv(outputs, outputs, 3), FrozenGroupNorm(outputs)
        projected = inputs != outputs or stride != 1
        self.shortcut = (
            nn.Sequential(SameConv(inputs, outputs, 1, stride), FrozenGroupNorm(outputs))
            if projected
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet10(Backbone):
    """ResNet-10 up to the given stride; channels 128, 256 or 512 (4x4x512 for 128 px at stride 32)."""

    stem: Tensor
    name = "resnet10"
    mean = (0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0)
    std = (0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0)

    def __init__(self, stride: int = 32) -> None:
        super().__init__()
        if stride not in STAGES_AT_STRIDE:
            raise BackboneError(f"resnet10 can be cut at strides {sorted(STAGES_AT_STRIDE)}, not {stride}")
        self.stride = stride
        self.register_buffer("stem", torch.zeros(STEM_CHANNELS, 3, 7, 7))
        self.stem_norm = FrozenGroupNorm(STEM_CHANNELS)
        kept = STAGE_CHANNELS[: STAGES_AT_STRIDE[stride]]
        inputs = (STEM_CHANNELS, *kept[:-1])
        self.stages = nn.ModuleList(
            BasicBlock(a, b, 1 if index == 0 else 2)
            for index, (a, b) in enumerate(zip(inputs, kept, strict=True))
        )
        self.channels = kept[-1]

    def trunk(self, x: Tensor) -> Tensor:
        """See :meth:`Backbone.trunk`."""
        x = functional.conv2d(x, self.stem, stride=2, padding=3)
        x = functional.relu(self.stem_norm(x))
        top, bottom = same_padding(x.shape[-2], 3, 2)
        left, right = same_padding(x.shape[-1], 3, 2)
        x = functional.max_pool2d(functional.pad(x, (left, right, top, bottom), value=-torch.inf), 3, 2)
        for stage in self.stages:
            x = stage(x)
        return x

    def load_file(self, path: Path) -> None:
        """Loads either public layout, told apart by the suffix: ``.pkl`` or ``.safetensors``, ``.bin``, ``.pt``.

        Raises:
            BackboneError: The file is missing, of another layout, or holds anything but arrays.
        """
        if not path.is_file():
            raise BackboneError(
                f"weights of resnet10 not found: '{path}'. Set learner.backbone_weights to a copy "
                "of resnet10_params.pkl (original release) or of lerobot/resnet10's model.safetensors"
            )
        try:
            if path.suffix == ".pkl":
                tensors = tensors_from_flax(read_array_tree(path))
            elif path.suffix == ".safetensors":
                tensors = tensors_from_hub(safetensors.torch.load_file(path))
            else:
                tensors = tensors_from_hub(torch.load(path, map_location="cpu", weights_only=True))
        except BackboneError:
            raise
        except Exception as error:  # each reader has its own exception types; all mean an unusable file
            raise BackboneError(f"cannot read the resnet10 weights '{path}': {error}") from error
        load_exactly(self, tensors, str(path))


def tensors_from_flax(tree: Mapping[str, Any]) -> dict[str, Tensor]:
    """Names and axes of our module from the Flax tree (``conv_init``, ``norm_init``, ``ResNetBlock_N``, ...).

    Convolution kernels are (H, W, in, out) there. The classifier's ``output_head`` is left out.
    """

    def conv(node: Mapping[str, Any]) -> Tensor:
        return torch.from_numpy(np.array(node["kernel"], dtype=np.float32)).permute(3, 2, 0, 1).contiguous()

    def norm(prefix: str, node: Mapping[str, Any]) -> dict[str, Tensor]:
        return {
            f"{prefix}.weight": torch.from_numpy(np.array(node["scale"], dtype=np.float32).reshape(-1)),
            f"{prefix}.bias": torch.from_numpy(np.array(node["bias"], dtype=np.float32).reshape(-1)),
        }

    try:
        tensors = {"stem": conv(tree["conv_init"]), **norm("stem_norm", tree["norm_init"])}
        for index in range(len(STAGE_CHANNELS)):
            block, prefix = tree[f"ResNetBlock_{index}"], f"stages.{index}"
            for number in (1, 2):
                tensors[f"{prefix}.conv{number}.weight"] = conv(block[f"Conv_{number - 1}"])
                tensors.update(norm(f"{prefix}.norm{number}", block[f"MyGroupNorm_{number - 1}"]))
            if "conv_proj" in block:
                tensors[f"{prefix}.shortcut.0.weight"] = conv(block["conv_proj"])
                tensors.update(norm(f"{prefix}.shortcut.1", block["norm_proj"]))
    except (KeyError, TypeError) as error:
        raise BackboneError(f"not a ResNet-10 parameter tree: {error} is missing or not a group") from error
    return tensors


def tensors_from_hub(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of our module from the hub's (``embedder.0``, ``encoder.stages.N.conv1.conv``, ...).

    Convolutions and norms there may sit in wrappers called ``conv`` and ``group_norm``, depending on the
    revision.
    """
    renamed = {}
    for name, tensor in state.items():
        plain = re.sub(r"\.(conv|group_norm)(?=\.(weight|bias)$)", "", name)
        plain = plain.replace("encoder.stages.", "stages.")
        plain = {"embedder.0.weight": "stem"}.get(plain, plain.replace("embedder.1.", "stem_norm."))
        renamed[plain] = tensor.to(torch.float32)
    return renamed
