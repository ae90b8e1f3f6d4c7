# SPDX-License-Identifier: Apache-2.0
"""A hand that obeys late is not one that something else has opened."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hil_serl_core.action import ActionLayout, nominal_pose
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.grippers import GripperStates
from hil_serl_core.observation import ArmSample, Observation
from hil_serl_core.spec import load_task, task_from_dict

TASKS = Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "tasks"
WITH_GRIPPER = [
    file for file in sorted(TASKS.rglob("*.yaml")) if "common" not in file.parts and load_task(file).grippers
]


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


@pytest.fixture
def task(task_dict):
    task_dict["state"].append("gripper")
    task_dict["action"]["gripper"] = {"penalty": -0.02}
    return task_from_dict(task_dict)


LATE = [
    pytest.param({"dead": 0.4}, 10.0, id="a Franka hand"),
    pytest.param({"dead": 1.0}, 10.0, id="a slow Franka hand"),
    pytest.param({"dead": 0.0, "stroke": 4.0}, 10.0, id="4 s of stroke"),
    pytest.param({"dead": 1.0, "stroke": 4.0}, 10.0, id="both"),
    pytest.param({"dead": 0.15}, 20.0, id="0.15 s at 20 Hz"),
    pytest.param({"dead": 0.1}, 50.0, id="0.1 s at 50 Hz"),
    pytest.param({"dead": 0.4}, 100.0, id="100 Hz"),
    pytest.param({"dead": 0.4, "part": 0.92}, 10.0, id="a part 92 % as wide"),
    pytest.param({"dead": 0.4, "part": 0.895}, 50.0, id="a part at the limit"),
]


@pytest.mark.parametrize(("hand", "rate"), LATE)
def test_a_hand_that_obeys_late_stays_told_to_close(task, hand, rate):
    bench = Bench(task, rate, **hand)
    bench.play(0.5)
    bench.play(12.0, one=-1)
    assert set(bench.told[round(0.5 * rate) :]) == {(0.0,)}, "nobody told it to open"
    assert bench.hands[""].opening == pytest.approx(max(0.0, hand.get("part", 0.0)))
    assert bench.penalties == 1, "close at every tick is one toggle"


@pytest.mark.parametrize(("hand", "rate"), LATE)
def test_one_press_is_enough(task, hand, rate):
    """The command is given once, as by a person's button."""
    bench = Bench(task, rate, **hand)
    bench.play(1.0 / rate, one=-1)
    bench.play(12.0)
    assert set(bench.told) == {(0.0,)}
    assert bench.penalties == 1


@pytest.mark.parametrize(("hand", "rate"), LATE)
def test_a_hand_that_is_slow_to_open_is_not_closed_by_something_else(task, hand, rate):
    bench = Bench(task, rate, **hand)
    bench.play(8.0, one=-1)
    since = len(bench.told)
    bench.play(8.0, one=1)
    assert set(bench.told[since:]) == {(1.0,)}
    assert bench.penalties == 2


@pytest.mark.parametrize("queues", [False, True])
@pytest.mark.parametrize("between", [0.1, 0.5, 1.5, 3.0])
def test_an_older_command_that_is_still_under_way_is_nobody_elses(task, between, queues):
    """Open, then close: the hand may go all the way open first, wait, and only then close."""
    bench = Bench(task, dead=1.0, queues=queues)
    bench.play(4.0, one=-1)
    bench.play(between, one=1)
    since = len(bench.told)
    bench.play(10.0, one=-1)
    assert set(bench.told[since:]) == {(0.0,)}
    assert bench.hands[""].opening == 0.0
    assert bench.penalties == 3


def test_a_part_in_the_hand_survives_two_presses_that_the_hand_did_not_notice(task):
    bench = Bench(task, dead=0.4, part=0.92)
    bench.play(4.0, one=-1)
    bench.play(0.1, one=1)
    bench.play(12.0, one=-1)
    assert bench.told[-1] == (0.0,)
    assert bench.hands[""].opening == 0.92


@pytest.mark.parametrize("part", [0.0, 0.5, 0.92])
@pytest.mark.parametrize("rate", [10.0, 50.0])
def test_a_hand_that_somebody_opens_counts_as_open(task, part, rate):
    bench = Bench(task, rate, dead=0.4, part=part)
    bench.play(8.0, one=-1)
    assert bench.told[-1] == (0.0,)
    bench.hands[""].held = 1.0
    bench.play(0.2)
    assert bench.told[-1] == (0.0,), "a moment is not enough"
    bench.play(0.4)
    assert bench.told[-1] == (1.0,)
    bench.hands[""].held = None
    since = len(bench.told)
    bench.play(6.0, one=-1)
    assert set(bench.told[since:]) == {(0.0,)}, "closing it again is a decision"
    assert bench.penalties == 2


def test_a_hand_that_never_starts_counts_as_open_once_its_goal_must_have_ended(task):
    """Somebody opened it before it began to close, or it refused: its last command is not what it does."""
    bench = Bench(task)
    bench.play(1.0)
    bench.hands[""].held = 1.0
    bench.play(task.action.gripper.travel_time - 0.2, one=-1)
    assert bench.told[-1] == (0.0,)
    bench.play(1.0)
    assert bench.told[-1] == (1.0,)


def test_a_hand_that_was_closed_before_and_is_opened_later(task_dict):
    """Closed at the start of the episode, so that no tick ever saw it close."""
    task_dict["state"].append("gripper")
    task_dict["action"]["gripper"] = {"initial": "closed"}
    bench = Bench(task_from_dict(task_dict), opening=0.0)
    bench.play(12.0)
    assert set(bench.told) == {(0.0,)}
    bench.hands[""].held = 0.95
    bench.play(1.0)
    assert bench.told[-1] == (1.0,)


def test_of_two_hands_only_the_one_that_was_opened_counts_as_open(two_arms):
    bench = Bench(two_arms, dead=1.0)
    bench.play(8.0, left=-1, right=-1)
    order = two_arms.arm_names
    bench.hands["right"].held = 1.0
    bench.play(1.0, left=-1)
    assert dict(zip(order, bench.told[-1], strict=True)) == {"left": 0.0, "right": 1.0}
    assert bench.penalties == 2


def test_the_arm_whose_hand_was_opened_is_named(two_arms):
    states = GripperStates(two_arms)
    states.command(np.array([-1.0, -1.0]))
    bench, noticed = Bench(two_arms), []
    for k, opening in enumerate([1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]):
        bench.time = 0.1 * k
        bench.hands["left"].opening = opening
        noticed += states.observe(bench._observe().arms)
    assert noticed == ["left"]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_opens_nothing(task, jump):
    bench = Bench(task, dead=1.0)
    bench.play(0.5, one=-1)
    bench.time += jump
    bench.play(8.0, one=-1)
    assert set(bench.told) == {(0.0,)}
    assert bench.penalties == 1


@pytest.mark.parametrize("file", WITH_GRIPPER, ids=lambda file: "/".join(file.parts[-2:]))
def test_every_shipped_task_fits_a_franka_hand(file):
    """Up to 1 s until it starts, 0.8 s for its stroke; its node finishes one goal before the next."""
    task = load_task(file)
    gripper = task.action.gripper
    assert gripper.travel_time >= 1.8
    bench = Bench(task, task.control.frequency, dead=1.0, queues=True, opening=gripper.open_position)
    close = {arm or "one": -1 for arm in task.arm_names}
    bench.play(0.5)
    bench.play(4.0, **close)
    told = set(bench.told[round(0.5 * task.control.frequency) :])
    assert told == {(gripper.close_position,) * task.grippers}
    assert bench.penalties == task.grippers


def test_how_slow_the_hand_is_changes_no_record(task_dict):
    task_dict["state"].append("gripper")
    hashes = []
    for timing in ({}, {"travel_time": 9.0, "reopened_time": 1.0}):
        task_dict["action"]["gripper"] = {"penalty": -0.02, **timing}
        hashes.append(task_from_dict(task_dict).hash)
    assert hashes[0] == hashes[1]


def test_the_grasp_critics_least_return_is_a_penalty_at_every_step(task_dict, two_arms):
    gamma, penalty = two_arms.learner.discount, two_arms.action.gripper.penalty
    assert two_arms.return_bounds == (0.0, 1.0)
    assert two_arms.grasp_return_bounds == pytest.approx((2 * penalty / (1 - gamma), 1.0))
    assert task_from_dict(task_dict).grasp_return_bounds is None
    task_dict["action"]["gripper"], task_dict["state"] = {}, [*task_dict["state"], "gripper"]
    assert task_from_dict(task_dict).grasp_return_bounds is not None
    task_dict["reward"] = {"kind": "vice", "classifier": {"cameras": ["wrist_1"]}}
    assert task_from_dict(task_dict).grasp_return_bounds is None
