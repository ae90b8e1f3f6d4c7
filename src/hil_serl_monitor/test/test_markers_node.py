# SPDX-License-Identifier: Apache-2.0
"""The node that shows a cell, as its own process over the real middleware."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Bool
from visualization_msgs.msg import Marker, MarkerArray

from hil_serl_core.testing.waiting import PATIENCE, let_pass, wait_for
from hil_serl_monitor.viewing.markers import Driver
from hil_serl_msgs.msg import ArmState, EpisodeSummary, InterventionState, RunStatus
from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_from_array
from hil_serl_tasks.finder import suite_folder

TASK_FILE = suite_folder() / "sim" / "ram_insertion.yaml"
HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])
NAMESPACE = f"/markers_{os.getpid()}"


class Peer:
    """The cell and the actor, and who looks at the markers."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("peer", context=self._context, namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.shown: dict[str, Marker] = {}
        self.node.create_subscription(MarkerArray, names.MARKERS, self._see, qos.MARKERS)
        make = self.node.create_publisher
        self.arm = make(ArmState, names.ARM_STATE, qos.ARM_STATE)
        self.target = make(PoseStamped, names.TARGET_POSE, qos.TARGET)
        self.tick = make(InterventionState, names.INTERVENTION, qos.INTERVENTION)
        self.episode = make(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self.stopped = make(Bool, names.STOPPED, qos.STOPPED)
        self.status = make(RunStatus, names.RUN_STATUS, qos.RUN_STATUS)
        self.stamp = 0

    def _see(self, message: MarkerArray) -> None:
        self.shown = {m.ns: m for m in message.markers if m.action == Marker.ADD}

    def state(self, x: float = 0.5, **fields: object) -> None:
        self.stamp += 1
        pose = HOME.copy()
        pose[0] = x
        message = ArmState(tcp_pose=pose_from_array(pose), target_pose=pose_from_array(pose), **fields)
        message.tcp_pose.position.x = x
        message.header.stamp.sec = self.stamp
        self.arm.publish(message)

    def until(self, condition, publish=lambda: None) -> None:
        wait_for(condition, "the markers", lambda: self.play(publish), self.shown.keys)

    def play(self, publish=lambda: None) -> None:
        publish()
        self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def peer():
    one = Peer()
    yield one
    one.close()


@pytest.fixture
def process():
    running = []

    def start(*parameters):
        command = [
            sys.executable,
            "-m",
            "hil_serl_monitor.markers_node",
            "--ros-args",
            "-r",
            f"__ns:={NAMESPACE}",
        ]
        command += [word for parameter in parameters for word in ("-p", parameter)]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.communicate()


def color(marker):
    return tuple(round(value, 2) for value in (marker.color.r, marker.color.g, marker.color.b))


def test_what_the_topics_say_is_shown(process, peer):
    child = process(f"task:='{TASK_FILE}'", "rate:=30")
    peer.until(lambda: "hand" in peer.shown, peer.state)
    assert color(peer.shown["hand"]) == Driver.NOBODY.color[:3]
    peer.episode.publish(EpisodeSummary(started=True, mode="train"))

    def drive(operator):
        peer.state(0.5 + 0.001 * peer.stamp)
        peer.tick.publish(InterventionState(active=operator, episode=3, step_index=7))

    peer.until(lambda: peer.shown["driver"].text.startswith("policy"), lambda: drive(False))
    peer.until(lambda: peer.shown["driver"].text == "operator\nepisode 3, step 7", lambda: drive(True))
    peer.until(lambda: len({(c.r, c.g, c.b) for c in peer.shown["tcp_trail"].colors}) == 2)
    assert "target" not in peer.shown
    target = PoseStamped(pose=pose_from_array(HOME))
    peer.until(lambda: "target" in peer.shown, lambda: peer.target.publish(target))
    peer.status.publish(RunStatus(advice=["let go"]))
    peer.until(lambda: "advice" in peer.shown)
    peer.stopped.publish(Bool(data=True))
    peer.until(lambda: color(peer.shown["hand"]) == Driver.STOPPED.color[:3])
    assert {m.header.frame_id for m in peer.shown.values()} == {"base"}
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 0


def test_a_state_that_is_no_pose_is_not_shown(process, peer):
    child = process(f"task:='{TASK_FILE}'")
    peer.until(lambda: "hand" in peer.shown, peer.state)
    last = peer.stamp
    let_pass(2.0, lambda: peer.play(lambda: peer.state(math.nan)))
    assert peer.stamp > last
    assert math.isfinite(peer.shown["hand"].pose.position.x)
    assert peer.shown["hand"].header.stamp.sec <= last
    child.send_signal(signal.SIGINT)
    assert "is no pose" in child.communicate(timeout=PATIENCE)[1]


def test_a_missing_task_file_is_named(process):
    child = process("task:='/nowhere/task.yaml'")
    assert "parameter 'task' is '/nowhere/task.yaml'" in child.communicate(timeout=PATIENCE)[1]
    assert child.returncode == 2


def test_frames_are_placed_until_somebody_else_places_them(process, peer):
    tf2_msgs = pytest.importorskip("tf2_msgs.msg")
    heard: dict[str, str] = {}

    def see(message):
        heard.update({one.child_frame_id: one.header.frame_id for one in message.transforms})

    peer.node.create_subscription(tf2_msgs.TFMessage, names.TF, see, qos.TF)
    model = peer.node.create_publisher(tf2_msgs.TFMessage, names.TF, qos.TF)
    process(f"task:='{TASK_FILE}'")
    peer.until(lambda: heard.get("tcp") == "base", peer.state)
    other = TransformStamped(child_frame_id="tcp")
    other.header.frame_id = "hand"
    other.transform.rotation.w = 1.0
    peer.until(lambda: heard["tcp"] == "hand", lambda: model.publish(tf2_msgs.TFMessage(transforms=[other])))
    let_pass(1.0, lambda: peer.play(peer.state))
    heard.clear()
    let_pass(2.0, lambda: peer.play(peer.state))
    assert "tcp" not in heard, "left to the robot model"
