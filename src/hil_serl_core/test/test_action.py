# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import ActionLayout, ActionMapper, TwistMapper, nominal_pose, workspace_box
from hil_serl_core.observation import ArmSample

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
def test_target_stays_in_the_box(spec, mapper, action):
    lower, upper = workspace_box(spec.arm(""))
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


def measured(spec):
    return {
        name: ArmSample(
            0.0,
            spec.arm(name).base_frame,
            nominal_pose(spec.arm(name)),
            np.zeros(6),
            np.zeros(6),
            np.zeros(7),
            np.zeros(7),
        )
        for name in spec.arm_names
    }


def test_nine_discrete_actions_of_two_grippers(two_arms):
    layout = ActionLayout(two_arms)
    assert (layout.size, layout.continuous_size, layout.choices) == (14, 12, 9)
    # index = (g_left + 1) + 3 (g_right + 1)
    assert layout.grippers(0).tolist() == [-1, -1]
    assert layout.grippers(5).tolist() == [1, 0]
    assert [int(layout.index(layout.grippers(k))) for k in range(9)] == list(range(9))
    assert layout.join(np.zeros(12), 6)[12:].tolist() == [-1, 1]


def test_each_arm_gets_its_own_target_and_opening(two_arms):
    mapper = ActionMapper(two_arms)
    action = np.zeros(14)
    action[2], action[6], action[12] = 1.0, 1.0, -1.0
    commands = mapper.commands(action, measured(two_arms))
    assert np.allclose(commands["left"].pose[:3], [0.5, 0.0, 0.29])
    assert np.allclose(commands["right"].pose[:3], [0.51, 0.0, 0.3])
    assert (commands["left"].gripper, commands["right"].gripper) == (0.0, 1.0)
    action[12] = 0.0
    assert mapper.commands(action, measured(two_arms))["left"].gripper == 0.0, "stay holds the last opening"


def test_wrench_components_land_at_their_place(wrench_task):
    command = ActionMapper(wrench_task).commands(np.array([0.5, -1.0, 2.0]), measured(wrench_task))[""]
    assert command.wrench.tolist() == [6.5, 0.0, -12.0, 0.0, 3.5, 0.0]
    assert command.pose is None


@pytest.mark.parametrize("action", [np.zeros(7), np.full(14, np.nan)])
def test_an_action_of_another_task_is_refused(two_arms, action):
    with pytest.raises(ValueError, match="14 finite numbers"):
        ActionMapper(two_arms).commands(action, measured(two_arms))
