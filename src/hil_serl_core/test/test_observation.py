# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.observation import ArmSample, ObservationAssembler, ObservationError, ego_centric_state

number = st.floats(-1.0, 1.0, allow_nan=False)
vector3 = st.tuples(number, number, number).map(np.array)
pose = st.builds(lambda p, r: geometry.make_pose(p, Rotation.from_rotvec(2.0 * r)), vector3, vector3)


HOME = np.array([0.5, 0, 0.3, 1.0, 0, 0, 0])


def arm(pose=HOME, stamp=1.0, **changes):
    sample = ArmSample(stamp, "base", pose, np.arange(6.0), np.arange(6.0) + 10, np.zeros(7), np.zeros(7))
    return dataclasses.replace(sample, **changes)


def image(width=40, height=32):
    return np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)


@given(pose, pose, pose)
def test_state_does_not_depend_on_where_the_cell_stands(reset, now, cell):
    """The point of App. D.1: moving base, arm and target together changes nothing the policy sees."""
    turn = geometry.rotation_of(cell)

    def seen(reset_pose, sample):
        return ego_centric_state(sample, reset_pose, ("tcp_pose", "tcp_twist", "tcp_wrench"))

    here = arm(now)
    there = arm(
        geometry.compose(cell, now),
        tcp_twist=turn.apply(here.tcp_twist.reshape(2, 3)).ravel(),
        external_wrench=turn.apply(here.external_wrench.reshape(2, 3)).ravel(),
    )
    a, b = seen(reset, here), seen(geometry.compose(cell, reset), there)
    for part in a:
        if part == "tcp_pose" and np.linalg.norm(a[part][3:]) > 3.1:
            continue  # a rotation vector may flip its sign at half a turn
        assert np.allclose(a[part], b[part], atol=1e-4)


def test_state_is_zero_at_the_reset_pose():
    sample = arm()
    assert np.allclose(ego_centric_state(sample, sample.tcp_pose, ("tcp_pose",))["tcp_pose"], 0)


def test_assemble_crops_and_resizes(spec):
    assembler = ObservationAssembler(spec)
    assembler.put_arm(arm())
    assembler.put_frame("wrist_1", 1.0, image())
    assert assembler.missing(1.1) == []
    observation = assembler.assemble(1.1, {"": arm().tcp_pose})
    assert observation.frames["wrist_1"].shape == (16, 16, 3)
    # Box filter over the 2x2 block at the crop's corner.
    block = image()[0:2, 4:6].astype(float).mean(axis=(0, 1))
    assert np.allclose(observation.frames["wrist_1"][0, 0], block, atol=1)


def test_stale_and_missing_inputs_are_named(spec):
    assembler = ObservationAssembler(spec)
    assert assembler.missing(0.0) == ["arm_state (nothing received)", "camera/wrist_1 (nothing received)"]
    assembler.put_arm(arm(stamp=1.0))
    assembler.put_frame("wrist_1", 2.0, image())
    assert assembler.missing(2.0) == ["arm_state (1.00 s old, limit 0.25 s)"]
    assert assembler.missing(2.0, exact=True) == ["arm_state (stamp 1.000 s, want 2.000 s)"]


def test_wrong_image_size_names_camera_and_both_sizes(spec):
    with pytest.raises(ObservationError, match=r"camera 'wrist_1' delivers 64x48 px .* states 40x32"):
        ObservationAssembler(spec).put_frame("wrist_1", 0.0, image(64, 48))


def test_unknown_camera_is_refused(spec):
    with pytest.raises(ObservationError, match="no camera 'side'; it has wrist_1"):
        ObservationAssembler(spec).put_frame("side", 0.0, image())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_id": "world"}, "frame 'world'"),
        ({"tcp_twist": np.full(6, np.nan)}, "no valid tcp_twist"),
        ({"tcp_pose": np.zeros(7)}, "no valid tcp pose"),
        ({"external_wrench": np.array([np.inf, 0, 0, 0, 0, 0])}, "no valid tcp_wrench"),
    ],
)
def test_bad_arm_state_is_refused_and_not_kept(spec, change, message):
    assembler = ObservationAssembler(spec)
    with pytest.raises(ObservationError, match=message):
        assembler.put_arm(arm(**change))
    assert assembler.arms is None


def test_two_arms_make_one_observation_and_the_missing_one_is_named(two_arms):
    assembler = ObservationAssembler(two_arms)
    assembler.put_frame("wrist_1", 1.0, np.zeros((32, 40, 3), np.uint8))
    assembler.put_arm(arm(frame_id="left_base", gripper=0.4), "left")
    assert any("right/arm_state" in problem for problem in assembler.missing(1.0))
    with pytest.raises(ObservationError, match="right/arm_state is in frame 'left_base'"):
        assembler.put_arm(arm(frame_id="left_base", gripper=0.4), "right")
    assembler.put_arm(arm(frame_id="right_base", gripper=1.0), "right")
    assert assembler.missing(1.0) == []
    poses = {name: sample.tcp_pose for name, sample in assembler.arms.items()}
    observation = assembler.assemble(1.0, poses)
    assert list(observation.state) == list(two_arms.state_sizes)
    assert observation.state["left/gripper"] == pytest.approx(0.4)
    assert observation.tcp_poses.shape == (2, 7)
