# SPDX-License-Identifier: Apache-2.0
"""Analysis of a checkpoint: the networks of the trainer again, and eq. (4) against a case known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hil_serl_core.policy import Policy
from hil_serl_core.weights import read_file, unpack
from hil_serl_learner import checkpoint
from hil_serl_learner.analysis import AnalysisError, Embedded, TrainedAgent
from hil_serl_learner.checkpoint import CheckpointError


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    spec = toy.spec(gripper=True, policy_average=0.02)  # far behind the latest after so few updates
    trainer = toy.trained(spec, toy.episodes(spec, 3))
    return trainer, checkpoint.save(trainer, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def steps(toy, trained):
    return list(toy.episodes(trained[0].spec, 2))


@pytest.fixture(scope="module")
def stored(trained, steps):
    """Cached features (view 0 is unshifted), states and actions of the steps, as the trainer has them."""
    trainer, _ = trained
    slots = np.array([trainer.replay.add(step, demonstration=False) for step in steps])
    for slot, step in zip(slots, steps, strict=True):
        trainer._observations.store(slot, step)
    cache = trainer._observations._cache[slots * 3].astype(np.float32)
    return tuple(map(torch.from_numpy, (cache, trainer.replay.state[slots], trainer.replay.action[slots])))


def of_network(network, features, state):
    """Mean and standard deviation of a policy network, and the values of its gripper commands."""
    with torch.no_grad():
        embedding = network.encoder(features, state)
        return *network.actor(embedding), network.grasp(embedding)


def test_values_and_policy_are_those_of_the_trainer(trained, steps, stored):
    trainer, folder = trained
    agent = TrainedAgent.load(folder, trainer.spec)
    assert (agent.algorithm, agent.trained_step) == ("hil_serl", 24)
    embedded = agent.embed(steps)
    features, state, actions = stored
    mean, std, grasp = of_network(trainer.algorithm.evaluated, features, state)
    with torch.no_grad():
        q = trainer.algorithm.critics(trainer.algorithm.policy.encoder(features, state), actions).mean(0)
    last = np.array([step.is_last for step in steps])
    values = agent.values(embedded, embedded.actions)
    np.testing.assert_allclose(values[~last], q.numpy()[~last], atol=1e-4)
    assert np.isnan(values[last]).all()
    modes, deviations = agent.policy_distribution(embedded)
    np.testing.assert_allclose(modes, np.tanh(mean.numpy()), atol=1e-4)
    np.testing.assert_allclose(deviations, std.numpy(), rtol=1e-3)
    np.testing.assert_allclose(agent.grasp_values(embedded), grasp.numpy(), atol=1e-4)


def test_the_policy_shown_is_the_one_that_evaluations_run_not_the_exploring_one(trained, steps, stored):
    trainer, folder = trained
    agent = TrainedAgent.load(folder, trainer.spec)
    modes, _ = agent.policy_distribution(agent.embed(steps))
    exploring = torch.tanh(of_network(trainer.algorithm.policy, *stored[:2])[0]).numpy()
    assert np.abs(modes - exploring).max() > 0.05, (
        "the average must be told from the latest, or this shows nothing"
    )
    policy = Policy(trainer.spec)  # as the actor of `hil-serl eval` has it
    policy.load(unpack(read_file(folder), trainer.spec.hash, policy.shapes))
    acted = np.array([policy.act(step.frames, step.state, deterministic=True) for step in steps])
    np.testing.assert_allclose(modes, acted[:, : modes.shape[1]], atol=1e-4)
    choices = agent.grasp_values(agent.embed(steps)).argmax(axis=1)
    np.testing.assert_array_equal(choices - 1, acted[:, -1])


class _Linear:
    """Two critics, Q_1 = 3 a_1 + z and Q_2 = a_2: their mean is linear in the action."""

    def project(self, observation):
        return torch.stack([observation, 0.0 * observation])

    def evaluate(self, projected, action):
        weight = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
        return projected[..., 0] + (action @ weight.T).T


def test_variance_of_a_linear_value_is_that_of_the_noise(trained):
    """Var[w . e] = |w|^2 c^2 / 3 for e ~ U[-c, c]: with w = (1.5, 0.5) and c = 0.2 it is 2.5 * 0.04 / 3."""
    trainer, folder = trained
    loaded = TrainedAgent.load(folder, trainer.spec)
    agent = TrainedAgent(**{**vars(loaded), "critics": _Linear()})
    embedded = Embedded(torch.tensor([[1.0], [5.0]]), torch.empty(2, 0), np.zeros((2, 2), np.float32))
    rng = np.random.default_rng(0)
    variances = agent.value_variances(embedded, embedded.actions, rng, samples=20_000)
    np.testing.assert_allclose(variances, 2.5 * 0.04 / 3.0, rtol=0.03)


def test_variance_is_per_step_whatever_the_chunks(trained, steps, monkeypatch):
    trainer, folder = trained
    agent = TrainedAgent.load(folder, trainer.spec)
    embedded = agent.embed(steps[:6])
    whole = agent.value_variances(embedded, embedded.actions, np.random.default_rng(1))
    monkeypatch.setattr("hil_serl_learner.analysis._ROWS", 250)
    parts = agent.value_variances(embedded, embedded.actions, np.random.default_rng(1))
    np.testing.assert_allclose(whole, parts, rtol=1e-3)
    assert (whole > 0).all()


def test_questions_without_an_answer_say_so(toy, tmp_path, trained):
    spec = toy.spec()
    trainer = toy.started(spec, demonstrations=1, algorithm="bc")
    trainer.update()
    folder = checkpoint.save(trainer, tmp_path)
    agent = TrainedAgent.load(folder, spec)
    embedded = agent.embed(list(toy.episodes(spec, 1)))
    with pytest.raises(AnalysisError, match="no critic"):
        agent.values(embedded, embedded.actions)
    with pytest.raises(AnalysisError, match="no gripper"):
        agent.grasp_values(embedded)
    with pytest.raises(AnalysisError, match="no recorded steps"):
        agent.embed([])
    with pytest.raises(CheckpointError, match="spec_hash"):
        TrainedAgent.load(folder, trained[0].spec)
