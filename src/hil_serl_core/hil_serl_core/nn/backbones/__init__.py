# SPDX-License-Identifier: Apache-2.0
"""Frozen image backbones behind one interface."""

from __future__ import annotations

from pathlib import Path

import torch

from hil_serl_core.nn.backbones.base import Backbone, BackboneError
from hil_serl_core.nn.backbones.efficientnet_lite import EfficientNetLite0, package_weights
from hil_serl_core.nn.backbones.resnet10 import ResNet10

__all__ = ["Backbone", "BackboneError", "EfficientNetLite0", "ResNet10", "create_backbone"]


def create_backbone(name: str, stride: int, weights: str | Path | None = None) -> Backbone:
    """Builds a backbone and loads its ImageNet weights.

    Args:
        name: ``efficientnet_lite0`` or ``resnet10``.
        stride: Pixels per feature location.
        weights: Weight file; needed by resnet10, optional for efficientnet_lite0, whose package brings one.

    Raises:
        BackboneError: Unknown name or stride, or weights missing or of another network.
    """
    if name == EfficientNetLite0.name:
        lite = EfficientNetLite0(stride)
        path = Path(weights) if weights else package_weights()
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # missing, damaged, or a pickle of something else: all unusable
            raise BackboneError(f"cannot read the efficientnet_lite0 weights '{path}': {error}") from error
        lite.load_checkpoint(tensors, str(path))
        backbone: Backbone = lite
    elif name == ResNet10.name:
        resnet = ResNet10(stride)
        if not weights:
            raise BackboneError(
                "resnet10 needs learner.backbone_weights: a copy of resnet10_params.pkl (original release) "
                "or of lerobot/resnet10's model.safetensors"
            )
        resnet.load_file(Path(weights).expanduser())
        backbone = resnet
    else:
        raise BackboneError(f"unknown backbone '{name}', use efficientnet_lite0 or resnet10")
    return backbone.eval().requires_grad_(False)
