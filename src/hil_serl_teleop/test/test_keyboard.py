# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hil_serl_teleop.keyboard import BUTTONS, KEYS, SWITCH_ARM, KeyboardDevice, Verdict


def test_every_axis_has_a_key_for_both_directions():
    assert {(axis, sign) for axis, sign in KEYS.values()} == {(a, s) for a in range(6) for s in (-1.0, 1.0)}


def test_a_held_key_deflects_and_a_released_one_lets_go():
    device = KeyboardDevice(hold=0.25, first_hold=0.45)
    device.press("w", 0.0)
    assert device.axes(0.4)[0] == pytest.approx(0.5), "bridges the pause before the first repeat"
    device.press("w", 0.4)
    device.press("w", 0.43)
    assert device.axes(0.6)[0] > 0
    assert not device.axes(0.7).any()


def test_speed_opposite_keys_and_stop():
    device = KeyboardDevice()
    device.press("9", 0.0)
    device.press("a", 0.0)
    device.press("q", 0.0)
    assert device.axes(0.1).tolist() == [0, 1, 0, 0, 0, 1]
    device.press("d", 0.1)
    assert device.axes(0.2)[1] == -1
    device.press(" ", 0.2)
    assert not device.axes(0.2).any()


def test_gripper_keys_are_buttons_for_a_moment():
    device = KeyboardDevice(hold=0.25)
    device.press("c", 0.0)
    assert device.buttons(0.1) == [1, 0]
    assert device.buttons(0.3) == [0, 0]
    assert not device.axes(0.1).any()


def test_no_key_means_two_things():
    keys = [*KEYS, *BUTTONS, *(verdict.value for verdict in Verdict), SWITCH_ARM, *"123456789 "]
    assert len(set(keys)) == len(keys)


def test_a_held_key_is_the_deadman_of_a_task_that_wants_one():
    device = KeyboardDevice(hold=0.25, first_hold=0.45, deadman=3)
    assert device.buttons(0.0) == [0, 0, 0, 0]
    device.press("w", 0.0)
    assert device.buttons(0.1) == [0, 0, 0, 1]
    assert device.buttons(0.6) == [0, 0, 0, 0]
    device.press("c", 1.0)
    assert device.buttons(1.1) == [1, 0, 0, 1]
