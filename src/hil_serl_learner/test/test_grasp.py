# SPDX-License-Identifier: Apache-2.0
"""Grasp critic: eq. (3) by hand, which networks its loss moves, and the grasp it learns for one gripper and two."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch

from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_learner.algorithms import HilSerl
from hil_serl_learner.algorithms.cloning import MAX_WEIGHT, BehaviourCloning, command_weights
from hil_serl_learner.algorithms.grasp import double_q_target, grasp_loss
from hil_serl_learner.batch import Batch

CLOSE, STAY, OPEN = 0, 1, 2


def config(choices):
    return NetworkConfig(
        cameras={"eye": (2, 2, 1)},
        state_size=2,
        action_size=2,
        camera_embedding=6,
        state_embedding=4,
        hidden=(8, 8),
        grasp_choices=choices,
        grasp_hidden=(32, 32),
    )


def make_batch(rows=7, choices=3, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    fields = {
        "features": normal(rows, 4),
        "state": normal(rows, 2),
        "action": torch.tanh(normal(rows, 2)),
        "grasp": torch.randint(0, choices, (rows,), generator=generator),
        "reward": normal(rows),
        "grasp_penalty": -0.02 * (normal(rows) > 0).float(),
        "mask": (normal(rows) > 0).float(),
        "next_features": normal(rows, 4),
        "next_state": normal(rows, 2),
    }
    return Batch(**{**fields, **changes})


def make_agent(toy, choices=3, **learner):
    settings = {"actor_update_period": 2, "discount": 0.9, **learner}
    return HilSerl(config(choices), toy.spec(**settings).learner, seed=3)


def test_double_q_chooses_by_the_online_and_values_by_the_target_network():
    online = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 0.0]])
    target = torch.tensor([[9.0, 4.0, 8.0], [2.0, 7.0, 7.0]])
    reward, mask = torch.tensor([0.5, 1.0]), torch.tensor([1.0, 0.0])
    # Row 0: the online network prefers 1, whose target value is 4 (not 9): 0.5 + 0.9 * 4. Row 1 ended.
    torch.testing.assert_close(double_q_target(reward, mask, online, target, 0.9), torch.tensor([4.1, 1.0]))


def test_loss_looks_at_the_executed_command_alone():
    values = torch.tensor([[1.0, 100.0, 2.0], [50.0, 0.0, 3.0]])
    # Errors 1 - 3 = -2 and 3 - 2 = 1: (4 + 1) / 2.
    loss = grasp_loss(values, torch.tensor([CLOSE, OPEN]), torch.tensor([3.0, 2.0]))
    assert loss.item() == pytest.approx(2.5)


def test_two_states_by_hand():
    """Q-learning with eq. (3) on two states, tabular: the values that the equation's fixed point has.

    State A: closing leads to B with penalty -0.02, staying stays in A. State B: staying ends with reward 1.
    With gamma 0.9: Q(B, stay) = 1, Q(A, close) = -0.02 + 0.9 = 0.88, Q(A, stay) = 0.9 * 0.88 = 0.792.
    """
    table = torch.zeros(2, 2)  # rows A, B; columns close, stay
    start, command, following = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1])
    reward, penalty = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([-0.02, 0.0, 0.0])
    mask = torch.tensor([1.0, 1.0, 0.0])
    for _ in range(300):
        table.requires_grad_(True)
        target = double_q_target(
            reward + penalty, mask, table[following].detach(), table[following].detach(), 0.9
        )
        (gradient,) = torch.autograd.grad(grasp_loss(table[start], command, target), table)
        table = (table - gradient).detach()
    expected = [0.88, 0.792, 1.0]
    torch.testing.assert_close(table[start, command], torch.tensor(expected), atol=1e-4, rtol=0)


def test_reported_loss_is_equation_3_with_the_penalty_on_arrival(toy):
    agent, batch = make_agent(toy), make_batch()
    # A target network that differs from the online one, so that a mix-up of the two shows.
    with torch.no_grad():
        agent._target_flat.data.add_(0.3 * torch.randn(agent._target_flat.data.shape))
    twin = copy.deepcopy(agent)
    with torch.no_grad():
        online, target = twin.policy, twin._target
        best = online.grasp(online.encoder(batch.next_features, batch.next_state)).argmax(dim=1)
        following = target.grasp(target.encoder(batch.next_features, batch.next_state))[range(7), best]
        aim = batch.reward + batch.grasp_penalty + 0.9 * batch.mask * following
        value = online.grasp(online.encoder(batch.features, batch.state))[range(7), batch.grasp]
        expected = (value - aim).square().mean()
    torch.testing.assert_close(agent.update(batch)["grasp_loss"], expected)


@pytest.mark.parametrize(("reward", "kept"), [(-5.0, -0.2), (5.0, 1.0)])
def test_targets_stay_within_the_returns_that_are_possible(toy, reward, kept):
    agent = make_agent(toy, learning_rate=1e-2)
    agent.grasp_return_bounds = (-0.2, 1.0)
    batch = make_batch(
        reward=torch.full((7,), reward), mask=torch.zeros(7), grasp=torch.zeros(7, dtype=torch.int64)
    )
    for _ in range(300):
        agent.update(batch)
    embedding = agent.policy.encoder(batch.features, batch.state)
    assert agent.policy.grasp(embedding)[:, 0].tolist() == pytest.approx([kept] * 7, abs=0.1)


def test_the_penalty_is_the_grasp_critics_alone(toy):
    free, fined = make_agent(toy), make_agent(toy)
    one = free.update(make_batch(grasp_penalty=torch.zeros(7)))
    two = fined.update(make_batch(grasp_penalty=torch.full((7,), -5.0)))
    assert one["critic_loss"] == two["critic_loss"]
    assert one["grasp_loss"] != two["grasp_loss"]


def _changed(agent, before):
    return {name for name, tensor in agent.model_state().items() if not torch.equal(tensor, before[name])}


def _snapshot(agent):
    return {name: tensor.clone() for name, tensor in agent.model_state().items()}


def test_grasp_loss_trains_its_head_and_the_shared_encoder_but_neither_actor_nor_critics(toy):
    agent, batch = make_agent(toy), make_batch()
    before = _snapshot(agent)
    embedding = agent.policy.encoder(batch.features, batch.state)
    gradients, _ = agent._grasp.gradients(embedding, batch, torch.ones(7))
    agent._grasp.step(gradients)
    changed = _changed(agent, before)
    for prefix in ("policy.grasp.", "policy.encoder.heads.", "policy.encoder.state."):
        assert any(name.startswith(prefix) for name in changed), prefix
    assert not any(name.startswith(("policy.actor.", "critic.", "target.")) for name in changed)


def test_updates_without_an_actor_loss_move_critics_grasp_critic_and_targets_only(toy):
    agent = make_agent(toy)
    for seed in range(4):
        agent.update(make_batch(seed=seed))
    before = _snapshot(agent)
    agent.update(make_batch(seed=9))
    changed = _changed(agent, before)
    for prefix in ("policy.grasp.", "critic.", "target.grasp.", "target.encoder."):
        assert any(name.startswith(prefix) for name in changed), prefix
    assert not any(name.startswith(("policy.actor.", "temperature")) for name in changed)


def test_tasks_without_grippers_have_no_grasp_critic(toy):
    agent = make_agent(toy, choices=0)
    assert agent.policy.grasp is None
    assert not any("grasp" in name for name in (*agent.model_state(), *agent.optimizers))
    assert "grasp_loss" not in agent.update(make_batch(choices=1))


@pytest.mark.parametrize("grippers", [1, 2])
def test_learns_when_to_close_and_not_to_fidget(toy, grippers):
    """Grippers above objects or not, open or closed: closing all of them on the objects ends with reward 1.

    What was closed elsewhere grasps nothing until it is opened again, and each toggle costs -0.02. Batches hold
    every state and command.
    """
    choices = 3**grippers
    learner = toy.spec(learning_rate=5e-3, soft_target_update=0.05, discount=0.8).learner
    agent = HilSerl(config(choices), learner, seed=0)
    rng = np.random.default_rng(0)

    places = [(0, 1), *[(0, 1)] * grippers, *[(-1, 0, 1)] * grippers]
    everything = np.array(list(itertools.product(*places)))
    above, is_open, command = np.split(np.repeat(everything, 144 // len(everything), 0), [1, 1 + grippers], 1)
    above = above[:, 0]
    after = np.where(command == 0, is_open, command > 0)
    solved = (above == 1) & is_open.all(axis=1) & ~after.any(axis=1)
    toggles = (after != is_open).sum(axis=1)
    index = ((command + 1) * 3 ** np.arange(grippers)).sum(axis=1)

    def observed(above, is_open):
        features = torch.tensor(np.repeat(above[:, None], 4, 1), dtype=torch.float32)
        state = torch.tensor(np.pad(is_open, ((0, 0), (0, 2 - grippers))), dtype=torch.float32)
        return features, state

    features, state = observed(above, is_open)
    for seed in range(250 * grippers):
        # The arm wanders on by chance.
        wandered = np.where(rng.random(len(above)) < 0.3, 1 - above, above)
        next_features, next_state = observed(wandered, after)
        agent.update(
            make_batch(
                len(above),
                seed=seed,
                features=features,
                state=state,
                grasp=torch.from_numpy(index),
                reward=torch.tensor(solved, dtype=torch.float32),
                grasp_penalty=torch.tensor(-0.02 * toggles, dtype=torch.float32),
                mask=torch.tensor(~solved, dtype=torch.float32),
                next_features=next_features,
                next_state=next_state,
            )
        )
    with torch.no_grad():
        best = agent.policy.grasp(agent.policy.encoder(*observed(above, is_open))).argmax(1).numpy()
    commands = best[:, None] // 3 ** np.arange(grippers) % 3 - 1
    after = np.where(commands == 0, is_open, commands > 0)
    ready = is_open.all(axis=1)
    # With open grippers it closes all of them above the objects and none elsewhere.
    assert not after[ready & (above == 1)].any()
    assert after[ready & (above == 0)].all()


def test_state_round_trip_continues_bit_for_bit(toy):
    agent = make_agent(toy)
    for seed in range(3):
        agent.update(make_batch(seed=seed))
    other = HilSerl(config(3), agent._learner, seed=77)
    other.load_model_state({k: v.clone() for k, v in agent.model_state().items()})
    other.load_optimizer_state({k: v.clone() for k, v in agent.optimizer_state().items()})
    for seed in range(3, 7):
        agent.update(make_batch(seed=seed))
        other.update(make_batch(seed=seed))
    for name, tensor in agent.model_state().items():
        torch.testing.assert_close(other.model_state()[name], tensor, rtol=0, atol=0)


def test_command_weights_by_hand():
    # 8 stays, 2 closes, never an open: N / (K' n) = 10 / (2 * 8) and 10 / (2 * 2); what never occurs is capped.
    weights = command_weights(torch.tensor([2.0, 8.0, 0.0]))
    torch.testing.assert_close(weights, torch.tensor([2.5, 0.625, 5.0]))
    assert command_weights(torch.tensor([1.0, 9999.0, 0.0]))[0] == MAX_WEIGHT


def test_cloned_gripper_presses_although_presses_are_rare(toy):
    """One state in ten asks for "close", and there the operator's finger is late every second time."""
    agent = BehaviourCloning(config(3), toy.spec(learning_rate=1e-2).learner, seed=0)
    rng = np.random.default_rng(0)
    at_object = torch.tensor(np.ones((1, 4)), dtype=torch.float32)
    for seed in range(150):
        near = rng.random(64) < 0.1
        pressed = near & (rng.random(64) < 0.4)
        agent.update(
            make_batch(
                64,
                seed=seed,
                features=torch.tensor(np.repeat(near[:, None], 4, 1), dtype=torch.float32),
                state=torch.zeros(64, 2),
                grasp=torch.from_numpy(np.where(pressed, CLOSE, STAY)),
            )
        )
    with torch.no_grad():
        best = [
            agent.policy.grasp(agent.policy.encoder(place, torch.zeros(1, 2))).argmax().item()
            for place in (at_object, 0.0 * at_object)
        ]
    assert best == [CLOSE, STAY]


def test_a_cloned_policy_has_no_spread(toy):
    agent = BehaviourCloning(config(0), toy.spec().learner, seed=0)
    for seed in range(5):
        agent.update(make_batch(seed=seed, choices=1))
    batch = make_batch()
    embedding = agent.policy.encoder(batch.features, batch.state)
    sample, _ = agent.policy.actor.sample(embedding, torch.randn(7, 2))
    torch.testing.assert_close(sample, agent.policy.actor.mode(embedding), atol=1e-4, rtol=0)
