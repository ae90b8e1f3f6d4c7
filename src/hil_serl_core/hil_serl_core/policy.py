# SPDX-License-Identifier: Apache-2.0
"""The policy as the actor runs it: frames and state in, action out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hil_serl_core.action import ActionLayout
from hil_serl_core.nn.actor import GaussianActor
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.nn.grasp_critic import GraspCritic
from hil_serl_core.nn.observation import StateLayout
from hil_serl_core.spec import TaskSpec


class PolicyNetwork(nn.Module):
    """What the learner trains and the actor runs: observation encoder, actor and, with grippers, grasp critic."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.encoder = ObservationEncoder(config)
        self.actor = GaussianActor(size, config.hidden, config.action_size)
        self.grasp = (
            GraspCritic(size, config.grasp_hidden, config.grasp_choices) if config.grasp_choices else None
        )


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
        self._state_layout = StateLayout(spec)
        self._action_layout = ActionLayout(spec)
        self._grasp_exploration = spec.learner.grasp_exploration

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
        """Action for one observation: the actor's continuous components joined to the grasp critic's argmax.

        Args:
            frames: Camera name to (H, W, 3) uint8 RGB.
            state: State part to float32 vector, SI units.
            deterministic: The mode tanh(mean) instead of a sample, and no random gripper command.
            generator: CPU random generator of the sample; None draws from the global one.

        Returns:
            (A,) float32 in [-1, 1], laid out as ``ActionLayout`` says.

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
        flat = torch.from_numpy(self._state_layout.flatten(state)[None]).to(self._device)
        # The learner trains on features stored as float16.
        embedding = self._network.encoder(features.half().float(), flat)
        if deterministic:
            action = self._network.actor.mode(embedding)
        else:
            noise = torch.randn(1, self._action_layout.continuous_size, generator=generator)
            action, _ = self._network.actor.sample(embedding, noise.to(self._device))
        grasp = self._grasp(embedding, 0.0 if deterministic else self._grasp_exploration, generator)
        return self._action_layout.join(action[0].cpu().numpy(), grasp)

    def _grasp(self, embedding: Tensor, exploration: float, generator: torch.Generator | None) -> int:
        """Discrete action: of the highest value, or with the given probability any; 0 without grippers."""
        if self._network.grasp is None:
            return 0
        if exploration and torch.rand(1, generator=generator).item() < exploration:
            return int(torch.randint(self._action_layout.choices, (1,), generator=generator).item())
        return int(self._network.grasp(embedding).argmax().item())


def policy_state(network: PolicyNetwork, features: FeatureExtractor) -> dict[str, Tensor]:
    """Tensors that travel to the actor, by name.

    Trained networks and principal components, never the trunk.
    """
    tensors = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    tensors.update({f"features.{name}": tensor for name, tensor in features.trainable_state().items()})
    return tensors
