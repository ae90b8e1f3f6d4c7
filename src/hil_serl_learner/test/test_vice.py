# SPDX-License-Identifier: Apache-2.0
"""VICE: its loss by hand, and that it tells goals from what the policy visits."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hil_serl_core.spec import TaskSpec, task_from_dict
from hil_serl_core.step import Source
from hil_serl_learner.relabelling import relabeller_for
from hil_serl_learner.trainer import Trainer
from hil_serl_learner.vice import NOISE, UPDATE_PERIOD, Vice, gradient_penalty, noisy, vice_loss


def vice_spec(toy: Any, **section: Any) -> TaskSpec:
    content = toy.spec(feature_cache=True).model_dump(mode="json")
    content["reward"] = {"kind": "vice", "classifier": {"cameras": ["right_eye"], **section}}
    return task_from_dict(content)


class Linear(torch.nn.Module):
    """f(x) = w x, in place of the network."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def embed(self, features: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return features

    def classify(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return (x @ self.weight)[:, None]


def test_gradient_penalty_by_hand() -> None:
    network = Linear([3.0, 4.0])  # |df/dx| = 5 everywhere
    penalty = gradient_penalty(network, torch.randn(7, 2))  # type: ignore[arg-type]
    assert penalty.item() == pytest.approx(16.0, rel=1e-4)


def test_loss_by_hand() -> None:
    network = Linear([0.6, 0.8])  # slope 1: no penalty
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([1.0, 0.0])
    loss, accuracy = vice_loss(network, features, labels, 1.0, torch.Generator().manual_seed(0))  # type: ignore[arg-type]

    def cross_entropy(logit: float, target: float) -> float:
        p = 1.0 / (1.0 + math.exp(-logit))
        return -target * math.log(p) - (1.0 - target) * math.log(1.0 - p)

    # share 1: no mixing; labels smoothed from 1 and 0 to 0.9 and 0.1
    expected = (cross_entropy(0.6, 0.9) + cross_entropy(0.8, 0.1)) / 2.0
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    assert float(accuracy) == 0.5


@pytest.fixture
def trained(toy: Any) -> Trainer:
    """Trainer whose demonstrations end at bright pictures; what the policy visits is dark."""
    spec = vice_spec(toy, form="log_probability")
    trainer = Trainer(spec, seed=1, relabeller=Vice)
    bright = {c.name: np.full((c.size, c.size, 3), 220, np.uint8) for c in spec.cameras}
    rng = np.random.default_rng(0)

    def dark() -> dict[str, np.ndarray]:
        return {c.name: rng.integers(0, 90, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras}

    for sequence in range(12):
        episode, index = divmod(sequence, 3)
        last = index == 2
        trainer.add_demonstration(
            toy.step(
                spec,
                sequence,
                actor_id="demo",
                episode=episode,
                step_index=index,
                frames=bright if last else dark(),
                source=Source.HUMAN,
                is_first=index == 0,
                is_last=last,
                is_terminal=last,
                reward=float(last),
            )
        )
    trainer.begin()
    for sequence in range(30):
        trainer.add_step(toy.step(spec, sequence, frames=dark()))
    return trainer


def test_goals_are_told_from_visited_states(trained: Trainer) -> None:
    vice = trained.relabeller
    rng = np.random.default_rng(0)
    losses = [vice.update(rng) for _ in range(60 * UPDATE_PERIOD)]
    assert sum(bool(scalars) for scalars in losses) == 60
    observations, replay = trained._observations, trained.replay
    goals = observations.features(replay.goals(), rng)
    visited = observations.features(replay.sample(rng, 16, 0.0).end, rng)
    at_goals = vice.reward(goals, torch.zeros(len(goals)))
    elsewhere = vice.reward(visited, torch.zeros(len(visited)))
    assert float(at_goals.min()) > math.log(0.6)
    assert float(elsewhere.max()) < math.log(0.4)


def test_few_goals_are_not_learnt_by_heart(toy: Any) -> None:
    """Success that the policy reaches pays, although each of ten goals could be told from it by its noise."""
    spec = vice_spec(toy, form="log_probability")
    shape, rng = (4, 4, 16), np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(500, math.prod(shape))).astype(np.float32))
    success = np.r_[np.arange(10), np.arange(450, 500)]  # goals, and a tenth of what is visited
    features[success] += torch.from_numpy(np.sign(rng.normal(size=math.prod(shape))).astype(np.float32))
    vice = Vice(
        SimpleNamespace(  # type: ignore[arg-type]
            spec=spec,
            extractor=SimpleNamespace(cameras={"right_eye": shape}),
            replay=SimpleNamespace(
                goals=lambda: np.arange(10),
                online=range(490),
                sample=lambda rng, size, share: SimpleNamespace(end=rng.integers(10, 500, size)),
            ),
            observations=SimpleNamespace(features=lambda slots, rng: features[slots]),
            seed=0,
            device=torch.device("cpu"),
        )
    )
    for _ in range(600 * UPDATE_PERIOD):
        vice.update(rng)
    reward = vice.reward(features, torch.zeros(500)).exp()
    assert float((reward[450:] > 0.5).float().mean()) > 0.9
    assert float((reward[10:450] < 0.5).float().mean()) > 0.95


def test_noise_is_in_standard_deviations_of_each_feature() -> None:
    features = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 5.0])
    added = noisy(features, torch.Generator().manual_seed(1)) - features
    torch.testing.assert_close(added.std(0) / features.std(0), torch.full((2,), NOISE), rtol=0.05, atol=0.0)


def test_no_state_is_terminal(trained: Trainer) -> None:
    seen = []
    trained.algorithm.update = lambda batch: seen.append(batch) or {}  # type: ignore[method-assign, func-returns-value]
    for _ in range(20):
        trained.update()
    assert trained.replay.stop[trained.replay.goals()].all()  # as recorded
    assert all(bool((batch.mask == 1.0).all()) for batch in seen)
    assert len(seen) == 20


def test_reward_is_log_probability_or_indicator(trained: Trainer, toy: Any) -> None:
    vice = trained.relabeller
    with torch.no_grad():
        vice._network.output.weight.zero_()
        vice._network.output.bias.fill_(math.log(3.0))  # p = 3/4 everywhere
    features = torch.randn(3, trained.extractor.size)
    binary = Trainer(vice_spec(toy, form="binary"), seed=1, relabeller=Vice).relabeller
    dense = Trainer(vice_spec(toy, form="log_probability"), seed=1, relabeller=Vice).relabeller
    for other in (binary, dense):
        other._network.load_state_dict(vice._network.state_dict())
    assert torch.equal(binary.reward(features, torch.zeros(3)), torch.ones(3))
    torch.testing.assert_close(dense.reward(features, torch.zeros(3)), torch.full((3,), math.log(0.75)))
    with torch.no_grad():
        dense._network.output.bias.fill_(-50.0)
    assert torch.equal(dense.reward(features, torch.zeros(3)), torch.full((3,), -7.0))


def test_only_the_classifier_views_matter(trained: Trainer) -> None:
    vice = trained.relabeller
    features = torch.randn(4, trained.extractor.size)
    other = features.clone()
    height, width, channels = trained.extractor.cameras["left_eye"]
    other[:, : height * width * channels] = 0.0
    assert torch.equal(vice.reward(features, torch.zeros(4)), vice.reward(other, torch.zeros(4)))


def test_state_comes_back(trained: Trainer, toy: Any) -> None:
    vice = trained.relabeller
    for _ in range(3 * UPDATE_PERIOD + 1):
        vice.update(np.random.default_rng(3))
    twin = Trainer(vice_spec(toy), seed=2, relabeller=Vice).relabeller
    twin.load_optimizer_state({name: t.clone() for name, t in vice.optimizer_state().items()})
    for name, tensor in twin.model_state().items():
        tensor.copy_(vice.model_state()[name])
    twin._context = vice._context
    for _ in range(UPDATE_PERIOD):
        first, second = vice.update(np.random.default_rng(5)), twin.update(np.random.default_rng(5))
    assert first.keys() == second.keys()
    for name, tensor in vice.model_state().items():
        assert torch.equal(tensor, twin.model_state()[name])


def test_task_with_vice_gets_it(toy: Any) -> None:
    assert relabeller_for(vice_spec(toy)) is Vice
    assert relabeller_for(toy.spec()) is None
