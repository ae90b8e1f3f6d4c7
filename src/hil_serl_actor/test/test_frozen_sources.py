# SPDX-License-Identifier: Apache-2.0
"""Sources whose messages arrive in time and say nothing new: drivers of a camera, of an arm, a wrench nobody measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hil_serl_actor.senses.arm_health import ArmHealth
from hil_serl_actor.senses.camera_input import CameraInputs
from hil_serl_core.action import ArmCommand
from hil_serl_core.observation import ArmSample
from hil_serl_ros.images import compressed_from_array, image_from_array

NS = 10**9
POSE = np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0])


def shown(make, pictures, rate=10):
    """Health of a camera after some pictures."""
    inputs = CameraInputs(["wrist"])
    for k, grey in enumerate(pictures):
        inputs.put("wrist", make(np.full((24, 32, 3), grey, np.uint8), round(k * NS / rate), "wrist"))
    return inputs.health["wrist"]


@pytest.mark.parametrize("make", [image_from_array, compressed_from_array])
def test_a_driver_that_repeats_a_picture_is_said(make):
    assert shown(make, [7] * 25).frozen() == "", "2.4 s"
    assert "has not changed by a bit for 4 s, though its stamps are new" in shown(make, [7] * 40).frozen()
    assert shown(make, [7] * 40).problems(3.9, 10.0, 0.25) == [], "nothing else is wrong with it"
    assert shown(make, [7] * 40 + [8]).frozen() == "", "it lives again"
    assert shown(make, [k % 2 for k in range(40)]).frozen() == "", "the least noise is enough"


def test_one_picture_that_is_sent_again_and_pictures_of_a_slow_camera_are_not_frozen():
    inputs = CameraInputs(["wrist"])
    for _ in range(50):  # of one stamp
        inputs.put("wrist", image_from_array(np.zeros((24, 32, 3), np.uint8), 0, "wrist"))
    assert inputs.health["wrist"].frozen() == ""
    assert shown(image_from_array, [7] * 5, rate=1).frozen() == "", "five in 4 s are too few to tell"


def sample(stamp, noise=0.0, wrench=1.0):
    joints = np.full(7, noise)
    return ArmSample(stamp, "base", POSE, np.zeros(6), np.full(6, wrench), joints, np.zeros(7))


def asked(metres):
    pose = POSE.copy()
    pose[0] += metres
    return ArmCommand(pose=pose)


def watched(seconds, command, sees_wrench=False, noise=None, **fields):
    """Health of an arm after some seconds of states, each of which is answered by a command."""
    health = ArmHealth(sees_wrench)
    for k in range(seconds + 1):
        health.look(sample(100.0 + k, noise=0.0 if noise is None else noise[k], **fields), 1000.0 + k)
        health.commanded(command)
    return health


def test_an_arm_whose_state_does_not_live_is_said_once_it_was_asked_to_move():
    assert watched(60, asked(0.0)).problem() == "", "it holds: a modelled arm may stand still to the last bit"
    assert watched(2, asked(0.01)).problem() == ""
    problem = watched(5, asked(0.01)).problem()
    assert "its state has not changed by a bit for 5 s though it was asked to move" in problem
    assert watched(5, ArmCommand(wrench=np.array([0, 0, 5.0, 0, 0, 0]))).problem()
    turned = ArmCommand(pose=np.array([*POSE[:3], *np.array([1.0, 0.1, 0.0, 0.0]) / np.sqrt(1.01)]))
    assert watched(5, turned).problem()
    assert watched(5, asked(0.01), noise=1e-12 * np.arange(6)).problem() == "", "the last bits are enough"


def test_a_state_of_one_stamp_is_silence_and_no_frozen_arm():
    health = ArmHealth(False)
    for k in range(9):
        health.look(sample(100.0), float(k))
        health.commanded(asked(0.01))
    assert health.problem() == ""


def test_a_wrench_that_nobody_measures_is_said_where_the_policy_sees_it():
    assert watched(9, asked(0.0), wrench=0.0).problem() == ""
    assert watched(3, asked(0.0), sees_wrench=True, wrench=0.0).problem() == ""
    problem = watched(9, asked(0.0), sees_wrench=True, wrench=0.0).problem()
    assert "external_wrench has been exactly zero for 9 s, and the policy sees it" in problem
    assert watched(9, asked(0.0), sees_wrench=True, wrench=1e-9).problem() == ""
    lost = watched(9, asked(0.0), sees_wrench=True, wrench=0.0)
    lost.look(replace(sample(200.0), external_wrench=np.full(6, 0.1)), 1010.0)
    assert lost.problem() == ""
