# SPDX-License-Identifier: Apache-2.0
"""Supervised learning of the executed actions: behaviour cloning, and HG-DAgger on top of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from hil_serl_core.nn.actor import STD_MIN
from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.policy import PolicyNetwork
from hil_serl_core.spec import LearnerSpec
from hil_serl_learner.algorithms.base import Algorithm
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam, FlatParameters

# Largest weight of a rare gripper command relative to one of even frequency.
MAX_WEIGHT = 10.0


def command_weights(counts: Tensor) -> Tensor:
    """Weights (K,) of the gripper commands: N / (K' n_k), at most ``MAX_WEIGHT``; K' of them occur, N = sum n_k.

    A command is a short press among steps of "stay". Unweighted, "stay" is the likelier everywhere and an argmax
    never presses; weighted by their frequency, the likelihood of the observation decides.
    """
    present = (counts > 0).sum()
    return (counts.sum() / (present * counts.clamp_min(1.0))).clamp_max(MAX_WEIGHT)


class BehaviourCloning(Algorithm):
    """Squared error between tanh(mean) and the executed action, cross-entropy for the gripper command.

    The squared error rather than the squashed Gaussian's likelihood, because operators push devices to their
    stops and the likelihood of |a| = 1 under a tanh is unbounded. All of the encoder is trained. The policy's
    spread is not: it is set to the least there is, so that a sample is the mode.
    """

    demonstration_share = 1.0
    # A person who demonstrates pauses to look, which no observation shows: a policy that cloned it would stand still where
    # it happened. A critic sees that it leads nowhere, so the methods with one keep these steps.
    pauses_are_demonstrations = False
    pretrains = True

    def __init__(self, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = PolicyNetwork(config).to(device)
        actor, grasp = self.policy.actor, self.policy.grasp
        with torch.no_grad():
            actor.log_std.weight.zero_()
            actor.log_std.bias.fill_(math.log(STD_MIN))
        heads = [self.policy.encoder, actor.mlp, actor.mean]
        self._flat = FlatParameters(heads if grasp is None else [*heads, grasp])
        self._command_counts = torch.zeros(config.grasp_choices, device=device)
        self.optimizers = {"policy": FlatAdam([self._flat.data], learner.learning_rate)}

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on a batch of demonstrated transitions."""
        embedding = self.policy.encoder(batch.features, batch.state)
        error = (self.policy.actor.mode(embedding) - batch.action).square().mean()
        metrics = {"actor_loss": error.detach()}
        loss = error
        if self.policy.grasp is not None:
            cross_entropy = self._cross_entropy(self.policy.grasp(embedding), batch.grasp)
            metrics["grasp_loss"] = cross_entropy.detach()
            loss = error + cross_entropy
        self.optimizers["policy"].step(torch.autograd.grad(loss, self._flat.parameters))
        return metrics

    def _cross_entropy(self, scores: Tensor, commands: Tensor) -> Tensor:
        """Weighted by the frequency of the commands seen so far; (B, K) and (B,) int64."""
        self._command_counts += torch.bincount(commands, minlength=len(self._command_counts))
        return functional.cross_entropy(scores, commands, command_weights(self._command_counts))

    def model_state(self) -> dict[str, Tensor]:
        """See :class:`Algorithm`."""
        tensors = {f"policy.{name}": tensor for name, tensor in self.policy.state_dict().items()}
        return tensors if self.policy.grasp is None else {**tensors, "command_counts": self._command_counts}


class HgDagger(BehaviourCloning):
    """HG-DAgger: goes on cloning while the policy acts, on demonstrations and the operator's corrections.

    It begins as the behaviour-cloned policy and makes ``update_to_data`` updates per online record, as the RL
    methods do, so that both have the same episodes, interventions and number of updates.
    """

    interventions_are_demonstrations = True
