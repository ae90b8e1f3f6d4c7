# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry

number = st.floats(-1.0, 1.0, allow_nan=False)
vector3 = st.tuples(number, number, number).map(np.array)
pose = st.builds(lambda p, r: geometry.make_pose(p, Rotation.from_rotvec(3.0 * r)), vector3, vector3)
twist = st.builds(lambda v, w: np.concatenate([v, w]), vector3, vector3)


def same(a, b, tolerance=1e-9):
    return (
        np.allclose(a[:3], b[:3], atol=tolerance)
        and (geometry.rotation_of(a).inv() * geometry.rotation_of(b)).magnitude() < tolerance
    )


@given(pose, pose)
def test_relative_is_the_pose_seen_from_the_reference(a, b):
    assert same(geometry.compose(a, geometry.relative(a, b)), b)


@given(pose)
def test_inverse(a):
    assert same(geometry.compose(a, geometry.inverse(a)), np.array([0, 0, 0, 0, 0, 0, 1.0]))


@given(pose, twist)
def test_adjoint_maps_a_body_twist_to_the_base(a, v):
    # Defining property: moving along the mapped twist in the base equals moving along the twist in the body.
    left = geometry.compose(geometry.exp(geometry.adjoint(a) @ v), a)
    assert same(left, geometry.compose(a, geometry.exp(v)))


@given(pose, pose)
def test_adjoint_is_a_homomorphism(a, b):
    assert np.allclose(
        geometry.adjoint(a) @ geometry.adjoint(b), geometry.adjoint(geometry.compose(a, b)), atol=1e-9
    )


def test_exp_of_a_quarter_turn_by_hand():
    # Turning 90 degrees about z while moving along x with the body: a quarter circle of radius 2 / pi.
    reached = geometry.exp(np.array([1.0, 0, 0, 0, 0, np.pi / 2]))
    assert np.allclose(reached[:3], [2 / np.pi, 2 / np.pi, 0])
    assert np.allclose(geometry.rotation_of(reached).as_rotvec(), [0, 0, np.pi / 2])


@given(twist.filter(lambda v: np.linalg.norm(v[3:]) > 1e-3))
def test_exp_is_continuous_towards_small_angles(v):
    tiny = v.copy()
    tiny[3:] *= 1e-7 / np.linalg.norm(v[3:])
    assert np.allclose(geometry.exp(tiny)[:3], tiny[:3], atol=1e-6)


def test_is_pose():
    assert geometry.is_pose(np.array([0, 0, 0, 0, 0, 0, 1.0]))
    assert not geometry.is_pose(np.array([0, 0, 0, 0, 0, 0, 0.5]))
    assert not geometry.is_pose(np.array([np.nan, 0, 0, 0, 0, 0, 1.0]))
    assert not geometry.is_pose(np.zeros(6))
