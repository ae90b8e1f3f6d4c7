# SPDX-License-Identifier: Apache-2.0
"""RLPD: soft actor-critic on half demonstrations, half online experience (SERL paper eqs. 1 and 2)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.nn.grasp_critic import GraspCritic
from hil_serl_core.policy import PolicyNetwork
from hil_serl_core.spec import LearnerSpec
from hil_serl_learner.algorithms.base import Algorithm
from hil_serl_learner.algorithms.grasp import GraspLearner
from hil_serl_learner.algorithms.temperature import Temperature
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam, FlatParameters
from hil_serl_learner.policy_average import PolicyAverage
from hil_serl_learner.restoring import check_tensor, generator_fits, seed_of

_log = logging.getLogger(__name__)


def temporal_difference_target(reward: Tensor, mask: Tensor, next_q: Tensor, discount: float) -> Tensor:
    """r + gamma mask min_e Q_e(o', a'), without an entropy term; (B,), (B,), (E, B) to (B,)."""
    return reward + discount * mask * next_q.amin(dim=0)


def bounded(target: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """A target (B,) kept within the returns that are possible; with long interventions critics run far beyond them."""
    return target if bounds is None else target.clamp(*bounds)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over members and batch, eq. (1); (E, B) and (B,)."""
    return (q - target).square().mean()


def actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor | float) -> Tensor:
    """alpha log pi(a|o) - mean_e Q_e(o, a), averaged over the batch, eq. (2); (E, B) and (B,)."""
    return (temperature * log_prob - q.mean(dim=0)).mean()


class _Values(nn.Module):
    """Encoder, critics and grasp critic as the target network copies them."""

    def __init__(
        self, encoder: ObservationEncoder, ensemble: CriticEnsemble, grasp: GraspCritic | None
    ) -> None:
        super().__init__()
        self.encoder, self.ensemble, self.grasp = encoder, ensemble, grasp

    def flat_modules(self) -> list[nn.Module]:
        """Modules in the order of the flat buffer.

        The proprio encoder first, because the actor also trains it; then what the grasp critic shares.
        """
        parts = [self.encoder.state, self.encoder.heads, self.ensemble]
        return parts if self.grasp is None else [*parts, self.grasp]


class _Targets(NamedTuple):
    """What an update aims at, all (B,) and without gradient."""

    critic: Tensor
    grasp: Tensor | None
    next_log_prob: Tensor


class Rlpd(Algorithm):
    """RLPD with the original release's choices; see DEVIATIONS.md for what differs.

    Actor, critics and grasp critic share one encoder. Critic and grasp loss train all of it, each by its own
    Adam; the actor loss stops at the camera embeddings and trains the proprio encoder besides the actor. All
    losses of one update are taken at the same parameters. Networks whose loss is not taken are not stepped.
    """

    critics: CriticEnsemble

    def __init__(self, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str = "cpu") -> None:
        self._learner = learner
        self._device, self._seed = torch.device(device), seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = PolicyNetwork(config).to(self._device)
            ensemble = CriticEnsemble(
                config.embedding_size,
                config.action_size,
                config.hidden,
                config.critic_ensemble,
                config.critic_shared_output,
            )
        self.critics = ensemble.to(self._device)
        self._values = _Values(self.policy.encoder, self.critics, self.policy.grasp)
        self._target = copy.deepcopy(self._values).requires_grad_(False)
        entropy = learner.target_entropy if learner.target_entropy is not None else -config.action_size / 2.0
        self.temperature = Temperature(learner.initial_temperature, entropy).to(self._device)
        self._action_size = config.action_size
        self._generator = torch.Generator(self._device).manual_seed(seed + 1)
        self._updates = 0
        self._group_parameters()

    def _group_parameters(self) -> None:
        """One flat buffer [proprio, heads, critics, grasp critic]; each optimiser has the parts it trains."""
        rate, encoder = self._learner.learning_rate, self.policy.encoder
        self._flat = FlatParameters(self._values.flat_modules())
        self._target_flat = FlatParameters(self._target.flat_modules())
        self._actor_flat = FlatParameters([self.policy.actor])
        self._state_parameters = list(encoder.state.parameters())
        encoder_parameters = [*self._state_parameters, *encoder.heads.parameters()]
        self._critic_parameters = [*encoder_parameters, *self.critics.parameters()]
        state, shared, critic = map(
            _length, (self._state_parameters, encoder_parameters, self._critic_parameters)
        )
        buffer = self._flat.data
        self.optimizers = {
            "critic": FlatAdam([buffer[:critic]], rate),
            "actor": FlatAdam([self._actor_flat.data, buffer[:state]], rate),
            "temperature": FlatAdam([self.temperature.multiplier.data], rate),
        }
        self._grasp: GraspLearner | None = None
        if self._values.grasp is not None and self._target.grasp is not None:
            self._grasp = GraspLearner(
                self._values.grasp,
                self._target.grasp,
                encoder_parameters,
                [buffer[:shared], buffer[critic:]],
                rate,
                self._learner.discount,
            )
            self.optimizers["grasp"] = self._grasp.adam
        self._average: PolicyAverage | None = None
        if self._learner.policy_average is not None:
            # The parts of the policy in the order of PolicyAverage: encoder, actor, grasp critic.
            parts = [buffer[:shared], self._actor_flat.data, buffer[critic:]]
            self._average = PolicyAverage(self.policy, parts, self._learner.policy_average)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One update of critics and grasp critic.

        Every ``actor_update_period``-th also updates actor and temperature on the same batch.
        """
        self._updates += 1
        encoder = self.policy.encoder
        targets = self._targets(batch)
        cameras = encoder.cameras(batch.features)
        embedding = torch.cat([cameras, encoder.state(batch.state)], dim=1)
        projected = self.critics.project(embedding)
        q = self.critics.evaluate(projected, batch.action)
        loss = critic_loss(q, targets.critic)
        gradients = torch.autograd.grad(loss, self._critic_parameters, retain_graph=self._grasp is not None)
        metrics = {"critic_loss": loss.detach(), "q_mean": q.detach().mean()}
        if self._grasp is not None and targets.grasp is not None:
            grasp_gradients, scalars = self._grasp.gradients(embedding, batch, targets.grasp)
            metrics |= scalars
        if self._updates % self._learner.actor_update_period == 0:
            metrics |= self._update_actor(batch, cameras.detach(), projected.detach(), targets.next_log_prob)
        self.optimizers["critic"].step(gradients)
        if self._grasp is not None:
            self._grasp.step(grasp_gradients)
        self.average_target()
        self.average_policy()
        return metrics

    def average_target(self) -> None:
        """The target networks' step towards the trained ones (Polyak average)."""
        self._target_flat.approach(self._flat, self._learner.soft_target_update)

    def average_policy(self) -> None:
        """The evaluated policy's step towards the latest."""
        if self._average is not None:
            self._average.update()

    @property
    def evaluated(self) -> PolicyNetwork:
        """Average of the policy over its last updates, which swings less than the policy from one to the next."""
        return self.policy if self._average is None else self._average.policy

    @torch.no_grad()
    def _targets(self, batch: Batch) -> _Targets:
        """Targets, and the log density of the next actions, which the temperature loss uses."""
        embedding = self.policy.encoder(batch.next_features, batch.next_state)
        seen = embedding
        if self._learner.next_action_dropout:
            seen = self.policy.encoder(batch.next_features, batch.next_state, self._generator)
        action, log_prob = self.policy.actor.sample(seen, self._noise(len(batch.reward)))
        target_embedding = self._target.encoder(batch.next_features, batch.next_state)
        next_q = self._subsample(self._target.ensemble(target_embedding, action))
        critic = temporal_difference_target(batch.reward, batch.mask, next_q, self._learner.discount)
        grasp = None
        if self._grasp is not None:
            grasp = bounded(self._grasp.targets(batch, embedding, target_embedding), self.grasp_return_bounds)
        return _Targets(bounded(critic, self.return_bounds), grasp, log_prob)

    def _subsample(self, q: Tensor) -> Tensor:
        """Random members of (E, B) for one target: the minimum over a large ensemble would be far too low."""
        members = self._learner.critic_subsample
        if members is None:
            return q
        drawn = torch.randperm(len(q), generator=self._generator, device=self._device)
        return q[drawn[:members]]

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
        q = self.critics.evaluate(projected, action)
        alpha = self.temperature()
        loss = actor_loss(q, log_prob, alpha.detach())
        actor = self._actor_flat.parameters
        gradients = torch.autograd.grad(loss, [*actor, *self._state_parameters])
        entropy = -next_log_prob.mean()
        multiplier_gradient = torch.autograd.grad(
            self.temperature.loss(entropy), [self.temperature.multiplier]
        )
        self.optimizers["actor"].step(gradients[: len(actor)], gradients[len(actor) :])
        self.optimizers["temperature"].step(multiplier_gradient)
        return {"actor_loss": loss.detach(), "temperature": alpha.detach(), "entropy": entropy}

    def _noise(self, rows: int) -> Tensor:
        return torch.randn(rows, self._action_size, generator=self._generator, device=self._device)

    def model_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        tensors = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        tensors |= {f"critic.{k}": v for k, v in self.critics.state_dict().items()}
        tensors |= {f"target.{k}": v for k, v in self._target.state_dict().items()}
        tensors["temperature.multiplier"] = self.temperature.multiplier.detach()
        if self._average is not None:
            tensors |= {f"average.{k}": v for k, v in self._average.policy.state_dict().items()}
            tensors["average_updates"] = self._average.updates
        return tensors

    def complete(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """An average that the checkpoint does not have begins with the checkpoint's policy."""
        if self._average is None or "average_updates" in tensors:
            return tensors
        policy = {k.removeprefix("policy."): v for k, v in tensors.items() if k.startswith("policy.")}
        begun = {f"average.{name}": tensor for name, tensor in policy.items()}
        return {**tensors, **begun, "average_updates": torch.ones_like(self._average.updates)}

    def optimizer_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        return {
            **super().optimizer_state(),
            "generator": self._generator.get_state(),
            "updates": self._counted(),
        }

    def check_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See :class:`Algorithm`; a generator's state of another kind of device is accepted."""
        super().check_optimizer_state(tensors)
        check_tensor("updates", tensors, self._counted())
        generator_fits(tensors["generator"], self._generator)

    def load_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See :class:`Algorithm`; a generator's state of another kind of device is replaced by a new seed."""
        super().load_optimizer_state(tensors)
        self._updates = int(tensors["updates"])
        if generator_fits(tensors["generator"], self._generator):
            self._generator.set_state(tensors["generator"])
            return
        self._generator.manual_seed(seed_of(self._seed, self._updates))
        _log.warning(
            "the checkpoint was written on another kind of device than %s: the random generator of the updates is "
            "seeded anew, from the run's seed %d and its %d updates; everything else is restored exactly",
            self._device.type,
            self._seed,
            self._updates,
        )

    def _counted(self) -> Tensor:
        return torch.tensor([self._updates], dtype=torch.int64)


def _length(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


class HilSerl(Rlpd):
    """The method: half of each batch from demonstrations and interventions, half from all online steps."""

    interventions_are_demonstrations = True


class Serl(Rlpd):
    """SERL: half of each batch from the demonstrations, half online; nobody intervenes."""


class RlpdScratch(Rlpd):
    """Neither demonstrations nor interventions ("HIL-SERL no demo" in the paper's Table 1b)."""

    demonstration_share = 0.0
