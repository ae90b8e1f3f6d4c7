# SPDX-License-Identifier: Apache-2.0
"""One minibatch of transitions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Transitions (o, a, r, o'), all float32, B rows.

    Attributes:
        features: (B, F) frozen spatial features of o.
        state: (B, S) scaled proprioceptive state of o.
        action: (B, A) executed action.
        reward: (B,) reward on arrival at o'.
        mask: (B,) 1 to bootstrap from o', 0 where the task ended.
        next_features: (B, F) of o'.
        next_state: (B, S) of o'.
    """

    features: Tensor
    state: Tensor
    action: Tensor
    reward: Tensor
    mask: Tensor
    next_features: Tensor
    next_state: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        if self.features.device == device:
            return self
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})
