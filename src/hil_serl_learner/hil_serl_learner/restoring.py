# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint holds is checked here, all of it, before a trainer takes over any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_tensor(name: str, tensors: Mapping[str, Tensor], like: Tensor) -> None:
    """Is ``tensors[name]`` there, and such that it can be copied onto ``like``?

    Raises:
        KeyError: It is missing.
        ValueError: It has another shape or dtype, or holds NaN or infinity.
    """
    if name not in tensors:
        raise KeyError(f"tensor '{name}' is missing")
    tensor = tensors[name]
    if tensor.shape != like.shape:
        raise ValueError(f"tensor '{name}' has shape {tuple(tensor.shape)}, expected {tuple(like.shape)}")
    if tensor.dtype != like.dtype:
        raise ValueError(f"tensor '{name}' is {tensor.dtype}, expected {like.dtype}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"tensor '{name}' holds NaN or infinity")


def generator_fits(state: Tensor, generator: torch.Generator) -> bool:
    """Can a generator be put into a recorded state?

    Each kind of device has a state of its own size (CUDA 16 bytes, CPU 5056), which means nothing to the others.

    Args:
        state: What ``get_state`` gave in the process that wrote the checkpoint.
        generator: The one that shall go on; it is left alone.

    Returns:
        False if the state is that of a generator of another kind.

    Raises:
        ValueError: It is no generator's state, or one of the right size that PyTorch refuses.
    """
    if state.dtype != torch.uint8 or state.dim() != 1 or not len(state):
        raise ValueError(
            f"the random generator's state is {state.dtype} {tuple(state.shape)}, expected bytes"
        )
    if len(state) != len(generator.get_state()):
        return False
    try:
        torch.Generator(generator.device).set_state(state)
    except RuntimeError as error:
        raise ValueError(f"the random generator's state is not usable: {error}") from error
    return True


def seed_of(seed: int, updates: int) -> int:
    """Seed of a generator whose state was another device's: it follows from the run's seed and its updates alone."""
    # PyTorch takes seeds below 2^63.
    return int(np.random.SeedSequence((seed, updates)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def check_random_state(random: Mapping[str, Any]) -> None:
    """Are the sampler's state and the seed of the views usable?

    Raises:
        KeyError, TypeError, ValueError: They are not.
    """
    np.random.default_rng().bit_generator.state = random["numpy"]
    views = random["views"]
    if not isinstance(views, int) or views < 0:
        raise ValueError(f"the seed of the views is {views!r}, expected an integer of at least 0")
