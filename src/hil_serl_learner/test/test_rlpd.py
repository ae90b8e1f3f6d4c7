# SPDX-License-Identifier: Apache-2.0
"""RLPD against its equations: numbers worked by hand, and NumPy re-computations of whole losses and steps."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from hil_serl_learner.algorithms.rlpd import (
    Rlpd,
    actor_loss,
    bounded,
    critic_loss,
    temporal_difference_target,
)
from hil_serl_learner.algorithms.temperature import Temperature
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam, FlatParameters


def make_agent(toy, **learner):
    return Rlpd(toy.NETWORKS, toy.spec(**{"actor_update_period": 2, **learner}).learner, seed=3)


def test_target_takes_the_smaller_critic_and_stops_at_the_end():
    next_q = torch.tensor([[2.0, 5.0], [3.0, 4.0]])
    target = temporal_difference_target(torch.tensor([1.0, 0.5]), torch.tensor([1.0, 0.0]), next_q, 0.9)
    # 1 + 0.9 * min(2, 3) = 2.8; the second transition ended: 0.5 alone.
    torch.testing.assert_close(target, torch.tensor([2.8, 0.5]))


def test_critic_loss_is_the_mean_square_over_members_and_batch():
    q = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    # errors -1, 1 and 1, -1 with target (2, 1)
    assert critic_loss(q, torch.tensor([2.0, 1.0])).item() == pytest.approx(1.0)
    # errors -2, 2; 0, 0: (4 + 4) / 4
    assert critic_loss(q, torch.tensor([3.0, 0.0])).item() == pytest.approx(2.0)


def test_actor_loss_takes_the_mean_critic():
    q = torch.tensor([[1.0, 4.0], [3.0, 0.0]])
    # mean Q = (2, 2); alpha log pi = 0.1 * (-1, -3): ((-0.1 - 2) + (-0.3 - 2)) / 2
    assert actor_loss(q, torch.tensor([-1.0, -3.0]), 0.1).item() == pytest.approx(-2.2)


def test_targets_stay_within_the_returns_that_are_possible(toy):
    assert bounded(torch.tensor([-0.3, 0.4, 1.7]), (0.0, 1.0)).tolist() == pytest.approx([0.0, 0.4, 1.0])
    agent = make_agent(toy, learning_rate=1e-2)
    agent.return_bounds = (0.0, 1.0)
    batch = toy.batch()
    batch = Batch(**{**vars(batch), "reward": torch.full((7,), 5.0), "mask": torch.zeros(7)})
    for _ in range(300):
        metrics = agent.update(batch)
    assert float(metrics["q_mean"]) == pytest.approx(1.0, abs=0.1), "unbounded it would be 5"


def test_temperature_starts_at_its_value_and_moves_towards_the_target_entropy():
    temperature = Temperature(0.01, target_entropy=-3.0)
    assert temperature.multiplier.item() == pytest.approx(-4.600166, abs=1e-5)
    assert temperature().item() == pytest.approx(0.01)
    # d/d lambda [softplus(lambda) (H - target)] = sigmoid(lambda) (H - target); too high an H lowers alpha.
    temperature.loss(torch.tensor(1.0)).backward()
    assert temperature.multiplier.grad.item() == pytest.approx(4.0 / (1.0 + math.exp(4.600166)), rel=1e-4)


def test_target_entropy_defaults_to_minus_half_the_action_size(toy):
    assert make_agent(toy).temperature.target_entropy == -1.0
    assert make_agent(toy, target_entropy=-5.0).temperature.target_entropy == -5.0


def test_reported_losses_equal_the_equations_on_the_same_networks(toy):
    agent, batch = make_agent(toy, actor_update_period=1), toy.batch()
    twin = copy.deepcopy(agent)
    generator = copy.copy(agent._generator.get_state())
    noise = torch.Generator()
    noise.set_state(generator)
    with torch.no_grad():
        encoder, actor = twin.policy.encoder, twin.policy.actor
        action, log_prob = actor.sample(
            encoder(batch.next_features, batch.next_state), torch.randn(7, 2, generator=noise)
        )
        next_q = twin._target.ensemble(twin._target.encoder(batch.next_features, batch.next_state), action)
        discount = twin._learner.discount
        target = batch.reward + discount * batch.mask * torch.minimum(next_q[0], next_q[1])
        embedding = encoder(batch.features, batch.state)
        q = twin.critics(embedding, batch.action)
        expected_critic = 0.5 * ((q[0] - target).square().mean() + (q[1] - target).square().mean())
        new_action, new_log_prob = actor.sample(embedding, torch.randn(7, 2, generator=noise))
        new_q = twin.critics(embedding, new_action)
        expected_actor = (0.01 * new_log_prob - 0.5 * (new_q[0] + new_q[1])).mean()
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic_loss"], expected_critic)
    torch.testing.assert_close(metrics["actor_loss"], expected_actor)
    torch.testing.assert_close(metrics["entropy"], -log_prob.mean())


def test_critic_only_updates_leave_actor_and_temperature_alone(toy):
    """Adam's momentum must not move a network whose loss is not taken."""
    agent = make_agent(toy)
    for seed in range(4):
        agent.update(toy.batch(seed=seed))
    actor, temperature = agent._actor_flat.data.clone(), agent.temperature.multiplier.detach().clone()
    critic = agent._flat.data.clone()
    assert "actor_loss" not in agent.update(toy.batch(seed=9))
    torch.testing.assert_close(agent._actor_flat.data, actor, rtol=0, atol=0)
    torch.testing.assert_close(agent.temperature.multiplier.detach(), temperature, rtol=0, atol=0)
    assert not torch.equal(agent._flat.data, critic)
    assert "actor_loss" in agent.update(toy.batch(seed=10))
    assert not torch.equal(agent._actor_flat.data, actor)


def test_actor_loss_trains_actor_and_proprio_encoder_but_neither_cameras_nor_critics(toy):
    agent, batch = make_agent(toy, actor_update_period=1), toy.batch()
    before = {name: tensor.clone() for name, tensor in agent.model_state().items()}
    cameras = agent.policy.encoder.cameras(batch.features).detach()
    projected = agent.critics.project(agent.policy.encoder(batch.features, batch.state)).detach()
    agent._update_actor(batch, cameras, projected, torch.zeros(7))
    changed = {name for name, tensor in agent.model_state().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("policy.actor.") for name in changed)
    assert any(name.startswith("policy.encoder.state.") for name in changed)
    assert not any(name.startswith(("policy.encoder.heads.", "critic.", "target.")) for name in changed)


def test_critic_loss_trains_camera_heads_and_proprio_encoder(toy):
    agent = make_agent(toy, actor_update_period=100)
    before = {name: tensor.clone() for name, tensor in agent.model_state().items()}
    agent.update(toy.batch())
    changed = {name for name, tensor in agent.model_state().items() if not torch.equal(tensor, before[name])}
    for prefix in ("policy.encoder.heads.eye.", "policy.encoder.state.", "critic.", "target."):
        assert any(name.startswith(prefix) for name in changed), prefix
    assert not any(name.startswith("policy.actor.") for name in changed)


def test_target_is_the_polyak_average(toy):
    agent = make_agent(toy, soft_target_update=0.25)
    old = agent._target_flat.data.clone()
    agent.update(toy.batch())
    torch.testing.assert_close(agent._target_flat.data, 0.75 * old + 0.25 * agent._flat.data)


def test_what_is_evaluated_is_the_average_of_the_policy(toy):
    agent, expected = make_agent(toy, policy_average=0.25), None
    for seed in range(4):
        agent.update(toy.batch(seed=seed))
        policy = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
        if expected is not None:
            policy = {name: 0.75 * expected[name] + 0.25 * tensor for name, tensor in policy.items()}
        expected = policy
    for name, tensor in agent.evaluated.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
    latest = make_agent(toy, policy_average=None)
    assert latest.evaluated is latest.policy


def test_target_network_starts_as_a_copy_and_shares_no_memory(toy):
    agent = make_agent(toy)
    torch.testing.assert_close(agent._target_flat.data, agent._flat.data, rtol=0, atol=0)
    assert agent._target_flat.data.data_ptr() != agent._flat.data.data_ptr()


def test_flat_adam_equals_adam_on_separate_parameters():
    torch.manual_seed(0)
    flat_net, plain_net = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    plain_net.load_state_dict(flat_net.state_dict())
    flat = FlatParameters([flat_net])
    ours = FlatAdam([flat.data], 0.01)
    reference = torch.optim.Adam(plain_net.parameters(), lr=0.01)
    for _ in range(5):
        x = torch.randn(4, 3)
        ours.step(torch.autograd.grad(flat_net(x).square().sum(), flat.parameters))
        reference.zero_grad()
        plain_net(x).square().sum().backward()
        reference.step()
    for a, b in zip(flat_net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_adam_step_by_hand():
    # First step of Adam moves by lr * g / (|g| + eps) whatever the gradient's size.
    value = torch.tensor([1.0, 1.0])
    FlatAdam([value], 0.1).step([torch.tensor([5.0, -0.01])])
    np.testing.assert_allclose(value.numpy(), [0.9, 1.1], atol=1e-5)


def test_state_round_trip_continues_bit_for_bit(toy):
    agent = make_agent(toy)
    for seed in range(3):
        agent.update(toy.batch(seed=seed))
    other = Rlpd(toy.NETWORKS, agent._learner, seed=77)
    other.load_model_state({k: v.clone() for k, v in agent.model_state().items()})
    other.load_optimizer_state({k: v.clone() for k, v in agent.optimizer_state().items()})
    for seed in range(3, 7):
        a, b = agent.update(toy.batch(seed=seed)), other.update(toy.batch(seed=seed))
        assert {k: v.item() for k, v in a.items()} == {k: v.item() for k, v in b.items()}
    for name, tensor in agent.model_state().items():
        torch.testing.assert_close(other.model_state()[name], tensor, rtol=0, atol=0)


def test_a_target_looks_at_some_members_of_a_large_ensemble(toy):
    agent = make_agent(toy, critic_ensemble=5, critic_subsample=2)
    q = torch.arange(5.0)[:, None].expand(5, 3)
    pairs = [agent._subsample(q) for _ in range(200)]
    assert {tuple(pair.shape) for pair in pairs} == {(2, 3)}
    drawn = {frozenset(pair[:, 0].tolist()) for pair in pairs}
    assert len(drawn) == 10, "every pair of the five comes up, no member twice"
    minimum = torch.stack([pair.amin(dim=0) for pair in pairs]).mean().item()
    assert 0.7 < minimum < 1.3  # 1.0 expected for two of five, 0.0 for all
    whole = make_agent(toy, critic_ensemble=5)
    assert whole._subsample(q) is q


def test_dropout_at_the_next_observation_only_where_asked_for(toy):
    """The original release draws the target's next action with the camera heads' dropout."""
    config = dataclasses.replace(toy.NETWORKS, camera_head="learned_pooling")
    embeddings = {}
    for asked in (False, True):
        learner = toy.spec(camera_head="learned_pooling", next_action_dropout=asked).learner
        agent, seen = Rlpd(config, learner, seed=3), []
        agent.policy.actor.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        batch = toy.batch()
        for _ in range(2):
            agent._targets(batch)
        whole = agent.policy.encoder(batch.next_features, batch.next_state)
        embeddings[asked] = [torch.equal(one, whole) for one in seen]
    assert embeddings == {False: [True, True], True: [False, False]}


def test_dropout_that_there_is_not_cannot_be_asked_for(toy):
    with pytest.raises(ValueError, match="camera_head 'dense' has no dropout"):
        toy.spec(next_action_dropout=True)


def test_more_members_than_there_are_cannot_be_drawn(toy):
    with pytest.raises(ValueError, match="critic_subsample 3 exceeds critic_ensemble 2"):
        toy.spec(critic_subsample=3)
