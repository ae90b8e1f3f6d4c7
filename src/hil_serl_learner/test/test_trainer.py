# SPDX-License-Identifier: Apache-2.0
"""Trainer: counters, lockstep order, determinism, cached against plain path."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch

from hil_serl_core.policy import Policy
from hil_serl_core.weights import unpack
from hil_serl_learner import checkpoint
from hil_serl_learner.observations import PlainObservations
from hil_serl_learner.trainer import Trainer


def test_lockstep_counts_updates_and_announces_weights(toy, spec):
    trainer = toy.started(spec)
    due = []
    for step in toy.episodes(spec, 4):
        if trainer.consume(step):
            due.append(trainer.trained_step)
            assert trainer.weights().trained_step == trainer.trained_step
    assert trainer.counters.environment_steps == 32
    assert trainer.trained_step == 32
    assert trainer.counters.episodes == 4
    assert trainer.counters.updates == (32 - 5) * 2
    assert due == [10, 20, 30]
    assert trainer.counters.version == 2


def test_free_running_owes_no_more_than_the_limit(toy, spec):
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2):
        trainer.add_step(step)
    assert trainer.trained_step == 16 - 11
    trainer.limit_credit(3)
    done = 0
    while trainer.update_due:
        trainer.update()
        done += 1
    assert done == 6
    assert trainer.trained_step == 16


def test_updates_that_a_slow_learner_skips_are_counted(toy, spec):
    """16 records, 5 of warm-up: 11 owe 2 updates each; of these 3 records' are kept and 16 updates skipped."""
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2):
        trainer.add_step(step)
    assert (trainer.counters.owed_updates, trainer.counters.skipped_updates) == (22.0, 0.0)
    trainer.limit_credit(3)
    trainer.limit_credit(3)
    assert (trainer.counters.owed_updates, trainer.counters.skipped_updates) == (22.0, 16.0)
    while trainer.update_due:
        trainer.update()
    counters = trainer.counters
    assert counters.owed_updates == counters.updates + counters.skipped_updates + counters.credit
    assert trainer.metrics["skipped_updates"] == 16.0, "TensorBoard draws every metric"
    assert trainer.metrics["owed_updates"] == 22.0


def test_lockstep_skips_nothing_and_updates_on_demonstrations_alone_are_owed_to_nobody(toy, spec):
    trainer = toy.started(spec, algorithm="hg_dagger")
    for _ in range(7):
        trainer.update()
    for step in toy.episodes(spec, 2):
        trainer.consume(step)
    assert (trainer.counters.owed_updates, trainer.counters.skipped_updates) == (22.0, 0.0)
    assert trainer.counters.updates == 7 + 22


@pytest.mark.parametrize("ratio", [2.0, 2.5, 0.5])
def test_a_resume_goes_on_counting_what_was_owed_and_skipped(toy, tmp_path, ratio):
    spec = toy.spec(update_to_data=ratio)
    trainer, steps = toy.started(spec), list(toy.episodes(spec, 3))
    for step in steps[:20]:
        trainer.add_step(step)
    trainer.limit_credit(4)
    trainer.update()
    checkpoint.save(trainer, tmp_path)
    resumed = toy.prepared(spec)
    checkpoint.load_latest(resumed, tmp_path)
    resumed.begin()
    for step in steps[:20]:
        resumed.add_step(step)
    assert resumed.counters == trainer.counters
    for step in steps[20:]:
        resumed.add_step(step)
        trainer.add_step(step)
    assert resumed.counters == trainer.counters
    counters = resumed.counters
    assert counters.owed_updates == counters.updates + counters.skipped_updates + counters.credit


def test_fractional_update_to_data(toy):
    spec = toy.spec(update_to_data=0.5, warmup_steps=0)
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2):
        trainer.consume(step)
    assert trainer.counters.updates == 8


def test_same_seed_same_weights_other_seed_other_weights(toy, spec):
    def train(seed):
        trainer = toy.started(spec, seed)
        for step in toy.episodes(spec, 2):
            trainer.consume(step)
        return trainer.weights().data

    assert train(0) == train(0)
    assert train(0) != train(1)


def test_weights_load_into_the_actors_policy_and_act_alike(toy, spec):
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2):
        trainer.consume(step)
    policy = Policy(spec)
    policy.load(unpack(trainer.weights(), spec.hash, policy.shapes))
    step = toy.step(spec, 3)
    action = policy.act(step.frames, step.state, deterministic=True)
    slot = trainer.replay.add(step, demonstration=False)
    trainer._observations.store(slot, step)
    with torch.no_grad():
        features = torch.from_numpy(trainer._observations._cache[slot * 3].astype(np.float32))[None]
        state = torch.from_numpy(trainer.replay.state[slot])[None]
        network = trainer.algorithm.policy
        expected = network.actor.mode(network.encoder(features, state))[0].numpy()
    np.testing.assert_allclose(action, expected, atol=1e-5)


def test_cached_and_plain_path_agree_without_augmentation(toy):
    features = []
    for cached in (True, False):
        trainer = toy.started(toy.spec(feature_cache=cached, crop_padding=0))
        slots = np.array([0, 3, 9, 3])
        features.append(trainer._observations.features(slots, np.random.default_rng(0)))
    torch.testing.assert_close(features[0], features[1], atol=5e-3, rtol=2e-3)


def test_plain_path_trains(toy):
    spec = toy.spec(feature_cache=False, batch_size=4, warmup_steps=12)
    trainer = toy.started(spec)
    assert isinstance(trainer._observations, PlainObservations)
    for step in toy.episodes(spec, 2):
        trainer.consume(step)
    assert trainer.counters.updates == 8
    assert np.isfinite(trainer.metrics["critic_loss"])


def test_no_demonstrations_is_a_clear_error(spec):
    with pytest.raises(ValueError, match="record demonstrations"):
        Trainer(spec).begin()


def test_behaviour_cloning_fits_the_demonstrations(toy):
    spec = toy.spec(learning_rate=3e-3)
    trainer = toy.started(spec, algorithm="bc")
    losses = []
    for _ in range(150):
        trainer.update()
        losses.append(trainer.metrics["actor_loss"])
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:5])


def test_unknown_algorithm_is_named(spec):
    with pytest.raises(ValueError, match="hil_serl"):
        Trainer(spec, algorithm="dqn")


def test_learned_pooling_head_trains(toy):
    spec = toy.spec(camera_head="learned_pooling")
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2):
        trainer.consume(step)
    assert np.isfinite(trainer.metrics["actor_loss"])


class _Doubled:
    """A learnt reward with one parameter: what the relabelling hook asks of VICE and its like."""

    def __init__(self, context):
        self.context, self.seen = context, []
        self.scale, self.updates = torch.ones(1), 0

    def reward(self, next_features, stored_reward):
        self.seen.append((next_features.shape, stored_reward))
        return self.scale * stored_reward - 1.0

    def update(self, rng):
        self.updates += 1
        self.scale += 1.0
        return {"reward_scale": self.scale.clone()}

    def model_state(self):
        return {"scale": self.scale}

    def optimizer_state(self):
        return {"updates": torch.tensor([self.updates])}

    def load_optimizer_state(self, tensors):
        self.updates = int(tensors["updates"])


def test_a_learnt_reward_replaces_the_recorded_one_and_is_kept_by_checkpoints(toy, spec, tmp_path):
    trainer = toy.started(spec, relabeller=_Doubled)
    for step in toy.episodes(spec, 1):
        trainer.add_step(step)
    rewards = []
    algorithm_update = trainer.algorithm.update
    trainer.algorithm.update = lambda batch: rewards.append(batch.reward) or algorithm_update(batch)
    for _ in range(3):
        trainer.update()
    relabeller = trainer.relabeller
    for index, (shape, stored) in enumerate(relabeller.seen):
        assert shape == (16, trainer.extractor.size)
        assert set(stored.tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(rewards[index], (index + 2.0) * stored - 1.0)
    assert trainer.metrics["reward_scale"] == 4.0
    checkpoint.save(trainer, tmp_path)
    restored = Trainer(spec, relabeller=_Doubled)
    checkpoint.load_latest(restored, tmp_path)
    assert (restored.relabeller.scale.item(), restored.relabeller.updates) == (4.0, 3)
    assert not any("reward" in name for name in safetensors.torch.load(trainer.peek_weights().data))


def test_goals_are_the_ends_of_successful_demonstrations(toy, spec):
    trainer = toy.started(spec)
    for step in toy.episodes(spec, 2, actor_id="online"):
        trainer.add_step(step)
    trainer.add_demonstration(toy.step(spec, 100, actor_id="late", is_last=True))
    assert trainer.replay.goals().tolist() == [8, 17]
