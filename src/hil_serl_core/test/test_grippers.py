# SPDX-License-Identifier: Apache-2.0
"""A hand that obeys late is not one that something else has opened."""

from __future__ import annotations

import numpy as np
import pytest

from hil_serl_core.grippers import GripperStates
from hil_serl_core.spec import task_from_dict
from hil_serl_core.testing.hands import Bench


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
