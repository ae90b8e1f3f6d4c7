# SPDX-License-Identifier: Apache-2.0
"""The self-test of the operator's devices, told what drivers would publish."""

from __future__ import annotations

import pytest

from hil_serl_core.spec import load_task
from hil_serl_tasks.finder import suite_folder
from hil_serl_teleop.check import DeviceCheck, button_meanings
from hil_serl_teleop.devices import DEVICES

WRENCH_TASK = suite_folder() / "sim" / "object_flip.yaml"


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
    assert check.problems(0.0) == []
    todo = check.untried()
    assert "press button 0 (close the gripper)" in todo
    assert not any("button 1 " in step for step in todo), "it was down"
    (unseen,) = (step for step in todo if "button 5" in step)
    assert "not seen yet: press it once" in unseen
    hear(check, buttons=(0, 0, 0, 0, 0, 1))
    assert not any("button 5" in step for step in check.untried()), (
        "drivers list a button when it is first pressed"
    )


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


def sweep(check, **fields):
    """Every axis to both ends."""
    for k in range(6):
        for value in (0.8, -0.8):
            hear(check, axes=tuple(value if j == k else 0.0 for j in range(6)), count=2, **fields)


def test_only_what_was_seen_to_move_is_usable(handover):
    """A driver without a device goes on sending zeros, with fresh stamps."""
    task = with_intervention(handover, stop_button=2)
    check = check_of(task, "left")
    hear(check, buttons=(0, 0, 0), count=2000, period=0.001)
    assert check.problems(0.0) == []
    assert not check.usable(0.0)
    assert "move +/-x (axis 1)" in check.untried()
    assert len(check.untried()) == 6 + 3
    sweep(check, buttons=(0, 0, 0))
    hear(check, axes=(0.1,) * 6, buttons=(1, 1, 0))
    assert check.untried() == ["press button 2 (STOP the robot until clear_stop)"]
    hear(check, buttons=(0, 0, 1))
    hear(check, buttons=(0, 0, 0))
    assert check.untried() == []
    assert check.usable(0.0)


def test_half_an_axis_is_not_an_axis_and_a_tremble_is_no_motion(spec):
    check = check_of(with_intervention(spec, axis_map=(-2, 1, 3, 4, 5, 6)))
    hear(check, axes=(0.1, 0.8, 0.0, 0.0, 0.0, 0.0))
    todo = check.untried()
    assert "move +x (axis 2)" in todo, "axis 2 is reversed"
    assert "move +/-y (axis 1)" in todo


def test_what_a_pad_does_not_have_is_not_asked_for(spec):
    check = check_of(spec, device="joy", topic="joy")
    hear(check, axes=(0.0,) * 8)
    assert not any("roll" in step for step in check.untried()), "no pad has it"
    assert any("+/-z" in step for step in check.untried()), "by its two triggers"


def test_a_pad_of_another_layout_is_named(spec):
    check = check_of(spec, device="joy", topic="joy")
    check.hear(90.0, (0.0, 0.0, 0.1, 0.0, 1.0, 1.0, 0.0, 0.0), (0, 0), -10.0, 90.0)  # the touch
    hear(check, axes=(0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0), count=60)
    (problem,) = check.problems(0.0)
    assert "at rest, the decoded motion is not zero: z +0.50, pitch +1.00" in problem
    assert "it looks like xbox_bluetooth" in problem
    assert not check.usable(0.0)


def test_a_driver_that_lists_an_axis_when_it_is_first_moved(spec):
    check = check_of(spec)
    hear(check, axes=(0.0,) * 2)
    assert "carries 2 axes so far, and 6 are used" in check.problems(0.0)[0]
    hear(check)
    assert check.problems(0.0) == []
