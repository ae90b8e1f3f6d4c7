# SPDX-License-Identifier: Apache-2.0
"""A camera driver is killed in an episode and started again: the actor over real topics, one camera raw, one compressed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from played_cell import actor_and_cell

from hil_serl_ros.bag import read_steps
from hil_serl_ros.geometry_messages import pose_to_array
from hil_serl_tasks.finder import suite_folder

RAM = suite_folder() / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 3.0       # long, for a busy machine
reward: {{kind: operator}}
episode: {{max_steps: 10000}}
"""


def camera_driver():
    """Driver of ``wrist_2`` as its own process: JPEG at 20 Hz, with the parameter that usb_cam has for exposure."""
    import rclpy
    from sensor_msgs.msg import CompressedImage

    from hil_serl_ros import names, qos
    from hil_serl_ros.images import compressed_from_array

    rclpy.init()
    node = rclpy.create_node("usb_cam")
    node.declare_parameter("autoexposure", True)
    publisher = node.create_publisher(CompressedImage, names.camera_compressed("wrist_2"), qos.CAMERA)
    pixels = np.full((64, 80, 3), (200, 40, 40), np.uint8)

    def publish():
        publisher.publish(compressed_from_array(pixels, node.get_clock().now().nanoseconds, "wrist_2"))

    node.create_timer(0.05, publish)
    rclpy.spin(node)


def start_driver():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # as it imports this file
    return subprocess.Popen([sys.executable, __file__], env=environment)


def camera_lines(cell, name):
    return [s for array in cell.diagnostics for s in array.status if s.name == f"actor/camera/{name}"]


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(TASK.format(base=RAM))
    return file


def test_a_killed_camera_pauses_the_actor_until_its_driver_is_back(task, tmp_path):
    run = tmp_path / "run"
    transport = {"wrist_2.image_transport": "compressed"}
    with actor_and_cell(task, run, cameras=("wrist_1",), **transport) as cell:
        driver = start_driver()
        try:
            cell.spin_until(lambda: driver.poll() or (cell.episodes and len(cell.targets) > 5), "an episode")
            assert driver.poll() is None, "the driver has ended"
            cell.spin_until(
                lambda: any("autoexposure" in s.message for s in camera_lines(cell, "wrist_2")), "exposure"
            )
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            cell.spin_until(lambda: any(not e.started for e in cell.episodes), "the end of the episode")
            ended = next(e for e in cell.episodes if not e.started)
            assert ended.aborted
            assert ended.reason.startswith("lost camera/wrist_2 (")
            assert "wrist_1" not in ended.reason

            resets, held = cell.resets, len(cell.targets)
            cell.spin_until(lambda: len(cell.targets) > held + 20, "the hold")
            assert all(np.allclose(pose_to_array(m.pose), cell.pose) for m in cell.targets[held:])
            assert cell.resets == resets, "nothing moves without the camera"
            cell.spin_until(
                lambda: camera_lines(cell, "wrist_2")[-1].level == b"\x02", "an error in /diagnostics"
            )
            assert camera_lines(cell, "wrist_1")[-1].level == b"\x00"

            driver = start_driver()
            cell.spin_until(lambda: cell.resets > resets, "the reset once it is back")
            cell.spin_until(lambda: cell.episodes[-1].started, "the next episode")
            more = len(cell.targets)
            cell.spin_until(lambda: len(cell.targets) > more + 5, "steps of the next episode")
        finally:
            driver.kill()
            driver.wait()
    steps = list(read_steps(run / "bags"))
    assert [step.sequence for step in steps] == list(range(len(steps)))
    firsts = [k for k, step in enumerate(steps) if step.is_first]
    assert len(firsts) == 2
    assert [step.episode for step in steps] == [0] * firsts[1] + [1] * (len(steps) - firsts[1])
    assert not any(step.is_last for step in steps), (
        "what was cut off has no last record, so nothing is learnt across"
    )
    red = steps[0].frames["wrist_2"].mean(axis=(0, 1))
    assert np.abs(red - (200, 40, 40)).max() < 10


def test_a_camera_on_the_other_topic_is_found(task, tmp_path, capfd):
    """The driver publishes compressed pictures only, the actor was left at raw."""
    with actor_and_cell(task, tmp_path / "run", cameras=("wrist_1",)) as cell:
        driver = start_driver()
        told = []

        def found():
            told.append(capfd.readouterr().err)
            return "set wrist_2.image_transport to compressed" in "".join(told)

        try:
            cell.spin_until(lambda: driver.poll() or found(), "the advice")
            assert driver.poll() is None, "the driver has ended"
            assert not cell.resets
        finally:
            driver.kill()
            driver.wait()


if __name__ == "__main__":
    camera_driver()
