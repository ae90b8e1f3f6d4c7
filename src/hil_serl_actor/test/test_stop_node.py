# SPDX-License-Identifier: Apache-2.0
"""The actor node's stop over topics and services, against a cell played by the test (no simulator)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hil_serl_actor.actor_node import ActorNode
from hil_serl_core.action import nominal_pose
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import load_task
from hil_serl_msgs.msg import ArmState, EpisodeSummary
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_to_message
from hil_serl_ros.geometry_messages import pose_to_array
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns, stamp_from_seconds

RAM = Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "tasks" / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 1000.0    # a busy machine is not what is tested here
reward: {{kind: operator}}
"""


class Cell:
    """A cell that answers resets at once, whose arm stands still, and that keeps what it hears."""

    def __init__(self, spec, pose):
        self.spec, self.pose, self.resets = spec, pose, 0
        self.node = rclpy.create_node("played_cell", use_global_arguments=False)
        self.arm = self.node.create_publisher(ArmState, names.ARM_STATE, qos.ARM_STATE)
        self.cameras = {
            camera: self.node.create_publisher(Image, names.camera_image(camera.name), qos.CAMERA)
            for camera in spec.cameras
        }
        self.node.create_service(ResetEpisode, names.RESET_EPISODE, self._on_reset)
        self.targets, self.episodes, self.stopped, self.diagnostics = [], [], [], []
        for kind, name, profile, heard in (
            (PoseStamped, names.TARGET_POSE, qos.TARGET, self.targets),
            (EpisodeSummary, names.EPISODE, qos.EPISODE, self.episodes),
            (DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS, self.diagnostics),
        ):
            self.node.create_subscription(kind, name, heard.append, profile)

    @property
    def now(self):
        return self.node.get_clock().now().nanoseconds * 1e-9

    def _on_reset(self, request, response):
        self.resets += 1
        response.success, response.stamp = True, stamp_from_seconds(self.now)
        return response

    def publish(self):
        """One state of arm and cameras."""
        zeros, joints = np.zeros(6), np.zeros(7)
        sample = ArmSample(self.now, self.spec.base_frame, self.pose, zeros, zeros, joints, joints, 1.0)
        self.arm.publish(arm_state_to_message(sample, tcp_frame=self.spec.tcp_frame, target_pose=self.pose))
        for camera, publisher in self.cameras.items():
            pixels = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
            publisher.publish(image_from_array(pixels, seconds_to_ns(self.now), camera.name))


@pytest.fixture
def cell(tmp_path):
    """Actor and cell in one executor; ``cell.spin_until`` plays on until something holds."""
    task = tmp_path / "task.yaml"
    task.write_text(TASK.format(base=RAM))
    spec = load_task(task)
    parameters = {"task": task, "run_dir": tmp_path / "run", "mode": "record_demos"}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *arguments])
    executor, actor = SingleThreadedExecutor(), ActorNode()
    played = Cell(spec, nominal_pose(spec.arm("")))
    for node in (actor, played.node):
        executor.add_node(node)

    def spin_until(condition, what, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            played.publish()
            executor.spin_once(timeout_sec=0.05)

    def call(name):
        client = played.node.create_client(Trigger, name)
        future = client.call_async(Trigger.Request())
        spin_until(future.done, name)
        return future.result()

    played.spin_until, played.call = spin_until, call
    yield played
    executor.shutdown()
    for node in (actor, played.node):
        node.destroy_node()
    rclpy.try_shutdown()


def test_stop_and_clear_over_services(cell):
    cell.spin_until(lambda: len(cell.targets) > 3, "targets of an episode")
    reply = cell.call(names.STOP)
    assert reply.success
    assert "the service stop" in reply.message
    assert "clear_stop" in reply.message
    # Who listens only now hears it too.
    cell.node.create_subscription(Bool, names.STOPPED, lambda m: cell.stopped.append(m.data), qos.STOPPED)
    cell.spin_until(lambda: cell.stopped == [True], "the latched state")
    cell.spin_until(lambda: any(not e.started for e in cell.episodes), "the end of the episode")
    ended = next(e for e in cell.episodes if not e.started)
    assert (ended.success, ended.truncated, ended.aborted) == (False, True, True)
    assert ended.reason == "stopped: the service stop"
    statuses = [status for array in cell.diagnostics for status in array.status]
    told = [status for status in statuses if status.level == b"\x02"]
    assert told, "an error in /diagnostics"
    assert "the service stop" in told[-1].message

    resets, held = cell.resets, len(cell.targets)
    cell.spin_until(lambda: len(cell.targets) > held + 5, "the hold, again and again")
    assert all(np.allclose(pose_to_array(m.pose), cell.pose) for m in cell.targets[held:])
    assert cell.resets == resets

    assert cell.call(names.STOP).success, "a second one changes nothing"
    assert cell.call(names.CLEAR_STOP).success
    cell.spin_until(lambda: cell.stopped[-1] is False, "the cleared state")
    cell.spin_until(lambda: cell.resets > resets, "the next reset")
    refused = cell.call(names.CLEAR_STOP)
    assert not refused.success
    assert refused.message == "nothing is stopped"
