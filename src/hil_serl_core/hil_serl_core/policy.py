# SPDX-License-Identifier: Apache-2.0
"""The policy as the actor runs it: frames and state in, action out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hil_serl_core.nn.actor import GaussianActor
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.nn.observation import StateLayout
from hil_serl_core.spec.model import TaskSpec


class PolicyNetwork(nn.Module):
    """What the learner trains and the actor runs: observation encoder and actor."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = ObservationEncoder(config)
        self.actor = GaussianActor(config.embedding_size, config.hidden, config.action_size)


class Policy:
    """Policy of a task; usable once weights were loaded.

    Attributes:
        spec: The task.
        ready: True once :meth:`load` succeeded.
    """

    def __init__(self, spec: TaskSpec, device: str = "cpu") -> None:
        """Builds the networks and loads the frozen backbone (BackboneError if that fails)."""
        self.spec = spec
        self.ready = False
        self._device = torch.device(device)
        self._features = FeatureExtractor.from_spec(spec).to(self._device)
        self._network = PolicyNetwork(NetworkConfig.from_spec(spec, self._features.cameras)).to(self._device)
        self._network.requires_grad_(False)
        self._layout = StateLayout(spec)

    def _targets(self) -> dict[str, Tensor]:
        return policy_state(self._network, self._features)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the weights, for :func:`hil_serl_core.weights.unpack`."""
        return {name: tuple(tensor.shape) for name, tensor in self._targets().items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over checked weights (the result of :func:`hil_serl_core.weights.unpack`)."""
        for name, target in self._targets().items():
            target.copy_(weights[name])
        self.ready = True

    @torch.inference_mode()
    def act(
        self,
        frames: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        deterministic: bool = False,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Action for one observation.

        Args:
            frames: Camera name to (H, W, 3) uint8 RGB.
            state: State part to float32 vector, SI units.
            deterministic: The mode tanh(mean) instead of a sample.
            generator: CPU random generator of the sample; None draws from the global one.

        Returns:
            (A,) float32 in [-1, 1], tcp frame.

        Raises:
            RuntimeError: No weights were loaded yet.
            ValueError: A frame or state part is missing, has another size, or is not finite.
        """
        if not self.ready:
            raise RuntimeError("the policy has no weights yet; wait for the learner's first message")
        self._features.check(frames)
        images = {
            name: torch.from_numpy(np.ascontiguousarray(frames[name])[None])
            for name in self._features.cameras
        }
        features = self._features({name: image.to(self._device) for name, image in images.items()})
        flat = torch.from_numpy(self._layout.flatten(state)[None]).to(self._device)
        # The learner trains on features stored as float16.
        embedding = self._network.encoder(features.half().float(), flat)
        if deterministic:
            action = self._network.actor.mode(embedding)
        else:
            noise = torch.randn(1, self.spec.action.dimension, generator=generator).to(self._device)
            action, _ = self._network.actor.sample(embedding, noise)
        return action[0].cpu().numpy()


def policy_state(network: PolicyNetwork, features: FeatureExtractor) -> dict[str, Tensor]:
    """Tensors that travel to the actor, by name.

    Trained networks and principal components, never the trunk.
    """
    tensors = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    tensors.update({f"features.{name}": tensor for name, tensor in features.trainable_state().items()})
    return tensors
