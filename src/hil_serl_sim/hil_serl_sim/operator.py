# SPDX-License-Identifier: Apache-2.0
"""Scripted operator: a person at one SpaceMouse, or with each hand at one, as seen from the outside. No ROS.

It sees the scene late (reaction time) and slightly wrong (a bias per episode, as a person judges depth and
angle imperfectly), moves its hand with limited acceleration and a tremor, pauses to look, and feels around
when the part rests on something. It never sees what the policy thinks, only what the arm does.
"""

import dataclasses
from collections import deque
from collections.abc import Mapping
from enum import Enum

import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.collector import Collector, Turn
from hil_serl_sim.operator_hand import HAND_OFF, DeviceInput, Hand, Person, Style, gripped
from hil_serl_sim.twin import Guide, SceneView

__all__ = ["HAND_OFF", "DeviceInput", "OperatorMode", "Person", "ScriptedOperator"]


class OperatorMode(Enum):
    """What the operator has been asked to do."""

    OFF = "off"
    DEMONSTRATE = "demonstrate"  # drive the whole episode
    SUPERVISE = "supervise"  # watch, and step in only when the policy stalls or strays
    COLLECT = "collect"  # drive the whole episode: at the goal, beside it, elsewhere (classifier data)


class ScriptedOperator:
    """Call :meth:`act` once per tick. Deterministic by seed and by what it sees.

    Args:
        spec: for the arms, the action scale and the buttons.
        guide: how the task is done.
        seed: of all its randomness.
        person: perception and motion; default: a usual one with the guide's habits.
    """

    def __init__(self, spec: TaskSpec, guide: Guide, seed: int = 0, person: Person | None = None):
        self._spec, self._seed = spec, seed
        self.guide = guide  # may be changed between episodes
        self._person = person or dataclasses.replace(Person(), **guide.habits)
        self.mode = OperatorMode.OFF
        self._resets: int | None = None
        self._answer: tuple[float, dict[str, DeviceInput]] | None = None
        self._begin(0)

    @property
    def driving(self) -> bool:
        """A hand is on a device."""
        return self._driving

    def act(self, view: SceneView, resets: int, done: bool = False) -> Mapping[str, DeviceInput]:
        """What the devices report at one tick. Asked again for the same stamp, it gives the same answer.

        Args:
            view: the scene at this tick.
            resets: number of resets of the cell so far; a change begins a new episode.
            done: the task is solved or failed: hands off.

        Returns:
            Arm -> its device.
        """
        if self._answer is not None and self._answer[0] == view.stamp and resets == self._resets:
            return self._answer[1]
        if resets != self._resets:
            self._resets = resets
            self._begin(resets)
        self._seen.append(view)
        if self.mode is OperatorMode.COLLECT:
            answer = self._collect(view.stamp, done)
        else:
            answer = dict.fromkeys(self._hands, HAND_OFF) if done else self._decide(view.stamp)
        for arm, hand in self._hands.items():
            hand.note(view.stamp, answer[arm])
        deadman = self._spec.intervention.deadman_button
        driving = self._driving and not done
        answer = {arm: gripped(device, deadman, driving) for arm, device in answer.items()}
        self._answer = (view.stamp, answer)
        return answer

    def _begin(self, resets: int) -> None:
        """New episode: draw what differs from episode to episode."""
        p = self._person
        self._rng = rng = np.random.default_rng((self._seed, resets))
        self._reaction = rng.uniform(*p.reaction)
        speed, gain, self._tolerance = rng.uniform(*p.speed), rng.uniform(*p.gain), rng.uniform(*p.tolerance)
        foresight, press, search = rng.uniform(*p.foresight), rng.uniform(*p.press), rng.uniform(*p.search)
        phase, turning = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.7, 1.1) * rng.choice([-1.0, 1.0])
        self._bias = self._look()
        self._wait = int(rng.integers(*p.start_steps, endpoint=True))
        self._patience = int(rng.integers(*p.patience_steps, endpoint=True))
        strength = rng.uniform(*p.strength) if self._spec.action.kind == "wrench" else 1.0
        style = Style(speed, gain, foresight, press, search, phase, turning, strength)
        self._hands = {arm: Hand(self._spec, arm, p, style, rng) for arm in self._spec.arm_names}
        self._seen: deque[SceneView] = deque(maxlen=64)
        self._distances: list[float] = []
        self._driving = False
        self._left = 0  # steps of the present correction still to come
        self._rest = 0
        self._stuck, self._resting = 0, False
        self._collector = Collector(np.random.default_rng((self._seed, resets, 1)))

    def _look(self) -> np.ndarray:
        """Perception error of one careful look, (6,) m and rad."""
        p, draw = self._person, self._rng.standard_normal(6)
        bias = np.concatenate([np.clip(p.bias_position * draw[:3], -1e-3, 1e-3), p.bias_rotation * draw[3:]])
        bias[2] = bias[3] = bias[4] = 0.0  # height and tilt show in contact
        return bias

    def _decide(self, stamp: float) -> dict[str, DeviceInput]:
        sight = self._delayed(stamp)
        if sight is None or self.mode is OperatorMode.OFF:
            return self._release()
        if self.mode is OperatorMode.SUPERVISE and not self._wants_to_drive(sight):
            return self._release()
        if self._wait > 0:  # looks, hands still
            self._wait -= 1
            return self._release()
        if self.mode is OperatorMode.DEMONSTRATE and self._rng.random() < self._person.pause_chance:
            self._wait = int(self._rng.integers(*self._person.pause_steps, endpoint=True))
        self._driving = True
        self._notice_stuck(sight)
        intents = self.guide.intents(sight, self._bias, self._tolerance)
        return {arm: hand.move(sight, intents.get(arm), self._resting) for arm, hand in self._hands.items()}

    def _collect(self, stamp: float, done: bool) -> dict[str, DeviceInput]:
        """Classifier data: does the task, misses it, strays and stays, in turns."""
        turn, sight = self._collector.step(done), self._delayed(stamp)
        if sight is None:
            return self._release()
        if turn in (Turn.STRAY, Turn.STAY):
            self._release()
            self._driving = True
            close, open_ = self._spec.intervention.close_button, self._spec.intervention.open_button
            numbers = None
            if self._spec.grippers and close is not None and open_ is not None:
                numbers = (close, open_)
            return {arm: self._collector.device(numbers) for arm in self._hands}
        self._driving = True
        self._notice_stuck(sight)
        bias = self._bias if turn is Turn.AIM else self._collector.bias
        intents = self.guide.intents(sight, bias, self._tolerance)
        return {arm: hand.move(sight, intents.get(arm), self._resting) for arm, hand in self._hands.items()}

    def _delayed(self, stamp: float) -> SceneView | None:
        """What it consciously sees now happened a reaction time ago."""
        late = [s for s in self._seen if s.stamp <= stamp - self._reaction + 1e-6]
        return late[-1] if late else None

    def _release(self) -> dict[str, DeviceInput]:
        self._driving = False
        return {arm: hand.release() for arm, hand in self._hands.items()}

    def _wants_to_drive(self, sight: SceneView) -> bool:
        """Supervision: reacts to failure only, corrects briefly, then lets go."""
        p = self._person
        self._distances.append(self.guide.progress(sight))
        if self._left > 0:
            if self._left > 1 or not any(hand.about_to_press for hand in self._hands.values()):
                self._left -= 1
            if self._left == 0:
                self._rest = int(self._rng.integers(*p.rest_steps, endpoint=True))
                self._distances.clear()
            return True
        if self._rest > 0:
            self._rest -= 1
            return False
        recent = self._distances[-self._patience :]
        stalled = len(recent) == self._patience and recent[0] - min(recent[1:]) < p.progress
        if stalled or self.guide.strayed(sight):
            self._left = int(self._rng.integers(*p.correction_steps, endpoint=True))
            self._wait = 0
            self._bias = self._look()
            return True
        return False

    def _notice_stuck(self, sight: SceneView) -> None:
        """Pressing without getting anywhere: look again, closer each time."""
        self._resting = self.guide.resting(sight)
        self._stuck = self._stuck + 1 if self._resting else 0
        if self._stuck >= self._person.stuck_steps:
            self._stuck = 0
            self._bias = 0.3 * self._bias + 0.15 * self._look()
            self._tolerance = max(1.0, 0.7 * self._tolerance)
