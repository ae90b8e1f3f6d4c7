# SPDX-License-Identifier: Apache-2.0
"""RLPD: soft actor-critic on half demonstrations, half online experience (SERL paper eqs. 1 and 2)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.policy import PolicyNetwork
from hil_serl_core.spec.model import LearnerSpec
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam, FlatParameters


def temporal_difference_target(reward: Tensor, mask: Tensor, next_q: Tensor, discount: float) -> Tensor:
    """r + gamma mask min_e Q_e(o', a'), without an entropy term; (B,), (B,), (E, B) to (B,)."""
    return reward + discount * mask * next_q.amin(dim=0)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over members and batch, eq. (1); (E, B) and (B,)."""
    return (q - target).square().mean()


def actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor | float) -> Tensor:
    """alpha log pi(a|o) - mean_e Q_e(o, a), averaged over the batch, eq. (2); (E, B) and (B,)."""
    return (temperature * log_prob - q.mean(dim=0)).mean()


class Temperature(nn.Module):
    """alpha = softplus(lambda), trained so that the policy's entropy approaches a target."""

    def __init__(self, initial: float, target_entropy: float) -> None:
        super().__init__()
        inverse = torch.log(torch.expm1(torch.tensor(initial, dtype=torch.float64)))
        self.multiplier = nn.Parameter(inverse.to(torch.float32).reshape(1))
        self.target_entropy = target_entropy

    def forward(self) -> Tensor:
        """alpha, a scalar."""
        return functional.softplus(self.multiplier[0])

    def loss(self, entropy: Tensor) -> Tensor:
        """alpha (entropy - target)."""
        return self() * (entropy - self.target_entropy)


class _Critic(nn.Module):
    """Encoder and critics as the target network copies them."""

    def __init__(self, encoder: ObservationEncoder, ensemble: CriticEnsemble) -> None:
        super().__init__()
        self.encoder, self.ensemble = encoder, ensemble

    def flat_modules(self) -> list[nn.Module]:
        """Modules in the order of the flat buffer.

        The proprio encoder first, because the actor also trains it.
        """
        return [self.encoder.state, self.encoder.heads, self.ensemble]


class Rlpd:
    """RLPD with the original release's choices; see DEVIATIONS.md for what differs.

    Actor and critics share one encoder. The critic loss trains all of it, the actor loss stops at the camera
    embeddings and trains the proprio encoder besides the actor. All losses of one update are taken at the
    same parameters. Networks whose loss is not taken in an update are not stepped.
    """

    demonstration_share = 0.5
    needs_online_data = True

    def __init__(self, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str = "cpu") -> None:
        self._learner = learner
        self._device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = PolicyNetwork(config).to(self._device)
            ensemble = CriticEnsemble(
                config.embedding_size, config.action_size, config.hidden, config.critic_ensemble
            )
        self._critic = _Critic(self.policy.encoder, ensemble.to(self._device))
        self._target = copy.deepcopy(self._critic).requires_grad_(False)
        entropy = learner.target_entropy if learner.target_entropy is not None else -config.action_size / 2.0
        self.temperature = Temperature(learner.initial_temperature, entropy).to(self._device)
        self._action_size = config.action_size
        self._generator = torch.Generator(self._device).manual_seed(seed + 1)
        self._updates = 0
        self._group_parameters()

    def _group_parameters(self) -> None:
        rate = self._learner.learning_rate
        self._critic_flat = FlatParameters(self._critic.flat_modules())
        self._target_flat = FlatParameters(self._target.flat_modules())
        self._actor_flat = FlatParameters([self.policy.actor])
        self._state_parameters = list(self.policy.encoder.state.parameters())
        state_size = sum(parameter.numel() for parameter in self._state_parameters)
        self._critic_adam = FlatAdam([self._critic_flat.data], rate)
        self._actor_adam = FlatAdam([self._actor_flat.data, self._critic_flat.data[:state_size]], rate)
        self._temperature_adam = FlatAdam([self.temperature.multiplier.data], rate)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One critic update.

        Every ``actor_update_period``-th also updates actor and temperature on the same batch.
        """
        self._updates += 1
        encoder, ensemble = self.policy.encoder, self._critic.ensemble
        target, next_log_prob = self._target_values(batch)
        cameras = encoder.cameras(batch.features)
        projected = ensemble.project(torch.cat([cameras, encoder.state(batch.state)], dim=1))
        q = ensemble.evaluate(projected, batch.action)
        loss = critic_loss(q, target)
        gradients = torch.autograd.grad(loss, self._critic_flat.parameters)
        metrics = {"critic_loss": loss.detach(), "q_mean": q.detach().mean()}
        with_actor = self._updates % self._learner.actor_update_period == 0
        if with_actor:
            metrics |= self._update_actor(batch, cameras.detach(), projected.detach(), next_log_prob)
        self._critic_adam.step(gradients)
        self._target_flat.approach(self._critic_flat, self._learner.soft_target_update)
        return metrics

    @torch.no_grad()
    def _target_values(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """TD targets (B,) and log density (B,) of the next actions, which the temperature loss uses."""
        embedding = self.policy.encoder(batch.next_features, batch.next_state)
        action, log_prob = self.policy.actor.sample(embedding, self._noise(len(batch.reward)))
        target_embedding = self._target.encoder(batch.next_features, batch.next_state)
        next_q = self._target.ensemble(target_embedding, action)
        return temporal_difference_target(batch.reward, batch.mask, next_q, self._learner.discount), log_prob

    def _update_actor(
        self, batch: Batch, cameras: Tensor, projected: Tensor, next_log_prob: Tensor
    ) -> dict[str, Tensor]:
        """Steps actor, proprio encoder and temperature.

        Args:
            batch: The critic's batch.
            cameras: (B, C) camera embeddings, detached.
            projected: (E, B, H) the critics' first product with the observation, detached: the gradient
                reaches the actor through the action alone.
            next_log_prob: (B,) of actions drawn at o'.
        """
        if self.policy.encoder.has_dropout:
            with torch.no_grad():
                cameras = self.policy.encoder.cameras(batch.features, self._generator)
        embedding = torch.cat([cameras, self.policy.encoder.state(batch.state)], dim=1)
        action, log_prob = self.policy.actor.sample(embedding, self._noise(len(batch.reward)))
        q = self._critic.ensemble.evaluate(projected, action)
        alpha = self.temperature()
        loss = actor_loss(q, log_prob, alpha.detach())
        actor = self._actor_flat.parameters
        gradients = torch.autograd.grad(loss, [*actor, *self._state_parameters])
        entropy = -next_log_prob.mean()
        multiplier_gradient = torch.autograd.grad(
            self.temperature.loss(entropy), [self.temperature.multiplier]
        )
        self._actor_adam.step(gradients[: len(actor)], gradients[len(actor) :])
        self._temperature_adam.step(multiplier_gradient)
        return {"actor_loss": loss.detach(), "temperature": alpha.detach(), "entropy": entropy}

    def _noise(self, rows: int) -> Tensor:
        return torch.randn(rows, self._action_size, generator=self._generator, device=self._device)

    def model_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        tensors = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        tensors |= {f"critic.{k}": v for k, v in self._critic.ensemble.state_dict().items()}
        tensors |= {f"target.{k}": v for k, v in self._target.state_dict().items()}
        tensors["temperature.multiplier"] = self.temperature.multiplier.detach()
        return tensors

    def load_model_state(self, tensors: dict[str, Tensor]) -> None:
        """See :class:`Algorithm`.

        Copies into the flat buffers; raises KeyError or RuntimeError on a misfit.
        """
        for name, target in self.model_state().items():
            target.copy_(tensors[name])

    def optimizer_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        named = {
            f"{group}.{name}": tensor
            for group, adam in self._optimizers().items()
            for name, tensor in adam.state().items()
        }
        named["generator"] = self._generator.get_state()
        named["updates"] = torch.tensor([self._updates], dtype=torch.int64)
        return named

    def load_optimizer_state(self, tensors: dict[str, Tensor]) -> None:
        """See :class:`Algorithm`."""
        for group, adam in self._optimizers().items():
            prefix = f"{group}."
            adam.load_state({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        self._generator.set_state(tensors["generator"])
        self._updates = int(tensors["updates"])

    def _optimizers(self) -> dict[str, FlatAdam]:
        return {"critic": self._critic_adam, "actor": self._actor_adam, "temperature": self._temperature_adam}
