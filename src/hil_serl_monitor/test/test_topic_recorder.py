# SPDX-License-Identifier: Apache-2.0
"""The recorder as its own process: what is published is in the bag, finished or killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import rclpy
from std_msgs.msg import Bool

from hil_serl_core.testing.waiting import PATIENCE, pause, wait_for
from hil_serl_ros import names, qos
from hil_serl_ros.bag import read_messages, recover_bag
from hil_serl_ros.images import compressed_from_array, to_array

JPEG = "/cell/camera/wrist_1/image_raw/compressed"


@pytest.fixture
def publish():
    """Publishes a picture and, latched, a Bool until something holds; returns the picture."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("cell", context=context, namespace="cell", use_global_arguments=False)
    picture = compressed_from_array(np.full((24, 32, 3), (10, 200, 30), np.uint8), 10**9, "wrist_1")
    images = node.create_publisher(type(picture), names.camera_compressed("wrist_1"), qos.CAMERA)
    node.create_publisher(Bool, names.STOPPED, qos.STOPPED).publish(Bool(data=True))

    def until(condition):
        def play():
            images.publish(picture)
            pause()

        wait_for(condition, "the recorder", play)
        return picture

    yield until
    node.destroy_node()
    context.try_shutdown()


def record(folder, *topics):
    command = [
        sys.executable,
        "-m",
        "hil_serl_monitor.topic_recorder",
        "--ros-args",
        "-p",
        f"output:={folder}",
    ]
    return subprocess.Popen(
        [*command, "-p", f"topics:=[{','.join(topics)}]"], stderr=subprocess.PIPE, text=True
    )


def size(folder):
    return sum(file.stat().st_size for file in folder.glob("*.mcap")) if folder.exists() else 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_messages_are_in_the_bag_however_the_recorder_ends(tmp_path, publish, end):
    folder = tmp_path / "record" / "one"
    process = record(folder, JPEG, "/cell/stopped", "/cell/never")
    try:
        sent = publish(lambda: size(folder) > 12_000)
    finally:
        process.send_signal(end)
        process.communicate(timeout=PATIENCE)
    if end is signal.SIGKILL:
        assert not (folder / "metadata.yaml").exists()
        recover_bag(next(folder.glob("*.mcap")))
    assert (folder / "metadata.yaml").exists()
    messages = list(read_messages(folder))
    assert {message.topic for message in messages} == {JPEG, "/cell/stopped"}
    pictures = [message.deserialize() for message in messages if message.topic == JPEG]
    assert len(pictures) > 3
    assert all(bytes(picture.data) == bytes(sent.data) for picture in pictures)
    assert to_array(pictures[0], "wrist_1").shape == (24, 32, 3)
    stamps = [message.stamp_ns for message in messages]
    assert stamps == sorted(stamps)


def test_an_existing_folder_is_refused(tmp_path):
    process = record(tmp_path, "/a")
    _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "exists already" in complaint
