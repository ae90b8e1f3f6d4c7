# SPDX-License-Identifier: Apache-2.0
"""Parameters of a network in one contiguous buffer.

Adam and the Polyak average each become one fused pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hil_serl_learner.restoring import check_tensor


class FlatParameters:
    """Moves the parameters of modules into one buffer; the modules keep working on views of it.

    Attributes:
        data: (N,) float32, all parameters in the given order.
        parameters: The parameters, now views.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.parameters = [parameter for module in modules for parameter in module.parameters()]
        self.data = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        start = 0
        for parameter in self.parameters:
            stop = start + parameter.numel()
            parameter.data = self.data[start:stop].view_as(parameter)
            start = stop

    def approach(self, other: FlatParameters, share: float) -> None:
        """Polyak average: self <- (1 - share) self + share other."""
        self.data.lerp_(other.data, share)


class FlatAdam:
    """Adam (beta 0.9, 0.999, eps 1e-8) over flat buffers, one fused pass each.

    A network that is not stepped keeps its moments untouched: momentum never moves what has no gradient.
    """

    def __init__(self, buffers: Sequence[Tensor], learning_rate: float) -> None:
        self._buffers = list(buffers)
        self._adam = torch.optim.Adam(self._buffers, lr=learning_rate, fused=True)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._adam.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._adam.param_groups[0]["lr"] = rate

    def step(self, *gradients: Sequence[Tensor]) -> None:
        """One step; per buffer the gradients of its parameters, in the buffer's order."""
        for buffer, parts in zip(self._buffers, gradients, strict=True):
            buffer.grad = torch.cat([part.reshape(-1) for part in parts])
        self._adam.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by name; empty before the first step."""
        named = {}
        for index, buffer in enumerate(self._buffers):
            for key, value in self._adam.state.get(buffer, {}).items():
                named[f"{index}.{key}"] = value
        return named

    def check_state(self, named: Mapping[str, Tensor]) -> None:
        """Raises KeyError or ValueError if :meth:`state`'s result of another process does not fit here."""
        if not named:
            return
        for index, buffer in enumerate(self._buffers):
            check_tensor(f"{index}.step", named, torch.empty(()))
            for key in ("exp_avg", "exp_avg_sq"):
                check_tensor(f"{index}.{key}", named, buffer)

    def load_state(self, named: Mapping[str, Tensor]) -> None:
        """Restores :meth:`state`'s result. Raises KeyError or ValueError if it does not fit; nothing is changed then."""
        self.check_state(named)
        self._adam.state.clear()
        if not named:
            return
        for index, buffer in enumerate(self._buffers):
            # The fused kernel wants the count beside the buffer.
            self._adam.state[buffer] = {
                key: named[f"{index}.{key}"].clone().to(buffer.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
