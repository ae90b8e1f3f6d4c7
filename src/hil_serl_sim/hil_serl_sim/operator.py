# SPDX-License-Identifier: Apache-2.0
"""Scripted operator: a person at a SpaceMouse, as seen from the outside. No ROS.

It sees the scene late (reaction time) and slightly wrong (a bias per episode, as a person judges depth and
angle imperfectly), moves its hand with limited acceleration and a tremor, pauses to look, and feels around
when the part rests on something. It never sees what the policy thinks, only what the arm does.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.twin import Guide


class OperatorMode(Enum):
    """What the operator has been asked to do."""

    OFF = "off"
    DEMONSTRATE = "demonstrate"  # drive the whole episode
    SUPERVISE = "supervise"  # watch, and step in only when the policy stalls or strays


@dataclass(frozen=True)
class Person:
    """How the operator perceives and moves. Pairs are ranges that an episode draws from."""

    reaction: tuple[float, float] = (0.2, 0.3)  # [s] from seeing to moving
    bias_position: float = 0.0004  # [m] standard deviation of the goal's perceived place, cut at 1 mm
    bias_rotation: float = 0.006  # [rad]
    speed: tuple[float, float] = (0.6, 0.95)  # largest deflection of the device
    gain: tuple[float, float] = (0.6, 0.9)  # share of the perceived error asked for in a step
    foresight: tuple[float, float] = (
        0.45,
        0.62,
    )  # share of a command that it believes moves the arm, before it sees that
    hand_rate: float = 0.35  # change of deflection per step
    tremor: float = 0.035  # standard deviation of the deflection, correlated in time
    pause_chance: float = 0.02  # per step
    pause_steps: tuple[int, int] = (2, 4)
    start_steps: tuple[int, int] = (0, 2)  # looks before it moves
    tolerance: tuple[float, float] = (1.5, 2.5)  # times the guide's own, before it pushes
    press: tuple[float, float] = (
        0.15,
        0.35,
    )  # deflection along the tool's z while the part rests on something
    search: tuple[float, float] = (0.1, 0.18)  # deflection of the wobble with which it feels for the opening
    least_touch: float = 0.1  # a smaller wish is made with a tap of this deflection
    stuck_steps: int = 2  # of resting, until it looks again
    patience_steps: tuple[int, int] = (9, 14)  # without progress, until it steps in
    progress: float = 0.004  # [m] that counts as progress over that time
    correction_steps: tuple[int, int] = (5, 12)
    rest_steps: tuple[int, int] = (6, 10)  # after a correction it leaves the policy alone


@dataclass(frozen=True)
class DeviceInput:
    """What a 6-axis device reports: (6,) axes in [-1, 1], tcp frame, and the left and right button."""

    axes: np.ndarray
    buttons: tuple[int, int] = (0, 0)


HAND_OFF = DeviceInput(np.zeros(6))


@dataclass(frozen=True)
class _Sight:
    stamp: float
    tcp_pose: np.ndarray
    poses: Mapping[str, np.ndarray]


class ScriptedOperator:
    """Call :meth:`act` once per tick. Deterministic by seed and by what it sees.

    Args:
        spec: for the action scale and the control period.
        guide: how the task is done.
        seed: of all its randomness.
        person: perception and motion.
    """

    def __init__(self, spec: TaskSpec, guide: Guide, seed: int = 0, person: Person | None = None):
        self._spec, self._guide, self._seed = spec, guide, seed
        self._person = person or Person()
        self._scale = np.repeat([spec.action.translation_scale, spec.action.rotation_scale], 3)
        self.mode = OperatorMode.OFF
        self._resets: int | None = None
        self._answer: tuple[float, DeviceInput] | None = None
        self._begin(0)

    @property
    def driving(self) -> bool:
        """The hand is on the device."""
        return self._driving

    def act(
        self,
        stamp: float,
        resets: int,
        tcp_pose: np.ndarray,
        poses: Mapping[str, np.ndarray],
        done: bool = False,
    ) -> DeviceInput:
        """What the device reports at one tick. Asked again for the same stamp, it gives the same answer.

        Args:
            stamp: time of the tick [s].
            resets: number of resets of the cell so far; a change begins a new episode.
            tcp_pose: (7,) tcp, base frame.
            poses: objects, base frame.
            done: the task is solved or failed: hand off.
        """
        if self._answer is not None and self._answer[0] == stamp and resets == self._resets:
            return self._answer[1]
        if resets != self._resets:
            self._resets = resets
            self._begin(resets)
        self._seen.append(_Sight(stamp, tcp_pose, poses))
        answer = HAND_OFF if done else self._decide(stamp)
        self._given.append((stamp, answer.axes))
        self._answer = (stamp, answer)
        return answer

    def _begin(self, resets: int) -> None:
        """New episode: draw what differs from episode to episode."""
        p = self._person
        self._rng = rng = np.random.default_rng((self._seed, resets))
        self._reaction = rng.uniform(*p.reaction)
        self._speed, self._gain, self._tolerance = (
            rng.uniform(*p.speed),
            rng.uniform(*p.gain),
            rng.uniform(*p.tolerance),
        )
        self._foresight, self._press, self._search = (
            rng.uniform(*p.foresight),
            rng.uniform(*p.press),
            rng.uniform(*p.search),
        )
        self._phase, self._turning = (
            rng.uniform(0.0, 2.0 * np.pi),
            rng.uniform(0.7, 1.1) * rng.choice([-1.0, 1.0]),
        )
        self._bias = self._look()
        self._wait = int(rng.integers(*p.start_steps, endpoint=True))
        self._patience = int(rng.integers(*p.patience_steps, endpoint=True))
        self._hand, self._tremor = np.zeros(6), np.zeros(6)
        self._seen: deque[_Sight] = deque(maxlen=64)
        self._given: deque[tuple[float, np.ndarray]] = deque(maxlen=64)
        self._distances: list[float] = []
        self._driving = False
        self._left = 0  # steps of the present correction still to come
        self._rest = 0
        self._stuck, self._resting = 0, False

    def _look(self) -> np.ndarray:
        """Perception error of one careful look, (6,) m and rad."""
        p, draw = self._person, self._rng.standard_normal(6)
        bias = np.concatenate([np.clip(p.bias_position * draw[:3], -1e-3, 1e-3), p.bias_rotation * draw[3:]])
        bias[2] = bias[3] = bias[4] = 0.0  # height and tilt show in contact
        return bias

    def _decide(self, stamp: float) -> DeviceInput:
        sight = self._delayed(stamp)
        if sight is None or self.mode is OperatorMode.OFF:
            return self._release()
        if self.mode is OperatorMode.SUPERVISE and not self._wants_to_drive(sight):
            return self._release()
        if self._wait > 0:  # looks, hand still
            self._wait -= 1
            return self._release()
        if self.mode is OperatorMode.DEMONSTRATE and self._rng.random() < self._person.pause_chance:
            self._wait = int(self._rng.integers(*self._person.pause_steps, endpoint=True))
        self._driving = True
        self._notice_stuck(sight)
        return DeviceInput(self._move(sight))

    def _delayed(self, stamp: float) -> _Sight | None:
        """What it consciously sees now happened a reaction time ago."""
        late = [s for s in self._seen if s.stamp <= stamp - self._reaction + 1e-6]
        return late[-1] if late else None

    def _release(self) -> DeviceInput:
        self._driving = False
        self._hand = np.zeros(6)
        return HAND_OFF

    def _wants_to_drive(self, sight: _Sight) -> bool:
        """Supervision: reacts to failure only, corrects briefly, then lets go."""
        p = self._person
        self._distances.append(self._guide.progress(sight.tcp_pose, sight.poses))
        if self._left > 0:
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
        if stalled or self._guide.strayed(sight.tcp_pose, sight.poses):
            self._left = int(self._rng.integers(*p.correction_steps, endpoint=True))
            self._wait = 0
            self._bias = self._look()
            return True
        return False

    def _notice_stuck(self, sight: _Sight) -> None:
        """Pressing without getting anywhere: look again, closer each time."""
        self._resting = self._guide.resting(sight.poses)
        self._stuck = self._stuck + 1 if self._resting else 0
        if self._stuck >= self._person.stuck_steps:
            self._stuck = 0
            self._bias = 0.3 * self._bias + 0.15 * self._look()
            self._tolerance = max(1.0, 0.7 * self._tolerance)

    def _move(self, sight: _Sight) -> np.ndarray:
        """Deflection towards the waypoint: proportional, limited in speed and acceleration, with tremor."""
        p = self._person
        waypoint = self._guide.waypoint(sight.tcp_pose, sight.poses, self._bias, self._tolerance)
        step = geometry.relative(sight.tcp_pose, waypoint)
        error = np.concatenate([step[:3], Rotation.from_quat(step[3:]).as_rotvec()]) / self._scale
        under_way = sum((axes for stamp, axes in self._given if stamp >= sight.stamp - 1e-6), np.zeros(6))
        wanted = self._gain * (error - self._foresight * under_way)
        for part in (slice(0, 3), slice(3, 6)):
            wanted[part] *= min(1.0, self._speed / max(1e-9, float(np.max(np.abs(wanted[part])))))
        largest = float(np.max(np.abs(wanted)))
        if 0.2 * p.least_touch < largest < p.least_touch:
            wanted *= p.least_touch / largest
        if self._resting:
            self._phase += self._turning
            wanted[2] = self._press  # keeps in touch, and slides
            wanted[:2] += self._search * np.array([np.cos(self._phase), np.sin(self._phase)])
            wanted[5] += 0.5 * self._search * np.sin(0.7 * self._phase)
        self._hand = self._hand + np.clip(wanted - self._hand, -p.hand_rate, p.hand_rate)
        self._tremor = 0.6 * self._tremor + 0.8 * p.tremor * self._rng.standard_normal(6)
        return np.clip(self._hand + self._tremor, -1.0, 1.0)
