# SPDX-License-Identifier: Apache-2.0
"""What the scripted operator does while classifier data are recorded: success, near misses and straying, in turns.

A person who records such data does the task, keeps the part where it belongs, pulls it out again, misses on purpose and
moves about, because the policy that is judged later will do all of that.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from hil_serl_sim.operator_hand import DeviceInput


class Turn(Enum):
    """What one stretch of an episode is for."""

    AIM = "aim"  # do the task
    MISS = "miss"  # do it beside the goal
    STRAY = "stray"  # move somewhere else, fingers too
    STAY = "stay"  # the task is done: stay, hands nearly off


@dataclass(frozen=True)
class Habits:
    """How the data are varied. Pairs are ranges that a turn draws from."""

    steps: tuple[int, int] = (6, 16)  # of a turn
    give_up: float = 0.15  # chance of a miss at the end of such a time of aiming
    first: tuple[float, ...] = (0.5, 0.3, 0.2)  # chance of the episode to begin with AIM, MISS, STRAY
    done: tuple[float, ...] = (0.5, 0.2, 0.3)  # chance of STAY, MISS, STRAY once the task is done
    miss_position: float = 0.012  # [m] largest
    miss_rotation: float = 0.15  # [rad] largest, about each axis
    stay_deflection: float = 0.1  # of a hand that rests on the device
    press_chance: float = 0.05  # of a button, per step of straying


class Collector:
    """Turns of one episode.

    Args:
        rng: of all draws.
        habits: how the data are varied.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits | None = None):
        self._rng, self._habits = rng, habits or Habits()
        self._drift = np.zeros(6)
        self.bias = np.zeros(6)
        self.turn = Turn.AIM
        self._left = 0
        self._done_before = False
        self._enter(self._draw((Turn.AIM, Turn.MISS, Turn.STRAY), self._habits.first))

    def step(self, done: bool) -> Turn:
        """What to do at one tick.

        Args:
            done: the task is solved, or can no longer be.
        """
        self._left -= 1
        if done and not self._done_before:
            self._enter(Turn.STAY)
        elif done and (self._left <= 0 or self.turn is Turn.AIM):
            self._enter(self._draw((Turn.STAY, Turn.MISS, Turn.STRAY), self._habits.done))
        elif not done and self.turn is Turn.STAY:
            self._enter(Turn.AIM)
        elif self._left <= 0:
            gives_up = self.turn is Turn.AIM and self._rng.random() < self._habits.give_up
            self._enter(Turn.MISS if gives_up else Turn.AIM)
        self._done_before = done
        return self.turn

    def device(self, buttons: tuple[int, int] | None) -> DeviceInput:
        """Deflection of a hand that strays, or stays.

        Args:
            buttons: numbers of the close and the open button; None: there is no gripper.
        """
        noise = self._rng.standard_normal(6)
        if self.turn is Turn.STAY:
            return DeviceInput(np.clip(self._habits.stay_deflection * noise, -1.0, 1.0))
        pressed = [0, 0] if buttons is None else [0] * (max(buttons) + 1)
        if buttons is not None and self._rng.random() < self._habits.press_chance:
            pressed[buttons[int(self._rng.integers(2))]] = 1
        return DeviceInput(np.clip(self._drift + 0.3 * noise, -1.0, 1.0), tuple(pressed))

    def _draw(self, turns: tuple[Turn, ...], chances: tuple[float, ...]) -> Turn:
        return turns[int(self._rng.choice(len(turns), p=chances))]

    def _enter(self, turn: Turn) -> None:
        h, draw = self._habits, self._rng.uniform(-1.0, 1.0, 6)
        self.turn = turn
        self._left = int(self._rng.integers(*h.steps, endpoint=True))
        self._drift = self._rng.uniform(-0.8, 0.8, 6)
        self.bias = np.zeros(6)
        if turn is Turn.MISS:
            size = self._rng.uniform(0.1, 1.0)
            self.bias = size * np.repeat([h.miss_position, h.miss_rotation], 3) * draw
            self.bias[3:5] *= 0.3  # people tilt less than they turn
