# SPDX-License-Identifier: Apache-2.0
"""Policy weights as they travel: safetensors bytes with version, spec hash and SHA-256. Never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

_DESCRIPTION = "hil_serl_policy"


class WeightsError(ValueError):
    """Weights are refused; the message says why. The receiver keeps what it has."""


@dataclass(frozen=True)
class PackedWeights:
    """Mirrors ``hil_serl_msgs/PolicyWeights``.

    Attributes:
        version: 0 at the start of training, then increasing; survives a resume.
        trained_step: Online transitions whose updates are in the weights.
        update: Gradient updates done.
        spec_hash: Task spec the weights belong to.
        sha256: Hex digest of ``data``.
        data: Image of a safetensors file.
    """

    version: int
    trained_step: int
    update: int
    spec_hash: str
    sha256: str
    data: bytes


def pack(
    tensors: Mapping[str, Tensor], *, version: int, trained_step: int, update: int, spec_hash: str
) -> PackedWeights:
    """Packs float32 tensors.

    Version and hash are also inside the file, so that a saved file explains itself.
    """
    # One entry: safetensors writes several in random order, and equal weights shall be equal bytes.
    description = {"version": version, "trained_step": trained_step, "update": update, "spec_hash": spec_hash}
    metadata = {_DESCRIPTION: json.dumps(description)}
    plain = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(plain, metadata)
    return PackedWeights(version, trained_step, update, spec_hash, hashlib.sha256(data).hexdigest(), data)


def unpack(packed: PackedWeights, spec_hash: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Checks and opens packed weights.

    Args:
        packed: What was received.
        spec_hash: Hash of the receiver's task spec.
        shapes: Name and shape of every tensor the receiver expects.

    Returns:
        Tensors by name, float32 on the CPU.

    Raises:
        WeightsError: Damaged data, another task spec, missing, extra or misshaped tensors, NaN or infinity.
    """
    if packed.spec_hash != spec_hash:
        raise WeightsError(
            f"weights {packed.version} were trained under task spec {packed.spec_hash}, "
            f"this process runs {spec_hash}; start both with the same task file"
        )
    digest = hashlib.sha256(packed.data).hexdigest()
    if digest != packed.sha256:
        raise WeightsError(
            f"weights {packed.version} are damaged: "
            f"SHA-256 {digest[:12]}... instead of {packed.sha256[:12]}..."
        )
    try:
        tensors = safetensors.torch.load(packed.data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"weights {packed.version} are not a safetensors file: {error}") from error
    _check_tensors(tensors, shapes, f"weights {packed.version}")
    return tensors


def _check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    missing, extra = sorted(set(shapes) - set(tensors)), sorted(set(tensors) - set(shapes))
    if missing or extra:
        raise WeightsError(
            f"{what} do not fit the networks: missing {missing or 'none'}, unknown {extra or 'none'}"
        )
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != tuple(shape):
            raise WeightsError(f"{what}: '{name}' has shape {tuple(tensor.shape)}, expected {tuple(shape)}")
        if tensor.dtype != torch.float32:
            raise WeightsError(f"{what}: '{name}' is {tensor.dtype}, expected float32")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{what}: '{name}' holds NaN or infinity")


POLICY_FILE = "policy.safetensors"
"""Name of the policy inside a checkpoint folder."""


def read_file(path: Path) -> PackedWeights:
    """Reads a policy file, or ``policy.safetensors`` inside a checkpoint folder.

    Raises:
        WeightsError: No such file, or not one that :func:`pack` made.
    """
    file = path / POLICY_FILE if path.is_dir() else path
    try:
        data = file.read_bytes()
        with safetensors.safe_open(file, framework="pt") as opened:
            description = json.loads((opened.metadata() or {})[_DESCRIPTION])
        return PackedWeights(
            int(description["version"]),
            int(description["trained_step"]),
            int(description["update"]),
            str(description["spec_hash"]),
            hashlib.sha256(data).hexdigest(),
            data,
        )
    except OSError as error:
        raise WeightsError(f"cannot read the policy file {file}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{file} is not a policy file of this suite, or is damaged: {error}") from error
