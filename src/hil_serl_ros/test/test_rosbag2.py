# SPDX-License-Identifier: Apache-2.0
"""Our bags and rosbag2's own tools, where they are installed: each reads, plays and records what the other one does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage

from hil_serl_core.step import Step
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter, read_messages, read_steps, recover_bag
from hil_serl_ros.conversions import step_from_message, step_to_message
from hil_serl_ros.images import compressed_from_array

rosbag2_py = pytest.importorskip("rosbag2_py")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("ros2") is None, reason="needs the command ros2"),
]
STEP, JPEG = "/step", "/camera/wrist_1/image_raw/compressed"


@pytest.fixture
def ours(tmp_path: Path, make_step: Callable[..., Step]) -> Path:
    """A bag of ours with twelve steps and as many pictures."""
    step = make_step(0)
    with BagWriter(tmp_path / "ours") as bag:
        bag.add_topic(STEP, StepMessage, qos.STEP)
        bag.add_topic(JPEG, CompressedImage, qos.CAMERA)
        for k in range(12):
            bag.write(STEP, step_to_message(make_step(k)), 10**9 + k * 10**8)
            picture = compressed_from_array(next(iter(step.frames.values())), k, "wrist_1")
            bag.write(JPEG, picture, 10**9 + k * 10**8)
    return tmp_path / "ours"


@pytest.fixture
def node() -> Iterator[Node]:
    rclpy.init()
    made = rclpy.create_node("listener")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


def ros2_bag(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["ros2", "bag", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def reader(folder: Path) -> rosbag2_py.SequentialReader:
    made = rosbag2_py.SequentialReader()
    made.open(
        rosbag2_py.StorageOptions(uri=str(folder), storage_id="mcap"), rosbag2_py.ConverterOptions("", "")
    )
    return made


def test_rosbag2_py_reads_our_bags(ours: Path, make_step: Callable[..., Step], same_step: Callable) -> None:
    bag = reader(ours)
    kinds = {topic.name: topic.type for topic in bag.get_all_topics_and_types()}
    assert kinds == {STEP: "hil_serl_msgs/msg/Step", JPEG: "sensor_msgs/msg/CompressedImage"}
    heard: dict[str, list[bytes]] = {STEP: [], JPEG: []}
    while bag.has_next():
        topic, data, _ = bag.read_next()
        heard[topic].append(data)
    assert [len(messages) for messages in heard.values()] == [12, 12]
    for k, data in enumerate(heard[STEP]):
        same_step(step_from_message(deserialize_message(data, StepMessage)), make_step(k))


def test_ros2_bag_info_tells_what_is_in_ours(ours: Path) -> None:
    done = ros2_bag("info", ours)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "Storage id: mcap" in words
    assert "Messages: 24" in words
    assert f"Topic: {STEP} | Type: hil_serl_msgs/msg/Step | Count: 12" in words
    assert "Duration: 1.1" in words


def test_ros2_bag_info_verbose_finds_the_index_in_ours(ours: Path) -> None:
    done = ros2_bag("info", "-v", ours)
    assert done.returncode == 0, done.stderr
    assert "Messages: 24" in " ".join(done.stdout.split())


def test_a_bag_that_a_kill_left_is_one_after_recovery(tmp_path: Path, make_step: Callable[..., Step]) -> None:
    bag = BagWriter(tmp_path / "killed")
    bag.add_topic(STEP, StepMessage, qos.STEP)
    for k in range(5):
        bag.write(STEP, step_to_message(make_step(k)), 10**9 + k)
    bag.abandon()
    recover_bag(bag.path)
    done = ros2_bag("info", tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert "Messages: 5" in " ".join(done.stdout.split())


@pytest.mark.parametrize("preset", ["", "zstd_fast", "zstd_small", "fastwrite"])
def test_we_read_what_rosbag2_py_writes(
    tmp_path: Path, make_step: Callable[..., Step], same_step: Callable, preset: str
) -> None:
    writer = rosbag2_py.SequentialWriter()
    folder = tmp_path / "theirs"
    options = rosbag2_py.StorageOptions(uri=str(folder), storage_id="mcap", storage_preset_profile=preset)
    writer.open(options, rosbag2_py.ConverterOptions("cdr", "cdr"))
    writer.create_topic(
        rosbag2_py.TopicMetadata(id=0, name=STEP, type="hil_serl_msgs/msg/Step", serialization_format="cdr")
    )
    for k in range(30):
        writer.write(STEP, serialize_message(step_to_message(make_step(k))), 10**9 + k)
    del writer  # finishes the bag
    steps = list(read_steps(folder))
    assert [step.sequence for step in steps] == list(range(30))
    same_step(steps[17], make_step(17))


def test_ros2_bag_play_plays_ours(ours: Path, node: Node) -> None:
    steps: list[StepMessage] = []
    node.create_subscription(StepMessage, STEP, steps.append, qos.STEP)
    player = subprocess.Popen(["ros2", "bag", "play", str(ours), "--delay", "8"], env=os.environ)
    try:
        wait_for(
            lambda: steps and steps[-1].sequence == 11,
            "the last step",
            lambda: rclpy.spin_once(node, timeout_sec=0.1),
            lambda: f"heard {len(steps)}",
        )
        assert player.wait(PATIENCE) == 0
    finally:
        player.kill()
        player.wait()
    # On a busy machine the first ones may be over before the two have found each other.
    assert [message.sequence for message in steps] == list(range(12 - len(steps), 12))


def test_we_read_what_ros2_bag_record_heard_of_the_topic_step(
    tmp_path: Path, node: Node, make_step: Callable[..., Step], same_step: Callable
) -> None:
    """With records that the actor sent again, as after a lost acknowledgement."""
    folder = tmp_path / "heard"
    publisher = node.create_publisher(StepMessage, STEP, qos.STEP)
    command = ["ros2", "bag", "record", "--storage", "mcap", "--output", str(folder), "--topics", STEP]
    recorder = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_for(
            publisher.get_subscription_count, "the recorder", lambda: rclpy.spin_once(node, timeout_sec=0.1)
        )
        for sequence in (0, 1, 4, 5, 2, 3, 4, 6, 7):
            publisher.publish(step_to_message(make_step(sequence)))
            time.sleep(0.05)
        assert publisher.wait_for_all_acked(Duration(seconds=PATIENCE))
        time.sleep(2.0)  # until they are in the recorder's cache, too
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(PATIENCE) == 0
    finally:
        recorder.kill()
        recorder.wait()
    assert len(list(read_messages(folder, topics={STEP}))) == 9
    steps = list(read_steps(folder))
    assert [step.sequence for step in steps] == list(range(8))
    same_step(steps[3], make_step(3))
