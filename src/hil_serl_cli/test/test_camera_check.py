# SPDX-License-Identifier: Apache-2.0
"""`hil-serl camera-check` against drivers played by the test."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rich.console import Console

from hil_serl_cli.commands.camera import CameraCheck, CameraListener
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import wait_for
from hil_serl_monitor.camera_view import CameraLine, brightness_of, render
from hil_serl_ros import names, qos
from hil_serl_ros.images import compressed_from_array, image_from_array
from hil_serl_tasks.finder import find_task_file

TASK = """
extends: {base}
observation_timeout: 5.0       # a busy machine is not what is tested here
control: {{frequency: 2.0}}
"""


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(TASK.format(base=find_task_file("ram_insertion")))
    return file


@pytest.fixture
def driver():
    """Starts a driver node: ``driver(camera, make, shape, **parameters)``; all stop at the end."""
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    nodes = []

    def start(camera, make, shape, value=120, noise=True, **parameters):
        node = rclpy.create_node(f"driver_of_{camera}", context=context, use_global_arguments=False)
        for name, default in parameters.items():
            node.declare_parameter(name, default)
        pixels = np.full((*shape, 3), value, np.uint8)
        compressed = make is compressed_from_array
        topic = names.camera_compressed(camera) if compressed else names.camera_image(camera)
        publisher = node.create_publisher(type(make(pixels, 0, camera)), topic, qos.CAMERA)
        rng = np.random.default_rng(0)

        def publish():
            if noise:  # no sensor shows the same twice
                pixels[0, 0] = rng.integers(0, 256, 3)
            publisher.publish(make(pixels, node.get_clock().now().nanoseconds, camera))

        node.create_timer(0.1, publish)
        executor.add_node(node)
        nodes.append(node)

    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield start
    executor.shutdown()
    thread.join()
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def look(task, until, **options):
    listener = CameraListener(load_task(task), **options)
    try:

        def found():
            lines = {line.name: line for line in listener.lines()}
            return lines if until(lines) else None

        return wait_for(found, "the cameras", lambda: listener.spin(0.5), listener.lines)
    finally:
        listener.close()


def test_good_wrong_and_unlocked_cameras_are_told_apart(task, driver):
    driver("wrist_1", image_from_array, (64, 80), autoexposure=True)
    driver("wrist_2", compressed_from_array, (48, 80))
    lines = look(
        task,
        lambda lines: (
            any("autoexposure" in p for p in lines["wrist_1"].problems)
            and any("80x48 px" in p for p in lines["wrist_2"].problems)
        ),
    )
    first, second = lines["wrist_1"], lines["wrist_2"]
    assert first.picture == "rgb8, 80x64"
    assert first.topic == "/camera/wrist_1/image_raw"
    assert first.rate > 1
    assert first.bandwidth > 0
    assert first.brightness == "mean 120 of 255"
    assert [p for p in first.problems if "autoexposure" not in p] == []
    assert "/driver_of_wrist_1" in first.problems[0]
    assert second.picture == "jpeg, 80x48"
    assert second.topic == "/camera/wrist_2/image_raw/compressed", "what is published"


def test_a_silent_camera_fails_the_check(task, driver, capsys):
    driver("wrist_1", image_from_array, (64, 80))
    assert CameraCheck(task=str(task), seconds=6.0).run() == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "no picture yet" in printed
    assert "/camera/wrist_2/image_raw" in printed


@pytest.mark.parametrize("noise", [False, True])
def test_a_driver_that_repeats_one_picture_fails_the_check(task, driver, capsys, noise):
    driver("wrist_1", image_from_array, (64, 80), noise=noise)
    driver("wrist_2", compressed_from_array, (64, 80))
    for seconds in (8.0, 60.0, 300.0):  # a busy machine needs longer until it has seen enough
        code = CameraCheck(task=str(task), seconds=seconds).run()
        printed = " ".join(capsys.readouterr().out.split())
        if code == int(not noise) and ("has not changed by a bit" in printed) is not noise:
            break
    assert ("wrist_1" in printed, "has not changed by a bit" in printed, code) == (
        True,
        not noise,
        int(not noise),
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [(2, "100 % of what the policy sees is black"), (128, ""), (255, "burnt out: take a shorter")],
)
def test_brightness(value, says):
    words, problem = brightness_of(np.full((64, 64, 3), value, np.uint8))
    assert words == f"mean {value} of 255"
    assert says in problem
    assert bool(problem) == bool(says)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_names_what_is_wrong(width):
    lines = [
        CameraLine("wrist_1", "/a", "rgb8, 640x480", 29.97, 0.012, 0.03, 27.6e6, (), "mean 93 of 255"),
        CameraLine("wrist_2", "/b", problems=["no picture yet"]),
    ]
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(render(lines))
    text = console.export_text()
    for expected in ("30.0 /s", "12 ms", "27.6 MB/s", "✗ no picture yet"):
        assert expected in text
    assert all(len(line) <= width for line in text.splitlines())
