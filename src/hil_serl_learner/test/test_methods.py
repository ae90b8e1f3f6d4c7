# SPDX-License-Identifier: Apache-2.0
"""Every method learns or clones what it must: two things that only the picture shows, one of them for the gripper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hil_serl_core.action import ActionLayout
from hil_serl_core.methods import METHODS, MethodError, method_named
from hil_serl_core.policy import Policy
from hil_serl_core.step import Source
from hil_serl_core.weights import unpack
from hil_serl_learner.algorithms import ALGORITHMS
from hil_serl_learner.trainer import PCA_WARMUP, Trainer

LEARNER = {
    "batch_size": 32,
    "camera_embedding": 16,
    "pca_channels": 8,
    "discount": 0.5,
    "replay_capacity": 3000,
    "warmup_steps": 20,
    "update_to_data": 2.0,
    "learning_rate": 2e-3,
    "initial_temperature": 0.05,
    "soft_target_update": 0.05,
    "grasp_exploration": 0.2,
    "crop_padding": 0,
}


class Quadrant:
    """One decision: push towards the side the dot is on; close the gripper if it is high, open it if it is low."""

    def __init__(self, toy, spec, rng):
        self.toy, self.spec, self.rng, self.layout = toy, spec, rng, ActionLayout(spec)
        self.sequence = self.episode = 0
        self.reset()

    def reset(self):
        self.right, self.low = self.rng.integers(0, 2, 2).astype(bool)
        jitter = self.rng.integers(-2, 3, 2)
        self.row, self.column = (np.array([22, 22]) if self.low else np.array([9, 22])) + jitter
        if not self.right:
            self.column -= 13

    def frames(self):
        picture = np.full((32, 32, 3), 90, np.uint8)
        picture[self.row - 3 : self.row + 4, self.column - 3 : self.column + 4] = 255
        return {camera.name: picture for camera in self.spec.cameras}

    def state(self):
        return {"tcp_pose": np.zeros(6, np.float32), "gripper": np.zeros(1, np.float32)}

    def solved(self, action):
        side = (action[0] > 0.2) == self.right and abs(action[0]) > 0.2
        return bool(side and action[6] == (1.0 if self.low else -1.0))

    def expert(self):
        action = self.rng.normal(0, 0.2, 7)
        action[0] += 0.7 if self.right else -0.7
        action[6] = 1.0 if self.low else -1.0
        return np.clip(action, -1, 1).astype(np.float32)

    def run(self, action, sink=None, actor_id="actor", source=Source.POLICY):
        """One episode of one transition; True if solved."""
        solved = self.solved(action)
        if sink is not None:
            for last in (False, True):
                step = self.toy.step(
                    self.spec,
                    self.sequence,
                    actor_id=actor_id,
                    episode=self.episode,
                    step_index=int(last),
                    is_first=not last,
                    is_last=last,
                    is_terminal=last,
                    reward=float(solved and last),
                    action=None if last else action,
                    source=source,
                    frames=self.frames(),
                    state=self.state(),
                )
                sink(step)
                self.sequence += 1
            self.episode += 1
        self.reset()
        return solved


def train(toy, name, transitions, pretraining=0):
    """Trains a method as the worker and actor would; returns success before and after."""
    spec = toy.spec(gripper=True, **LEARNER)
    method, trainer, policy = METHODS[name], Trainer(spec, algorithm=name), Policy(spec)
    demos, cell = (Quadrant(toy, spec, np.random.default_rng(seed)) for seed in (1, 2))
    for _ in range(12 if method.uses_demonstrations else 0):
        demos.run(demos.expert(), trainer.add_demonstration, "demo", Source.HUMAN)
    trainer.begin()

    def load():
        policy.load(unpack(trainer.weights(), spec.hash, policy.shapes))

    def success():
        load()
        test = Quadrant(toy, spec, np.random.default_rng(3))
        return np.mean(
            [test.run(policy.act(test.frames(), test.state(), deterministic=True)) for _ in range(60)]
        )

    before = success()
    for _ in range(pretraining):
        trainer.update()
    load()
    generator = torch.Generator().manual_seed(0)
    for index in range(transitions):
        action, source = policy.act(cell.frames(), cell.state(), generator=generator), Source.POLICY
        if method.needs_operator and not cell.solved(action) and index % 2:
            action, source = cell.expert(), Source.HUMAN
        cell.run(action, trainer.consume, source=source)
        if index % 10 == 0:
            load()
    return before, success(), trainer


@pytest.mark.parametrize(("name", "transitions"), [("hil_serl", 120), ("serl", 180), ("rlpd_scratch", 350)])
def test_reinforcement_learning_finds_both_actions(toy, name, transitions):
    before, after, _ = train(toy, name, transitions)
    assert before < 0.6
    assert after > 0.85


def test_behaviour_cloning_reproduces_the_demonstrations(toy):
    before, after, _ = train(toy, "bc", 0, pretraining=150)
    assert before < 0.6
    assert after > 0.85


def test_hg_dagger_goes_on_learning_from_corrections(toy):
    _, pretrained, _ = train(toy, "hg_dagger", 0, pretraining=10)
    _, after, trainer = train(toy, "hg_dagger", 120, pretraining=10)
    assert after > max(0.85, pretrained + 0.1)
    corrections = len(trainer.replay.demonstrations) - 12
    assert 0 < corrections < 60
    assert len(trainer.replay.online) == 120


def test_every_method_of_the_table_has_a_class():
    assert set(ALGORITHMS) == set(METHODS)
    for name, method in METHODS.items():
        assert method.name == name
        assert ALGORITHMS[name].interventions_are_demonstrations == method.needs_operator


def test_interventions_count_as_demonstrations_only_where_the_method_has_an_operator(toy):
    for name in ("hil_serl", "serl", "rlpd_scratch"):
        trainer = toy.started(toy.spec(), demonstrations=int(name != "rlpd_scratch"), algorithm=name)
        before = len(trainer.replay.demonstrations)
        for step in toy.episodes(trainer.spec, 1, source=Source.HUMAN):
            trainer.add_step(step)
        assert len(trainer.replay.demonstrations) - before == (8 if name == "hil_serl" else 0)
        assert len(trainer.replay.online) == 8


def test_without_demonstrations_components_are_fitted_on_the_first_online_frames(toy):
    spec = toy.spec(warmup_steps=5)
    trainer = Trainer(spec, algorithm="rlpd_scratch")
    trainer.begin()
    assert not trainer.extractor.fitted
    for step in toy.episodes(spec, 12):
        trainer.consume(step)
        fitted = trainer.counters.environment_steps >= PCA_WARMUP
        assert trainer.extractor.fitted == fitted
        assert bool(trainer.counters.updates) == (trainer.counters.environment_steps > PCA_WARMUP)
    assert trainer.counters.updates == (96 - PCA_WARMUP) * 2
    # What was stored before the fit has features too, and whitened ones.
    features = trainer._observations.features(np.arange(40), np.random.default_rng(0))
    assert 0.3 < features.std() < 3.0


def test_a_resume_before_the_fit_goes_on_waiting(toy, tmp_path):
    from hil_serl_learner import checkpoint

    spec = toy.spec()
    steps = list(toy.episodes(spec, 12))

    def begun():
        trainer = Trainer(spec, algorithm="rlpd_scratch")
        trainer.begin()
        return trainer

    whole, part = begun(), begun()
    for step in steps:
        whole.consume(step)
    for step in steps[:20]:
        part.consume(step)
    checkpoint.save(part, tmp_path)
    resumed = Trainer(spec, seed=9, algorithm="rlpd_scratch")
    checkpoint.load_latest(resumed, tmp_path)
    resumed.begin()
    for step in steps:
        resumed.consume(step)
    assert resumed.peek_weights().data == whole.peek_weights().data


def test_methods_that_a_task_cannot_use_are_refused_with_the_reason(toy):
    with pytest.raises(MethodError, match="goal pictures"):
        Trainer(toy.spec(reward="vice"), algorithm="rlpd_scratch")
    with pytest.raises(MethodError, match="without an operator"):
        Trainer(toy.spec(reward="operator"), algorithm="serl")
    with pytest.raises(MethodError, match="did you mean 'hil_serl'"):
        method_named("hilserl")
