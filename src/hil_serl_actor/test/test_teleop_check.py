# SPDX-License-Identifier: Apache-2.0
"""The self-test of the operator's devices, told what drivers would publish."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil_serl_actor.teleop.check import DeviceCheck, button_meanings
from hil_serl_actor.teleop.devices import DEVICES
from hil_serl_core.spec import load_task

WRENCH_TASK = Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "tasks" / "sim" / "object_flip.yaml"


def with_intervention(spec, **update):
    return spec.model_copy(update={"intervention": spec.intervention.model_copy(update=update)})


def check_of(spec, arm="", device="spacenav", topic="spacenav/joy"):
    return DeviceCheck(spec, DEVICES[device], topic, arm)


def hear(check, axes=(0.0,) * 6, buttons=(0, 0), count=20, period=0.05, lag=0.0):
    """Messages that end at time 0."""
    check.publishers = 1
    for k in range(count):
        now = (k - count + 1) * period
        check.hear(100.0 + now - lag, axes, buttons, now, 100.0 + now)


def test_axes_before_and_after_map_dead_band_and_scale(spec):
    task = with_intervention(spec, dead_band=0.2, axis_map=(-2, 1, 3, 4, 5, 6))
    check = check_of(task)
    hear(check, axes=(0.0, 0.6, 0.0, 0.0, 0.0, 0.0))
    x = check.axes()[0]
    assert (x.name, x.axis, x.raw) == ("x", -2, 0.6)
    assert x.action == pytest.approx(-0.5)
    assert x.command == pytest.approx(-0.5 * 1e3 * task.action.translation_scale)
    assert x.unit == "mm/step"
    assert check.arbitration.active
    hear(check, axes=(0.1,) * 6)
    assert not any(reading.action for reading in check.axes()), "all within the dead-band"
    assert not check.arbitration.active
    assert not check.problems(0.0)


def test_a_wrench_task_shows_its_components_and_the_axes_it_does_not_use():
    task = load_task(WRENCH_TASK)
    check = check_of(task)
    hear(check, axes=(1.0,) * 6)
    readings = check.axes()
    assert [r.name for r in readings[: len(task.action.wrench_axes)]] == list(task.action.wrench_axes)
    assert {r.unit for r in readings} <= {"N", "Nm", ""}
    assert sorted(abs(r.axis) for r in readings) == [1, 2, 3, 4, 5, 6]


def test_the_second_arm_has_its_own_components(handover):
    check = check_of(handover, "right", topic="right/spacenav/joy")
    hear(check, axes=(0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    assert [round(r.action, 6) for r in check.axes()] == [0, 0, 1, 0, 0, 0]


def test_buttons_say_what_they_do_in_this_task(spec, handover):
    assert button_meanings(spec) == {}, "no gripper, no labels"
    task = with_intervention(handover, stop_button=5, switch_button=2)
    meanings = button_meanings(task)
    assert (meanings[0], meanings[1]) == ("close the gripper", "open the gripper")
    assert meanings[5].startswith("STOP")
    check = check_of(task, "left")
    hear(check, buttons=(0, 1, 0))
    assert [(b.number, b.down, b.there) for b in check.buttons()] == [
        (0, False, True),
        (1, True, True),
        (2, False, True),
        (5, False, False),
    ]
    assert "has 3 buttons, counted from 0, and the task uses 5 (STOP" in check.problems(0.0)[0]


def test_rate_and_age(spec):
    check = check_of(spec)
    hear(check, count=30, period=0.02)
    assert check.rate(0.0) == pytest.approx(50.0)
    assert check.age(0.25) == pytest.approx(0.25)
    assert check.rate(10.0) == 0.0


def test_what_is_wrong_is_named_with_its_remedy(spec):
    check = check_of(spec)
    assert "nobody publishes 'spacenav/joy'" in check.problems(0.0)[0]
    check.publishers = 1
    assert "no message came yet" in check.problems(0.0)[0]
    hear(check, axes=(0.0,) * 4)
    assert "spacenav/joy carries 4 axes" in check.problems(0.0)[0]
    hear(check)
    assert check.problems(0.1) == []
    assert "no message for more than 1 s" in check.problems(1.5)[0]
    check.publishers = 0
    assert "its driver has ended" in check.problems(1.5)[0]
    late = check_of(spec)
    hear(late, lag=3.0)
    assert "its stamps are 3.0 s old" in late.problems(0.0)[0]
    slow = check_of(spec)
    hear(slow, count=3, period=0.5)
    assert "only 2.0 messages a second for a control rate of 10 Hz" in slow.problems(0.0)[0]


def test_without_the_deadman_nothing_would_move(spec):
    check = check_of(with_intervention(spec, deadman_button=1))
    hear(check, axes=(1.0,) * 6, buttons=(0, 0))
    assert not check.arbitration.active
    hear(check, axes=(1.0,) * 6, buttons=(0, 1))
    assert check.arbitration.active
