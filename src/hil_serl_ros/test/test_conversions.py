# SPDX-License-Identifier: Apache-2.0
import array
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from rclpy.serialization import deserialize_message, serialize_message

from hil_serl_core.observation import ArmSample
from hil_serl_core.step import Source, Step
from hil_serl_core.weights import PackedWeights
from hil_serl_msgs.msg import Frame, NamedVector
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros.conversions import (
    arm_state_from_message,
    arm_state_to_message,
    step_from_message,
    step_to_message,
    weights_from_message,
    weights_to_message,
)

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_/0123456789", min_size=1, max_size=12)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Any step a message can carry."""
    last = draw(st.booleans())
    size = draw(st.integers(1, 9))
    vector = npst.arrays(np.float32, size, elements=FLOAT32)
    image = st.integers(1, 6).flatmap(lambda n: npst.arrays(np.uint8, (n, 3, 3)))
    return Step(
        stamp=draw(st.integers(0, 10**9)) / 10,
        actor_id=draw(NAMES),
        sequence=draw(st.integers(0, 2**64 - 1)),
        episode=draw(st.integers(0, 2**64 - 1)),
        step_index=draw(st.integers(0, 2**32 - 1)),
        frames=draw(st.dictionaries(NAMES, image, max_size=3)),
        state=draw(
            st.dictionaries(NAMES, npst.arrays(np.float32, st.integers(1, 8), elements=FLOAT32), max_size=4)
        ),
        tcp_poses=draw(npst.arrays(np.float64, (draw(st.integers(1, 2)), 7), elements=st.floats(-1e3, 1e3))),
        action=None if last else draw(vector),
        policy_action=None if last or draw(st.booleans()) else draw(vector),
        source=Source.NONE if last else draw(st.sampled_from(list(Source)[1:])),
        reward=draw(FLOAT32),
        grasp_penalty=draw(FLOAT32),
        is_first=draw(st.booleans()),
        is_last=last,
        is_terminal=last and draw(st.booleans()),
        policy_version=draw(st.integers(-1, 2**63 - 1)),
        spec_hash=draw(NAMES),
    )


@settings(max_examples=60, deadline=None)
@given(step=steps())
def test_step_survives_the_wire(step: Step) -> None:
    data = serialize_message(step_to_message(step, "world"))
    message = deserialize_message(data, StepMessage)
    assert message.header.frame_id == "world"
    result = step_from_message(message)
    for name, value in vars(step).items():
        got = getattr(result, name)
        if isinstance(value, dict):
            assert list(got) == list(value)
            assert all(np.array_equal(got[k], v) and got[k].dtype == v.dtype for k, v in value.items())
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(got, value)
        else:
            assert got == value, name


def test_nan_is_carried_for_the_learner_to_judge(make_step: Callable[..., Step]) -> None:
    step = make_step(0, state={"tcp_pose": np.full(6, np.nan, np.float32)})
    assert np.isnan(step_from_message(step_to_message(step)).state["tcp_pose"]).all()


def _shorten(message: StepMessage) -> None:
    message.frames[1].data = message.frames[1].data[:-1]


def _empty(message: StepMessage) -> None:
    message.frames[0] = Frame(camera="wrist_1")


def _twin_camera(message: StepMessage) -> None:
    message.frames[1].camera = message.frames[0].camera


def _twin_part(message: StepMessage) -> None:
    message.state = [NamedVector(name="gripper"), NamedVector(name="gripper")]


def _bad_source(message: StepMessage) -> None:
    message.source = 9


def _action_on_last(message: StepMessage) -> None:
    message.is_last = True


def _no_action(message: StepMessage) -> None:
    message.action = array.array("f")


def _terminal_in_the_middle(message: StepMessage) -> None:
    message.is_terminal = True


def _odd_policy_action(message: StepMessage) -> None:
    message.policy_action = array.array("f", [0.0])


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (_shorten, r"frames\[wrist_2\]: 47 bytes"),
        (_empty, r"frames\[wrist_1\]"),
        (_twin_camera, "frames: the same camera"),
        (_twin_part, "state: the same part"),
        (_bad_source, "source: 9"),
        (_action_on_last, "action: 6 numbers"),
        (_no_action, "action: 0 numbers"),
        (_terminal_in_the_middle, "is_terminal"),
        (_odd_policy_action, "policy_action: 1 numbers"),
    ],
)
def test_message_that_contradicts_itself_names_the_field(
    damage: Callable[[StepMessage], None], field: str, make_step: Callable[..., Step]
) -> None:
    message = step_to_message(make_step(0))
    damage(message)
    with pytest.raises(ValueError, match=field):
        step_from_message(message)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"frames": {"wrist_1": np.zeros((4, 4), np.uint8)}}, r"frames\[wrist_1\]"),
        ({"frames": {"wrist_1": np.zeros((4, 4, 3), np.float32)}}, r"frames\[wrist_1\]"),
        ({"state": {"gripper": np.zeros((1, 1), np.float32)}}, r"state\[gripper\]"),
        ({"tcp_poses": np.zeros((1, 6))}, "tcp_poses"),
        ({"action": np.zeros((2, 3), np.float32)}, "action"),
        ({"sequence": -1}, "sequence: -1"),
        ({"step_index": 2**32}, "step_index"),
        ({"policy_version": -2}, "policy_version"),
        ({"stamp": float("nan")}, "stamp"),
    ],
)
def test_step_that_no_message_can_carry_names_the_field(
    change: dict, field: str, make_step: Callable[..., Step]
) -> None:
    with pytest.raises(ValueError, match=field):
        step_to_message(replace(make_step(0), **change))


@pytest.fixture
def sample() -> ArmSample:
    return ArmSample(
        stamp=2.5,
        frame_id="base",
        tcp_pose=np.array([0.1, 0.2, 0.3, 0.0, 0.0, 0.6, 0.8]),
        tcp_twist=np.arange(6.0),
        external_wrench=np.arange(6.0) * 2,
        joint_position=np.arange(7.0),
        joint_velocity=np.arange(7.0) * 3,
        gripper=0.4,
        fault=2,
        fault_text="stale target",
    )


def test_arm_state_survives(sample: ArmSample) -> None:
    target = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0])
    message = arm_state_to_message(sample, tcp_frame="tcp", target_pose=target, joint_effort=np.ones(7))
    assert message.tcp_frame == "tcp"
    assert message.target_pose.position.z == 3.0
    assert list(message.joint_effort) == [1.0] * 7
    result = arm_state_from_message(message)
    for name, value in vars(sample).items():
        np.testing.assert_array_equal(getattr(result, name), value)


def test_arm_state_of_unequal_joints_is_refused(sample: ArmSample) -> None:
    message = arm_state_to_message(
        replace(sample, joint_velocity=np.zeros(6)), tcp_frame="tcp", target_pose=sample.tcp_pose
    )
    with pytest.raises(ValueError, match="joint_velocity: 6 numbers beside 7"):
        arm_state_from_message(message)


def test_weights_keep_their_bytes() -> None:
    data = bytes(range(256)) * 4
    packed = PackedWeights(3, 150, 300, "cd", "ab", data)
    message = weights_to_message(packed)
    assert bytes(message.data) == data
    assert weights_from_message(message) == packed
    with pytest.raises(ValueError, match="data: weights version 3"):
        weights_from_message(weights_to_message(replace(packed, data=b"")))
