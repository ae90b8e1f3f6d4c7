# SPDX-License-Identifier: Apache-2.0
"""Camera inputs without ROS topics: what is decoded when, how health is judged, which exposure is locked."""

from __future__ import annotations

import array
import math

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from hil_serl_actor.senses.camera_health import CameraHealth
from hil_serl_actor.senses.camera_input import CameraInputs
from hil_serl_actor.senses.exposure import automatic_controls
from hil_serl_ros.images import compressed_from_array, image_from_array

NS = 10**9


def grey(value):
    return np.full((24, 32, 3), value, np.uint8)


@pytest.fixture
def taken():
    """What was used and what was complained about: ``taken(inputs)`` decodes and returns both."""

    def decode(inputs):
        used, warned = [], []
        inputs.decode(
            lambda camera, stamp, pixels: used.append((camera, stamp, int(pixels.mean()))), warned.append
        )
        return used, warned

    return decode


@pytest.mark.parametrize("make", [image_from_array, compressed_from_array])
def test_only_the_newest_picture_is_decoded_and_only_once(taken, make, monkeypatch):
    import hil_serl_actor.senses.camera_input as module

    decoded = []
    original = module.to_array
    monkeypatch.setattr(module, "to_array", lambda m, c: decoded.append(c) or original(m, c))
    inputs = CameraInputs(["a", "b"])
    for k in range(5):
        inputs.put("a", make(grey(10 * k), k * NS, "a"))
    inputs.put("b", make(grey(200), 7 * NS, "b"))
    used, warned = taken(inputs)
    assert sorted(used) == [("a", 4.0, 40), ("b", 7.0, 200)]
    assert not warned
    assert taken(inputs) == ([], [])
    assert sorted(decoded) == ["a", "b"]
    assert inputs.health["a"].received == 5
    inputs.close()


def test_a_bad_picture_does_not_hide_the_others_and_is_cured_by_a_good_one(taken):
    inputs = CameraInputs(["a", "b", "c"])
    broken = compressed_from_array(grey(9), NS, "b")
    broken.data = broken.data[:100]
    inputs.put("a", compressed_from_array(grey(5), NS, "a"))
    inputs.put("b", broken)
    inputs.put("c", CompressedImage(data=array.array("B")))
    used, warned = taken(inputs)
    assert [camera for camera, _, _ in used] == ["a"]
    assert len(warned) == 2
    assert "camera 'b'" in warned[0]
    assert inputs.health["b"].bad == 1
    assert "camera 'b'" in inputs.health["b"].problem
    inputs.put("b", compressed_from_array(grey(9), 2 * NS, "b"))
    assert taken(inputs)[0] == [("b", 2.0, 9)]
    assert inputs.health["b"].problem == ""
    inputs.close()


def test_a_jpeg_without_half_of_its_data_is_left_out_and_named_although_it_has_an_end(taken):
    whole = compressed_from_array(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), NS, "a")
    whole.data = whole.data[: (len(whole.data) + 600) // 2] + array.array("B", b"\xff\xd9")
    inputs = CameraInputs(["a"])
    inputs.put("a", whole)
    used, warned = taken(inputs)
    assert used == []
    assert "camera 'a'" in warned[0]
    assert "Corrupt JPEG data" in inputs.health["a"].problem
    inputs.close()


def test_a_picture_that_the_task_refuses_is_bad_too():
    inputs, warned = CameraInputs(["a"]), []
    inputs.put("a", image_from_array(grey(5), NS, "a"))

    def refuse(camera, stamp, pixels):
        raise ValueError("wrong size")

    inputs.decode(refuse, warned.append)
    assert warned == ["wrong size"]
    assert inputs.health["a"].problem == "wrong size"


# --------------------------------------------------------------------- health


def played(rate, latency, seconds=3.0):
    health = CameraHealth("a")
    for stamp in np.arange(0.0, seconds, 1 / rate):
        health.arrived(stamp, latency)
    health.accepted()
    return health


def test_a_good_camera_has_no_problem():
    health = played(30.0, 0.02)
    assert health.rate == pytest.approx(30.0)
    assert health.latency == pytest.approx(0.02)
    assert health.longest_gap == pytest.approx(1 / 30)
    assert not health.problems(3.0, 10.0, 0.25)


@pytest.mark.parametrize(
    ("rate", "latency", "now", "says"),
    [
        (30.0, 0.02, 3.4, "0.43 s old"),
        (30.0, 0.02, 2.0, "in the future; synchronise the clocks"),
        (30.0, 0.2, 3.0, "arrive 0.20 s after their stamp"),
        (5.0, 0.02, 2.85, "5.0 pictures/s, the control loop uses 10"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(rate, latency, now, says):
    assert says in "; ".join(played(rate, latency).problems(now, 10.0, 0.25))


def test_a_silent_camera_and_a_clock_that_was_set_back():
    health = CameraHealth("a")
    assert "no picture yet" in health.problems(0.0, 10.0, 0.25)[0]
    assert math.isnan(health.rate)
    assert health.age(5.0) == math.inf
    for stamp in (100.0, 100.1, 100.2, 5.0, 5.1, 5.2):
        health.arrived(stamp)
    assert health.rate == pytest.approx(10.0)
    assert health.age(5.3) == pytest.approx(0.1)


# ------------------------------------------------------------------- exposure


@pytest.mark.parametrize(
    ("parameters", "automatic"),
    [
        (
            {"rgb_camera.enable_auto_exposure": True, "rgb_camera.enable_auto_white_balance": False},
            ["exposure"],
        ),
        ({"rgb_camera.enable_auto_exposure": False, "depth_module.enable_auto_exposure": True}, []),
        ({"depth_module.enable_auto_exposure": True}, ["exposure"]),  # a D405
        (
            {"autoexposure": True, "auto_white_balance": True, "autofocus": True},
            ["exposure", "white balance", "focus"],
        ),
        ({"autoexposure": False, "auto_white_balance": False, "autofocus": False}, []),
        ({"auto_exposure": 3, "white_balance_automatic": True}, ["exposure", "white balance"]),
        ({"auto_exposure": 1, "exposure_time_absolute": 157, "white_balance_automatic": False}, []),
        ({"exposure_auto": 1, "white_balance_temperature_auto": False}, []),
        ({"video_device": "/dev/video0", "use_sim_time": True}, []),
    ],
)
def test_automatic_controls_of_the_drivers_we_know(parameters, automatic):
    assert [text.split(" (")[0] for text in automatic_controls(parameters)] == automatic
