# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import TwistMapper

NOMINAL = geometry.make_pose(np.array([0.5, 0.0, 0.3]), Rotation.from_rotvec([np.pi, 0, 0]))
number = st.floats(-3.0, 3.0, allow_nan=False)
actions = st.tuples(*[number] * 6).map(np.array)
poses = st.builds(
    lambda p, r: geometry.make_pose(np.array(p), Rotation.from_rotvec(np.array(r))),
    st.tuples(number, number, number),
    st.tuples(number, number, number),
)


@pytest.fixture(scope="module")
def mapper(spec):
    return TwistMapper(spec)


def test_action_is_expressed_in_the_tcp_frame(mapper):
    # The tool points down: +z of the tcp is -z of the base, +y of the tcp is -y of the base.
    target = mapper.target(np.array([0, 0, 1.0, 0, 0, 0]), NOMINAL)
    assert np.allclose(target[:3], [0.5, 0.0, 0.29])
    target = mapper.target(np.array([0, 1.0, 0, 0, 0, 0]), NOMINAL)
    assert np.allclose(target[:3], [0.5, -0.01, 0.3])


def test_rotation_is_about_the_tcp(mapper):
    target = mapper.target(np.array([0, 0, 0, 0, 0, 1.0]), NOMINAL)
    assert np.allclose(target[:3], NOMINAL[:3])
    turn = geometry.rotation_of(NOMINAL).inv() * geometry.rotation_of(target)
    assert np.allclose(turn.as_rotvec(), [0, 0, 0.06])


@given(action=actions, measured=poses)
def test_target_never_jumps_wherever_the_arm_is(mapper, action, measured):
    target = mapper.target(action, measured)
    assert np.linalg.norm(target[:3] - measured[:3]) <= np.sqrt(3) * 0.01 + 1e-9
    turn = geometry.rotation_of(measured).inv() * geometry.rotation_of(target)
    assert turn.magnitude() <= np.sqrt(3) * 0.06 + 1e-6


@given(action=actions)
def test_target_stays_in_the_box(mapper, action):
    lower, upper = mapper.box
    pose = NOMINAL.copy()
    for _ in range(30):
        pose = mapper.target(action, pose)
    assert (pose[:3] >= lower - 1e-9).all()
    assert (pose[:3] <= upper + 1e-9).all()
    assert (geometry.rotation_of(NOMINAL).inv() * geometry.rotation_of(pose)).magnitude() <= 0.4 + 1e-6


def test_arm_outside_the_box_comes_back_step_by_step(mapper):
    pose = NOMINAL.copy()
    pose[0] += 0.2
    distances = []
    for _ in range(30):
        pose = mapper.target(np.zeros(6), pose)
        distances.append(pose[0] - 0.5)
    assert distances[0] == pytest.approx(0.2 - np.sqrt(3) * 0.01)
    assert distances[-1] == pytest.approx(0.05)


@pytest.mark.parametrize("action", [np.zeros(5), np.array([np.nan, 0, 0, 0, 0, 0])])
def test_malformed_actions_are_refused(mapper, action):
    with pytest.raises(ValueError, match="6 finite numbers"):
        mapper.target(action, NOMINAL)
