# SPDX-License-Identifier: Apache-2.0
"""Drawn cameras: pictures of the right size that show where the arm is."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_msgs.msg import ArmState
from hil_serl_robot.mock_scene import MockScene
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_to_message
from hil_serl_ros.images import compressed_to_array, image_to_array
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder()
DOWN = (1.0, 0.0, 0.0, 0.0)  # tool pointing down


def pose(spec, arm="", offset=(0.0, 0.0, 0.0)):
    return np.concatenate([np.asarray(spec.arm(arm).nominal_position) + offset, DOWN])


def changed(first, second):
    """(N, 2) row and column of the pixels that differ."""
    return np.argwhere((first != second).any(axis=2))


def test_a_picture_has_the_size_of_the_drivers_image():
    spec = load_task(TASKS / "ram_insertion.yaml")
    picture = MockScene(spec).draw("wrist_1", {"": pose(spec)}, {})
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8


def test_the_tool_moves_in_the_picture_as_the_arm_moves():
    spec = load_task(TASKS / "ram_insertion.yaml")
    scene = MockScene(spec)

    def middle(camera, offset):
        picture = scene.draw(camera, {"": pose(spec, offset=offset)}, {})
        return changed(scene.draw(camera, {}, {}), picture).mean(axis=0)

    here, right = middle("wrist_1", (0, 0, 0)), middle("wrist_1", (0.03, 0, 0))
    level, up = middle("wrist_2", (0, 0, 0)), middle("wrist_2", (0, 0, 0.02))
    assert right[1] > here[1] + 20
    assert up[0] < level[0] - 20


def test_fingers_show_the_opening_and_two_arms_show_both():
    spec = load_task(TASKS / "object_handover.yaml")
    scene = MockScene(spec)
    poses = {arm: pose(spec, arm) for arm in spec.arm_names}
    camera = spec.cameras[1].name
    closed = scene.draw(camera, poses, {"left": 0.0, "right": 0.0})
    opened = scene.draw(camera, poses, {"left": 1.0, "right": 0.0})
    assert len(changed(closed, opened))
    assert len(changed(scene.draw(camera, {}, {}), scene.draw(camera, {"right": poses["right"]}, {})))


def test_the_goal_of_the_pose_reward_is_marked():
    spec = load_task(TASKS / "ram_insertion.yaml")
    bare = spec.model_copy(update={"reward": spec.reward.model_copy(update={"pose": None})})
    assert len(changed(MockScene(spec).draw("wrist_2", {}, {}), MockScene(bare).draw("wrist_2", {}, {})))


def arm_state(spec, position):
    sample = ArmSample(
        stamp=time.time(),
        frame_id=spec.base_frame,
        tcp_pose=np.concatenate([position, DOWN]),
        tcp_twist=np.zeros(6),
        external_wrench=np.zeros(6),
        joint_position=np.zeros(7),
        joint_velocity=np.zeros(7),
        gripper=math.nan,
    )
    return arm_state_to_message(sample, tcp_frame=spec.tcp_frame, target_pose=sample.tcp_pose)


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("listener")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def flickers(picture, expected):
    """Whether a picture is the one drawn, but for the light's flicker of two grey levels."""
    return picture.shape == expected.shape and np.abs(picture.astype(int) - expected).max() <= 2


def test_the_node_publishes_what_it_hears(node):
    task = TASKS / "ram_insertion.yaml"
    spec = load_task(task)
    arguments = ["-p", f"task:={task}", "-p", "compressed:=[wrist_1]", "-p", "fps:=10.0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hil_serl_robot.mock_cameras", "--ros-args", *arguments]
    )
    pictures, jpegs, expected = [], [], MockScene(spec).draw("wrist_2", {"": pose(spec)}, {})
    try:
        node.create_subscription(Image, names.camera_image("wrist_2"), pictures.append, qos.CAMERA)
        topic = names.camera_compressed("wrist_1")
        node.create_subscription(CompressedImage, topic, jpegs.append, qos.CAMERA)
        states = node.create_publisher(ArmState, names.ARM_STATE, qos.ARM_STATE)

        def play():
            rclpy.spin_once(node, timeout_sec=0.05)
            states.publish(arm_state(spec, spec.reset.nominal_position))

        def seen():
            drawn = jpegs and pictures and flickers(image_to_array(pictures[-1], "a"), expected)
            return drawn and len({bytes(picture.data) for picture in jpegs}) > 2

        wait_for(seen, "the pictures of an arm that rests", play)
        assert (pictures[-1].width, pictures[-1].height) == (640, 480)
        assert flickers(image_to_array(pictures[-1], "b"), expected)
        # Of the small ones: of raw pictures, which are sent best effort, a busy machine may lose nearly all.
        assert len({bytes(picture.data) for picture in jpegs}) > 2, "an arm that rests is no frozen camera"
        assert compressed_to_array(jpegs[-1], "c").shape == (480, 640, 3)
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
