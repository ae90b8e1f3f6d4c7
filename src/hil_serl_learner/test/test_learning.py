# SPDX-License-Identifier: Apache-2.0
"""It learns: a dot in the picture shows where to go, and nothing else does."""

from __future__ import annotations

import numpy as np
import torch

from hil_serl_core.policy import Policy
from hil_serl_core.step import Source
from hil_serl_core.weights import unpack
from hil_serl_learner.trainer import Trainer

STEP = 0.25  # share of the picture a full action moves
LENGTH = 12
REACHED = 0.25


class Reach:
    """A white goal dot on grey; the arm's place is in the state, the goal in the picture alone."""

    def __init__(self, toy, spec, rng):
        self.toy, self.spec, self.rng = toy, spec, rng
        self.reset()

    def reset(self):
        self.goal, self.place = self.rng.uniform(-1, 1, 2), self.rng.uniform(-0.2, 0.2, 2)

    def frames(self):
        picture = np.full((32, 32, 3), 90, np.uint8)
        row, column = np.round(15.5 + 12.0 * self.goal).astype(int)
        picture[row - 2 : row + 3, column - 2 : column + 3] = 255
        return {camera.name: picture for camera in self.spec.cameras}

    def state(self):
        pose = np.zeros(6, np.float32)
        pose[:2] = 0.05 * self.place
        return {"tcp_pose": pose, "gripper": np.zeros(1, np.float32)}

    def reached(self):
        return bool(np.linalg.norm(self.goal - self.place) < REACHED)

    def expert(self):
        action = np.zeros(6, np.float32)
        action[:2] = np.clip((self.goal - self.place) / STEP, -1, 1)
        return np.clip(action + self.rng.normal(0, 0.3, 6), -1, 1).astype(np.float32)

    def move(self, action):
        self.place = np.clip(self.place + STEP * action[:2], -1.5, 1.5)


def run_episode(cell, act, sink=None, actor_id="actor", episode=0, source=Source.POLICY, sequence=0):
    cell.reset()
    for index in range(LENGTH + 1):
        reached = cell.reached()
        last = reached or index == LENGTH
        action = None if last else act(cell)
        if sink is not None:
            sink(
                cell.toy.step(
                    cell.spec,
                    sequence + index,
                    actor_id=actor_id,
                    episode=episode,
                    step_index=index,
                    is_first=index == 0,
                    is_last=last,
                    is_terminal=reached,
                    reward=float(reached),
                    action=action,
                    source=source,
                    frames=cell.frames(),
                    state=cell.state(),
                )
            )
        if last:
            return reached, index + 1
        cell.move(action)
    raise AssertionError("unreachable")


def success(policy, cell, episodes=40):
    def act(cell):
        return policy.act(cell.frames(), cell.state(), deterministic=True)

    return np.mean([run_episode(cell, act)[0] for _ in range(episodes)])


def test_hil_serl_learns_to_reach_what_only_the_picture_shows(toy):
    spec = toy.spec(
        batch_size=64,
        hidden=(64, 64),
        camera_embedding=32,
        state_embedding=16,
        pca_channels=8,
        discount=0.9,
        replay_capacity=5000,
        warmup_steps=50,
        update_to_data=2.0,
        publish_every=50,
        learning_rate=1e-3,
        soft_target_update=0.02,
        crop_padding=1,
        augmented_views=2,
    )
    cell = Reach(toy, spec, np.random.default_rng(0))
    trainer, policy = Trainer(spec), Policy(spec)
    sequence = 0
    for episode in range(30):
        _, records = run_episode(
            cell, Reach.expert, trainer.add_demonstration, "demo", episode, Source.HUMAN, sequence
        )
        sequence += records
    trainer.begin()

    def load():
        policy.load(unpack(trainer.weights(), spec.hash, policy.shapes))

    load()
    before = success(policy, cell)
    generator, sequence, episode = torch.Generator().manual_seed(0), 0, 0

    def act(cell):
        return policy.act(cell.frames(), cell.state(), generator=generator)

    def sink(step):
        if trainer.consume(step):
            load()

    while trainer.counters.environment_steps < 1500:
        _, records = run_episode(cell, act, sink, "actor", episode, Source.POLICY, sequence)
        sequence, episode = sequence + records, episode + 1
    load()
    after = success(policy, cell)
    assert before < 0.4
    assert after > 0.5  # about 0.8; a blind policy stays near 0.2
