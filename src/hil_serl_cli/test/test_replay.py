# SPDX-License-Identifier: Apache-2.0
"""Recorded steps played under the names of a cell, and the markers that viewers make of them."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rich.console import Console
from tool_processes import end, start
from visualization_msgs.msg import Marker, MarkerArray

from hil_serl_bringup.graph import observers
from hil_serl_cli.running import replay
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import wait_for
from hil_serl_monitor.markers_node import MarkersNode
from hil_serl_monitor.viewing.markers import Driver
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import names, qos
from hil_serl_ros.bag import BagWriter
from hil_serl_ros.conversions import step_to_message
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.testing.records import H, P, records
from hil_serl_tasks.finder import find_task_file

POSE = np.array([0.45, 0.05, 0.3, 1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def shown():
    """Markers by namespace as a viewer of the replay gets them, and who drove in the pictures so far."""
    task = find_task_file("ram_insertion", simulated=True)
    rclpy.init(args=["--ros-args", "-r", f"__ns:=/{replay.REPLAY_NAMESPACE}", "-p", f"task:={task}"])
    nodes = [MarkersNode(), rclpy.create_node("viewer", namespace=replay.REPLAY_NAMESPACE)]
    pictures: list[dict[str, Marker]] = []
    nodes[1].create_subscription(
        MarkerArray, names.MARKERS, lambda m: pictures.append({one.ns: one for one in m.markers}), qos.MARKERS
    )
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    yield executor, pictures
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_markers_show_the_recorded_arm_and_who_drove(shown):
    executor, pictures = shown
    steps = [
        type(step)(**{**vars(step), "tcp_poses": POSE[None]}) for step in records(0, [P] * 20 + [H] * 20)
    ]
    over = threading.Event()

    def play():
        while not over.is_set():  # again and again: nobody knows when the viewer has found the player
            replay.publish_steps(steps, 20.0, Console(quiet=True))

    player = threading.Thread(target=play)
    player.start()
    try:
        wanted = {Driver.POLICY.color[:3], Driver.OPERATOR.color[:3]}
        wait_for(
            lambda: wanted <= {_color(picture["hand"]) for picture in pictures if "hand" in picture},
            "both colours",
            lambda: executor.spin_once(timeout_sec=0.1),
        )
    finally:
        over.set()
        player.join()
    where = pictures[-1]["hand"].pose.position
    assert np.allclose([where.x, where.y, where.z], POSE[:3], atol=0.1), "at the hand, behind the tcp"
    assert "reference" not in pictures[-1] or pictures[-1]["reference"].action != Marker.ADD


def _color(marker):
    return tuple(round(value, 2) for value in (marker.color.r, marker.color.g, marker.color.b))


def test_rviz_of_a_replay_has_somebody_who_draws_markers(tmp_path):
    run = RunFolder.create(
        load_task(find_task_file("ram_insertion", simulated=True)), 0, "train", path=tmp_path
    )
    (run.path / "bags").mkdir()
    (run.path / "bags" / "a.mcap").touch()
    processes = {process.name: process for process in observers.replay(run.path, with_rviz=True)}
    drawn = processes["markers"]
    assert drawn.namespace == processes["rviz"].namespace == observers.REPLAY
    assert drawn.remappings == processes["rviz"].remappings, "frames apart from a running cell's"


def test_ctrl_c_is_the_way_to_end_a_replay_and_no_failure(tmp_path):
    """`ros2 launch` calls every other exit code a death."""
    run = RunFolder.create(
        load_task(find_task_file("ram_insertion", simulated=True)), 0, "train", path=tmp_path / "r"
    )
    with BagWriter(run.path / "bags" / "train" / "000") as bag:
        bag.add_topic("/step", StepMessage, qos.STEP)
        for step in records(0, [P] * 20):
            placed = type(step)(**{**vars(step), "tcp_poses": POSE[None]})
            bag.write("/step", step_to_message(placed), round(step.stamp * 1e9), step.sequence)
    process = start("replay", run.path, "--publish", "--rate", "0.05")
    try:
        assert "Publishing" in process.stdout.readline()
        time.sleep(1.0)
        for _ in range(2):  # the terminal's, and launch's
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.2)
    finally:
        text = end(process)
    assert process.returncode == 0, text
    assert "Traceback" not in text
