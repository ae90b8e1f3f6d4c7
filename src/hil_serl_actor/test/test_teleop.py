# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hil_serl_actor.teleop.devices import DEVICES, TeleopDecoder


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
