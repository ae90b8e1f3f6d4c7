# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hil_serl_teleop.devices import DEVICES, TeleopDecoder, device_of, layouts_at_rest
from hil_serl_teleop.layouts import PAD_LAYOUTS, DeviceLayout, layout_from_text, layout_to_text
from hil_serl_teleop.stuck import StuckInput


def test_spacenav_axes_pass_through():
    value = TeleopDecoder(DEVICES["spacenav"]).decode(2.5, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], [1, 0])
    assert value.axes == pytest.approx([0.1, -0.2, 0.3, -0.4, 0.5, -0.6])
    assert value.stamp == 2.5
    assert value.buttons == (True, False)


def test_gamepad_triggers_drive_z_and_rest_means_zero():
    decoder = TeleopDecoder(DEVICES["joy"])
    untouched = decoder.decode(0.0, [0.0] * 8, [])
    assert untouched.axes == pytest.approx([0] * 6)
    at_rest = decoder.decode(0.1, [0, 0, 1.0, 0, 0, 1.0, 0, 0], [])
    assert at_rest.axes == pytest.approx([0] * 6)
    left_pulled = decoder.decode(0.2, [0.5, 0.25, -1.0, 0, 0, 1.0, 0, 0], [])
    assert left_pulled.axes == pytest.approx([0.25, 0.5, 1.0, 0, 0, 0])


@pytest.mark.parametrize("axes", [[0.0] * 5, [float("nan")] * 6])
def test_a_device_that_does_not_fit_is_named(axes):
    with pytest.raises(ValueError, match="spacenav/joy carries"):
        TeleopDecoder(DEVICES["spacenav"]).decode(0.0, axes, [])


BLUETOOTH_REST = [
    0.0,
    0.0,
    0.0,
    0.0,
    1.0,
    1.0,
    0.0,
    0.0,
]  # LX LY RX RY RT LT and the cross, after one touch of each
TOUCHED = [0.0, 0.0, 0.1, 0.0, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(("layout", "rest", "left_trigger"), [
    ("xbox", [0, 0, 1, 0, 0, 1, 0, 0], [0, 0, -1, 0, 0, 1, 0, 0]),
    ("xbox_bluetooth", BLUETOOTH_REST, [0, 0, 0, 0, 1, -1, 0, 0]),
    ("game_controller", [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, -1, 0]),
])  # fmt: skip
def test_known_pads_are_still_at_rest_and_lift_by_the_left_trigger(layout, rest, left_trigger):
    decoder = TeleopDecoder(device_of("joy", layout))
    assert decoder.decode(0.0, [0.0] * 8, ()).axes == pytest.approx([0] * 6), (
        "joy_node before the first touch"
    )
    assert decoder.decode(0.0, rest, ()).axes == pytest.approx([0] * 6)
    assert decoder.decode(0.0, left_trigger, ()).axes == pytest.approx([0, 0, 1, 0, 0, 0])
    sticks = [0.5, 0.25, *rest[2:]]
    assert decoder.decode(0.0, sticks, ()).axes == pytest.approx([0.25, 0.5, 0, 0, 0, 0])


def test_a_layout_of_ones_own_is_written_out_and_travels_as_text():
    own = DeviceLayout(axes={"x": -2, "z": [3, -4], "yaw": 5}, triggers=(3, 4))
    assert layout_from_text(layout_to_text(own)) == own
    assert layout_from_text(layout_to_text("xbox")) == PAD_LAYOUTS["xbox"]
    assert layout_to_text(None) == ""
    decoder = TeleopDecoder(device_of("joy", layout_to_text(own)))
    assert decoder.decode(0.0, [0.0, 0.5, -1.0, 1.0, 0.3], ()).axes == pytest.approx([-0.5, 0, 1, 0, 0, 0.3])
    assert own.reach == {("x", 1), ("x", -1), ("z", 1), ("z", -1), ("yaw", 1), ("yaw", -1)}
    assert DeviceLayout(axes={"z": 3}, triggers=(3,)).reach == {("z", 1)}, "one trigger moves one way"


@pytest.mark.parametrize(("text", "problem"), [
    ("xbox_blutooth", "did you mean 'xbox_bluetooth'"),
    ('{"axes": {"x": 0}}', "0 is no Joy axis: they are counted from 1"),
    ('{"axes": {"x": 1}, "triggers": [-3]}', "-3 is no Joy axis"),
    ('{"axes": {"x": 1}, "triggers": [3]}', "triggers names axis 3, which no axis of the device uses"),
    ('{"axes": {}}', "moves nothing"),
    ('{"axes": {"up": 1}}', "cannot be used"),
])  # fmt: skip
def test_a_layout_that_cannot_be_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        layout_from_text(text)


def test_a_pad_that_is_at_rest_by_another_layout_is_recognised():
    assert layouts_at_rest(TOUCHED) == []
    assert layouts_at_rest([0, 0, 1, 0, 0, 1, 0, 0]) == ["xbox"]
    assert layouts_at_rest(BLUETOOTH_REST) == ["xbox_bluetooth"], (
        "two triggers that cancel each other are no rest"
    )


# ------------------------------------------------- input that no hand gives


def watched(spec, raw, seconds, device=DEVICES["joy"], buttons=(0, 0), rate=20, change=None):
    """A device that has sent the same for some seconds; ``change``: what axes it sends at a time instead."""
    decoder, stuck = TeleopDecoder(device), StuckInput(spec, device)
    decoder.decode(0.0, TOUCHED, buttons)
    for k in range(round(seconds * rate)):
        axes = raw if change is None else change(k / rate)
        stuck.look(decoder.decode(k / rate, axes, buttons), axes, k / rate)
    return stuck


def test_a_pad_of_another_layout_that_drives_at_rest_is_said(spec):
    assert watched(spec, BLUETOOTH_REST, 2.0).problem() == ""
    problem = watched(spec, BLUETOOTH_REST, 4.0).problem()
    assert "at rest, the decoded motion is not zero: z +0.50, pitch +1.00" in problem
    assert "another layout (it looks like xbox_bluetooth)" in problem
    right = device_of("joy", "xbox_bluetooth")
    assert watched(spec, BLUETOOTH_REST, 60.0, right).problem() == ""


def test_it_is_said_also_while_a_hand_moves_another_axis(spec):
    moved = watched(spec, None, 4.0, change=lambda t: [0.3 * t / 4, *BLUETOOTH_REST[1:]])
    assert set(moved.axes()) == {"z", "pitch"}


def test_a_trembling_hand_and_keys_that_are_held_are_no_fault(spec):
    rng = np.random.default_rng(0)
    hand = watched(
        spec, None, 20.0, DEVICES["spacenav"], change=lambda t: [0.5 + 0.01 * rng.random(), 0, 0, 0, 0, 0]
    )
    assert hand.problem() == ""
    assert watched(spec, [0.5, 0, 0, 0, 0, 0, 0, 0], 20.0, DEVICES["keyboard"]).problem() == ""


def test_a_deadman_that_is_held_by_nobody_is_said(spec):
    held = spec.model_copy(
        update={"intervention": spec.intervention.model_copy(update={"deadman_button": 1})}
    )
    dead = [0.0] * 6
    assert watched(held, dead, 5.0, DEVICES["spacenav"], (0, 1)).problem() == ""
    assert "the deadman is down, and no bit of the input has changed" in (
        watched(held, dead, 7.0, DEVICES["spacenav"], (0, 1)).problem()
    )
    assert watched(held, dead, 7.0, DEVICES["spacenav"], (0, 0)).problem() == "", (
        "at rest nothing needs to change"
    )
