# SPDX-License-Identifier: Apache-2.0
"""Hands that obey late, and a bench on which an episode runner commands them."""

from __future__ import annotations

import math

import numpy as np

from hil_serl_core.action import ActionLayout, nominal_pose
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.observation import ArmSample, Observation


class Hand:
    """Fingers behind a servo: they wait, move at a constant speed and stop at a part.

    With ``queues`` a goal under way is finished first, as by a Franka hand's node.
    """

    def __init__(self, dead=0.0, stroke=0.8, part=0.0, opening=1.0, queues=False):
        self.dead, self.speed, self.part, self.queues = dead, 1.0 / max(stroke, 1e-9), part, queues
        self.opening, self._goal, self._starts, self._next = opening, opening, 0.0, None
        self._time, self.held = 0.0, None

    def command(self, wanted):
        if self.queues and self._under_way:
            self._next = wanted
        elif wanted != self._goal:
            self._goal, self._starts = wanted, self._time + self.dead

    @property
    def _under_way(self):
        return self._time < self._starts or abs(self.opening - max(self._goal, self.part)) > 1e-9

    def step(self, seconds):
        self._time += seconds
        if self.held is not None:  # somebody else moves it
            self.opening = self.held
            return
        if self._time <= self._starts:
            return
        way = max(self._goal, self.part) - self.opening
        self.opening += math.copysign(
            min(abs(way), self.speed * min(seconds, self._time - self._starts)), way
        )
        if not self._under_way and self._next is not None:
            wanted, self._next = self._next, None
            self.command(wanted)


class Bench:
    """An episode runner of a task before hands, ticked at a rate."""

    def __init__(self, task, rate=10.0, **hand):
        episode = task.episode.model_copy(update={"max_steps": 10_000})
        self.task = task.model_copy(update={"episode": episode})
        self.rate, self.time = rate, 0.0
        self.hands = {arm: Hand(**hand) for arm in task.arm_names}
        self.runner = EpisodeRunner(self.task, "a", Mode.TRAIN)
        self.runner.begin()
        self.steps, self.told = [], []

    def play(self, seconds, **commands):
        """Tick on with a gripper command per arm (``one`` for a single arm); none: stay."""
        for _ in range(round(seconds * self.rate)):
            wanted = [float(commands.get(arm or "one", 0.0)) for arm in self.task.arm_names]
            action = np.concatenate([np.zeros(ActionLayout(self.task).continuous_size), wanted])
            tick = self.runner.tick(
                self._observe(), Outcome(), {}, lambda _, a=action: Proposal(a.astype(np.float32), 1)
            )
            self.steps.append(tick.step)
            self.told.append(tuple(self.runner.grippers.openings))
            for hand, opening in zip(self.hands.values(), self.told[-1], strict=True):
                hand.command(opening)
                hand.step(1.0 / self.rate)
            self.time += 1.0 / self.rate

    def _observe(self):
        zeros = np.zeros(6)
        arms = {
            arm: ArmSample(
                self.time,
                self.task.arm(arm).base_frame,
                nominal_pose(self.task.arm(arm)),
                zeros,
                zeros,
                np.zeros(7),
                np.zeros(7),
                hand.opening,
            )
            for arm, hand in self.hands.items()
        }
        return Observation(self.time, {}, {}, arms)

    @property
    def penalties(self):
        return round(sum(step.grasp_penalty for step in self.steps) / self.task.action.gripper.penalty)
