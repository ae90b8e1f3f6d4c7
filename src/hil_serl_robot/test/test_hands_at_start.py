# SPDX-License-Identifier: Apache-2.0
"""A reset waits for hands that obey late."""

from __future__ import annotations

import asyncio

import pytest

from hil_serl_core.spec.action import GripperSpec
from hil_serl_robot.cell.hands_at_start import wait_for_hands

GRIPPER = GripperSpec(travel_time=5.0)


def wait(opening, gripper=GRIPPER, least=1.2, halt=lambda time: ""):
    """Waits with a hand whose opening is a function of time; returns when it ended [s], and what was said."""
    time = [100.0]

    async def sleep(seconds):
        time[0] += seconds

    said = asyncio.run(
        wait_for_hands(
            gripper,
            least,
            lambda: [opening(time[0] - 100.0)],
            lambda: halt(time[0] - 100.0),
            sleep,
            lambda: time[0],
        )
    )
    return time[0] - 100.0, said


def test_a_hand_that_is_there_costs_no_more_than_a_hand_may_need_to_begin():
    waited, said = wait(lambda t: 1.0)
    assert waited == pytest.approx(1.2, abs=0.06)
    assert not said


@pytest.mark.parametrize(("dead", "stroke"), [(0.4, 0.8), (1.0, 0.8), (1.0, 4.0)])
def test_the_arm_waits_for_a_hand_that_opens_late(dead, stroke):
    waited, said = wait(lambda t: min(max((t - dead) / stroke, 0.0), 1.0))
    assert dead + 0.9 * stroke <= waited <= dead + stroke + 0.5
    assert not said


def test_a_hand_that_first_ends_what_it_was_told_before_is_not_there_though_it_is_open_at_first():
    def opening(t):  # closes from 1.0 s on, opens again from 2.8 s on
        return 1.0 if t < 1.0 else max(1.0 - (t - 1.0) / 0.8, 0.0) if t < 2.8 else min((t - 2.8) / 0.8, 1.0)

    waited, said = wait(opening)
    assert waited >= 2.8 + 0.72
    assert not said


def test_a_hand_that_closes_may_rest_at_a_part():
    waited, said = wait(lambda t: max(1.0 - max(t - 0.4, 0.0), 0.5), GripperSpec(initial="closed"))
    assert waited == pytest.approx(1.2, abs=0.06)
    assert not said


def test_a_hand_that_does_not_come_is_named_and_the_cell_goes_on():
    waited, said = wait(lambda t: 0.3)
    assert waited == pytest.approx(6.2, abs=0.1)
    assert "does not rest open 6.2 s after its command (measured opening 0.30)" in said
    assert "travel_time" in said


def test_without_a_measured_opening_nothing_can_be_waited_for():
    waited, said = wait(lambda t: float("nan"))
    assert (waited, said) == (pytest.approx(1.2, abs=0.06), "")


def test_a_stop_ends_the_wait():
    waited, said = wait(lambda t: 0.0, halt=lambda t: "stopped" if t > 0.5 else "")
    assert (waited, said) == (pytest.approx(0.55, abs=0.06), "")
