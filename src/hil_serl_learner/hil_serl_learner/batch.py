# SPDX-License-Identifier: Apache-2.0
"""One minibatch of transitions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Transitions (o, a, r, o'), B rows, float32 unless said otherwise.

    Attributes:
        features: (B, F) frozen spatial features of o.
        state: (B, S) scaled proprioceptive state of o.
        action: (B, C) continuous components of the executed action.
        grasp: (B,) int64 discrete action of the grippers, see ``ActionLayout``; 0 without grippers.
        reward: (B,) reward on arrival at o'.
        grasp_penalty: (B,) penalty on arrival at o' for toggling a gripper, <= 0; the grasp critic's alone.
        mask: (B,) 1 to bootstrap from o', 0 where the task ended.
        next_features: (B, F) of o'.
        next_state: (B, S) of o'.
    """

    features: Tensor
    state: Tensor
    action: Tensor
    grasp: Tensor
    reward: Tensor
    grasp_penalty: Tensor
    mask: Tensor
    next_features: Tensor
    next_state: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        if self.features.device == device:
            return self
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})
