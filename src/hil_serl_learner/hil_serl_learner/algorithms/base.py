# SPDX-License-Identifier: Apache-2.0
"""What the trainer asks of an algorithm. A new one is a subclass in a file of its own and a line in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.policy import PolicyNetwork
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam
from hil_serl_learner.restoring import check_tensor


class Algorithm(ABC):
    """Trains a :class:`PolicyNetwork` from batches.

    Attributes:
        demonstration_share: Share of each batch drawn from the demonstration list.
        interventions_are_demonstrations: Intervened online steps go to the demonstration list as well.
        pauses_are_demonstrations: Steps of demonstrations without any command go to the demonstration list.
        pretrains: Begins with updates on the demonstrations alone.
        policy: The networks the actor runs.
        critics: Its critics; None for an algorithm that has none.
        optimizers: Adam by group, as checkpoints name them.
        return_bounds: Least and largest possible return, which targets are kept in; None for no bounds.
        grasp_return_bounds: The same for the grasp critic, whose reward has the penalty for toggling in it.
    """

    demonstration_share: float = 0.5
    interventions_are_demonstrations: bool = False
    pauses_are_demonstrations: bool = True
    pretrains: bool = False

    policy: PolicyNetwork
    critics: CriticEnsemble | None = None
    return_bounds: tuple[float, float] | None = None
    grasp_return_bounds: tuple[float, float] | None = None
    optimizers: dict[str, FlatAdam]

    @property
    def evaluated(self) -> PolicyNetwork:
        """The policy that a checkpoint hands to evaluations; the same networks as ``policy``."""
        return self.policy

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient update; returns scalars for the log."""

    @abstractmethod
    def model_state(self) -> dict[str, Tensor]:
        """Every tensor of every network, by name; the live ones."""

    def complete(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint's tensors, with those added that settings changed since then ask for."""
        return tensors

    def load_model_state(self, tensors: dict[str, Tensor]) -> None:
        """Copies :meth:`model_state`'s result into the flat buffers.

        Raises:
            KeyError, ValueError: It does not fit; nothing is changed.
        """
        tensors = self.complete(tensors)
        targets = self.model_state()
        for name, target in targets.items():
            check_tensor(name, tensors, target)
        for name, target in targets.items():
            target.copy_(tensors[name])

    def optimizer_state(self) -> dict[str, Tensor]:
        """Optimiser moments, random state and counters, by name."""
        return {
            f"{group}.{name}": tensor
            for group, adam in self.optimizers.items()
            for name, tensor in adam.state().items()
        }

    def check_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises KeyError or ValueError if :meth:`optimizer_state`'s result does not fit; changes nothing."""
        for group, adam in self.optimizers.items():
            adam.check_state(_of_group(group, tensors))

    def load_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores :meth:`optimizer_state`.

        Raises:
            KeyError, ValueError: It does not fit; nothing is changed.
        """
        self.check_optimizer_state(tensors)
        for group, adam in self.optimizers.items():
            adam.load_state(_of_group(group, tensors))

    def set_learning_rate(self, rate: float) -> None:
        """Learning rate of all optimisers from the next update on."""
        for adam in self.optimizers.values():
            adam.learning_rate = rate


def _of_group(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
