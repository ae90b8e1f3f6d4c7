# SPDX-License-Identifier: Apache-2.0
"""VICE (SERL, Sec. 4.2): the success classifier is trained beside the policy, against what the policy does.

Positives are the final pictures of the demonstrations, negatives the states that the policy visits, so that a state
which merely fools the classifier becomes a negative as soon as the policy goes there. The reward is
r(s) = log p(e | s). The paper gives no more than this; mixup, label smoothing and gradient penalty are those of SERL's
release, which also has the reward 1 where p >= 0.5 (``form: binary``).

Twenty goals are learnt by heart within a thousand updates: each is told from every other picture of success, and
success pays nothing. Noise on the features (instance noise, Sonderby et al. 2017) leaves only what all goals share.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hil_serl_core.rewards.network import ClassifierNetwork
from hil_serl_learner.optimise import FlatAdam, FlatParameters
from hil_serl_learner.restoring import check_tensor
from hil_serl_learner.reward_hook import RewardContext

UPDATE_PERIOD = 4
"""Gradient updates of the policy per update of the classifier (our choice)."""
BATCH = 128
"""Samples of an update, half goals and half visited states."""
LABEL_SMOOTHING = 0.2
GRADIENT_PENALTY = 10.0
LEARNING_RATE = 3e-4
NOISE = 4.0
"""Noise on every feature of both halves, in standard deviations of that feature over the batch (our choice)."""


class Vice:
    """Reward that is relabelled from a classifier trained online; see :class:`RewardRelabeller`."""

    def __init__(self, context: RewardContext) -> None:
        """Raises ValueError if the task has no classifier section."""
        section = context.spec.reward.classifier
        if section is None:
            raise ValueError(
                f"task '{context.spec.name}' has reward kind vice and no reward.classifier that names its cameras"
            )
        self._context = context
        self._section = section
        self._form = context.spec.reward.form
        self._success_reward = context.spec.reward.success_reward
        self._columns = _columns(context.extractor.cameras, section.cameras).to(context.device)
        shapes = {name: s for name, s in context.extractor.cameras.items() if name in section.cameras}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            self._network = ClassifierNetwork(shapes, context.spec.learner.camera_head, 2).to(context.device)
        self._flat = FlatParameters([self._network])
        self._adam = FlatAdam([self._flat.data], LEARNING_RATE)
        self._calls = 0

    @torch.no_grad()
    def reward(self, next_features: Tensor, stored_reward: Tensor) -> Tensor:
        """(B,) log p(e | s) of the arrival states, or 1 where p reaches the threshold."""
        logits = self._network(next_features[:, self._columns])[:, 0]
        if self._form == "binary":
            threshold = self._section.threshold or 0.5
            return (torch.sigmoid(logits) >= threshold).to(stored_reward.dtype) * self._success_reward
        return functional.logsigmoid(logits).clamp_min(self._section.least_log_probability)

    def update(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Every ``UPDATE_PERIOD``-th call is one gradient step, once there are goals and visited states."""
        self._calls += 1
        replay = self._context.replay
        goals = replay.goals()
        if self._calls % UPDATE_PERIOD or not len(goals) or not len(replay.online):
            return {}
        positive = rng.choice(goals, BATCH // 2)
        negative = replay.sample(rng, BATCH // 2, 0.0).end
        slots = np.concatenate([positive, negative])
        features = self._context.observations.features(slots, rng)[:, self._columns]
        labels = torch.zeros(BATCH, device=features.device)
        labels[: BATCH // 2] = 1.0
        generator = torch.Generator(features.device).manual_seed(int(rng.integers(2**62)))
        features = noisy(features, generator)
        share = float(rng.beta(1.0, 1.0))
        loss, accuracy = vice_loss(self._network, features, labels, share, generator)
        gradients = torch.autograd.grad(loss, self._flat.parameters)
        self._adam.step(gradients)
        return {"vice_loss": loss.detach(), "vice_accuracy": accuracy}

    def model_state(self) -> dict[str, Tensor]:
        """See :class:`RewardRelabeller`."""
        return {f"classifier.{name}": tensor.detach() for name, tensor in self._network.state_dict().items()}

    def optimizer_state(self) -> dict[str, Tensor]:
        """See :class:`RewardRelabeller`."""
        return {**self._adam.state(), "calls": torch.tensor([self._calls], dtype=torch.int64)}

    def load_optimizer_state(self, tensors: dict[str, Tensor]) -> None:
        """See :class:`RewardRelabeller`."""
        check_tensor("calls", tensors, self.optimizer_state()["calls"])
        self._adam.load_state({name: tensor for name, tensor in tensors.items() if name != "calls"})
        self._calls = int(tensors["calls"])


def noisy(features: Tensor, generator: torch.Generator) -> Tensor:
    """(B, F) x + NOISE std(x) n with n ~ N(0, 1) and the standard deviation of each feature over the batch."""
    normal = torch.randn(features.shape, generator=generator, device=features.device)
    return features + NOISE * features.std(dim=0) * normal


def vice_loss(
    network: ClassifierNetwork, features: Tensor, labels: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cross entropy on mixed embeddings with smoothed labels, plus the gradient penalty.

    With embeddings e, a random permutation e', the share l and smoothed labels y:
    L = l BCE(f(l e + (1 - l) e'), y) + (1 - l) BCE(f(l e + (1 - l) e'), y') + 10 E[(|df/dx| - 1)^2],
    x being random points between the halves of the mixed batch.

    Args:
        network: f.
        features: (B, F).
        labels: (B,) 1 for goals, 0 for visited states.
        share: l of the mixup, in [0, 1].
        generator: Of permutation, dropout and points.

    Returns:
        Loss, and the share of the unmixed batch that is judged rightly.
    """
    device = features.device
    smooth = labels * (1.0 - LABEL_SMOOTHING) + 0.5 * LABEL_SMOOTHING
    embedding = network.embed(features, generator)
    order = torch.randperm(len(features), generator=generator, device=device)
    mixed = share * embedding + (1.0 - share) * embedding[order]
    logits = network.classify(mixed, generator)[:, 0]
    bce = functional.binary_cross_entropy_with_logits
    loss = share * bce(logits, smooth) + (1.0 - share) * bce(logits, smooth[order])
    half = len(mixed) // 2
    between = torch.rand(half, 1, generator=generator, device=device)
    points = between * mixed[:half] + (1.0 - between) * mixed[half : 2 * half]
    loss = loss + GRADIENT_PENALTY * gradient_penalty(network, points)
    with torch.no_grad():
        accuracy = ((network.classify(embedding)[:, 0] >= 0.0) == (labels > 0.5)).float().mean()
    return loss, accuracy


def gradient_penalty(network: ClassifierNetwork, points: Tensor) -> Tensor:
    """E[(|df/dx| - 1)^2] over embeddings (B, Z)."""
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network.classify(points).sum(), points, create_graph=True)
    return ((gradient.square() + 1e-6).sum(1).sqrt() - 1.0).square().mean()


def _columns(cameras: dict[str, tuple[int, int, int]], chosen: tuple[str, ...]) -> Tensor:
    """Positions of the chosen cameras' blocks in the flat feature vector."""
    start, columns = 0, []
    for name, shape in cameras.items():
        size = math.prod(shape)
        if name in chosen:
            columns.append(torch.arange(start, start + size))
        start += size
    return torch.cat(columns)
