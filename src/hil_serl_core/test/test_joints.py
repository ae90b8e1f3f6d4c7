# SPDX-License-Identifier: Apache-2.0
"""Arms with another number of joints than seven: what the policy sees, the hash, the networks, what is said."""

from __future__ import annotations

import numpy as np
import pytest

from hil_serl_core.nn.observation import StateLayout
from hil_serl_core.observation import ArmSample, ObservationAssembler, ObservationError
from hil_serl_core.spec import task_from_dict, task_to_yaml


@pytest.fixture
def jointed(task_dict):
    """Task that shows joints, as a mapping."""
    task_dict["state"] = ["tcp_pose", "joint_position", "joint_velocity"]
    return task_dict


def sample(joints, **fields):
    values = {
        "tcp_pose": np.array([0.5, 0, 0.2, 1.0, 0, 0, 0]),
        "tcp_twist": np.zeros(6),
        "external_wrench": np.zeros(6),
    }
    values |= {"joint_position": np.zeros(joints), "joint_velocity": np.zeros(joints), **fields}
    return ArmSample(stamp=1.0, frame_id="base", **values)


def test_state_sizes_follow_the_number_of_joints(jointed):
    spec = task_from_dict({**jointed, "joints": 6})
    assert spec.state_sizes == {"tcp_pose": 6, "joint_position": 6, "joint_velocity": 6}
    assert StateLayout(spec).size == 18
    assert task_from_dict(jointed).state_sizes["joint_position"] == 7, "the usual arm"
    assert task_from_dict(jointed).with_joints({"": 6}).state_sizes == spec.state_sizes


def test_the_hash_tells_them_apart_and_stays_what_it_was_for_seven(jointed):
    spec, six = task_from_dict(jointed), task_from_dict({**jointed, "joints": 6})
    assert six.hash != spec.hash
    assert task_from_dict({**jointed, "joints": 7}).hash == spec.hash
    blind = task_from_dict({**jointed, "state": ["tcp_pose"]})
    assert blind.with_joints({"": 6}).hash == blind.hash, "nothing of it depends on joints"
    assert "joints: 6" in task_to_yaml(six)


def test_a_six_joint_arm_fits_its_task_and_is_not_blamed_elsewhere(jointed):
    six = ObservationAssembler(task_from_dict({**jointed, "joints": 6}))
    six.put_arm(sample(6))
    assert six.arms is not None
    with pytest.raises(ObservationError) as said:
        ObservationAssembler(task_from_dict(jointed)).put_arm(sample(6))
    assert "joint_position of 6 joints, 7 are expected" in str(said.value)
    assert "set 'joints: 6' in the robot file" in str(said.value)
    assert "check the arm driver" not in str(said.value)


def test_joints_that_are_not_finite_are_the_drivers(jointed):
    with pytest.raises(ObservationError, match=r"no valid joint_position.*check the arm driver"):
        ObservationAssembler(task_from_dict(jointed)).put_arm(sample(7, joint_position=np.full(7, np.nan)))


def test_a_missing_opening_is_the_gripper_nodes(jointed):
    spec = task_from_dict({**jointed, "state": ["tcp_pose", "gripper"]})
    with pytest.raises(ObservationError, match=r"no opening of the gripper: .*does its gripper_node run"):
        ObservationAssembler(spec).put_arm(sample(7))


def test_two_arms_may_differ(two_arms):
    content = two_arms.model_dump(mode="json")
    content["state"] = [*content["state"], "joint_position"]
    spec = task_from_dict(content)
    six = spec.with_joints({"right": 6})
    assert (six.state_sizes["left/joint_position"], six.state_sizes["right/joint_position"]) == (7, 6)
    assert six.hash != spec.hash
    assert six.with_joints({"right": 7}).hash == spec.hash
    assert (six.stated_joints("left"), six.stated_joints("right")) == (None, 6)
