# SPDX-License-Identifier: Apache-2.0
"""The clock of the robot's PC is set by an hour while its nodes run: as processes, over topics."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import rclpy
from played_cell import cell_with, ros_arguments
from sensor_msgs.msg import Image
from set_clock import set_clock  # noqa: F401

from hil_serl_core.spec import load_task
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_robot.testing.cell_world import World, displaced
from hil_serl_ros import names, qos
from hil_serl_ros.bag import read_steps
from hil_serl_tasks.finder import suite_folder

sys.path.append(str(Path(__file__).parent))
RAM = suite_folder() / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 3.0       # long, for a busy machine
reward: {{kind: operator}}
episode: {{max_steps: 10000}}
"""
HOUR = 3600.0


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(TASK.format(base=RAM))
    return file


@pytest.mark.parametrize(("offset", "way"), [(HOUR, "back"), (-HOUR, "forward")])
def test_the_actor_goes_on(tmp_path, task, set_clock, offset, way):  # noqa: F811
    clock, log, run = set_clock(offset), tmp_path / "log", tmp_path / "run"
    arguments = ros_arguments({"task": task, "run_dir": run, "mode": "record_demos"})
    with cell_with(task) as cell, clock.process("hil_serl_actor.actor_node", arguments, log):
        cell.offset = offset
        cell.spin_until(lambda: cell.episodes and len(cell.targets) > 10, "an episode")
        cell.offset = 0.0
        clock.set(0.0)
        resets = cell.resets
        cell.spin_until(lambda: any(e.reason.startswith("the clock") for e in cell.episodes), "its end")
        ended = next(e for e in cell.episodes if not e.started)
        assert ended.reason == f"the clock was set {way} by 60 min"
        cell.spin_until(lambda: cell.resets > resets, "the next reset")
        cell.spin_until(lambda: cell.episodes[-1].started, "the next episode")
        more = len(cell.targets)
        cell.spin_until(lambda: len(cell.targets) > more + 20, "its steps")
    said = log.read_text()
    assert f"the clock was set {way} by 60 min: what was heard before is dropped" in said
    assert "synchronise" not in said
    steps = list(read_steps(run / "bags"))
    assert [step.sequence for step in steps] == list(range(len(steps)))
    assert {step.episode for step in steps} == {0, 1}


def underway(world):
    """Future of a reset that moves the arm. The service can be there before the arm's and the cameras' topics are."""
    targets = world.arms[""].targets
    while True:
        future = world.start(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=1))
        world.until(lambda done=future.done: done() or len(targets) > 5, "targets")
        if not future.done():
            return future
        assert "nothing heard" in future.result().message


@pytest.mark.parametrize(("offset", "way"), [(HOUR, "back"), (-HOUR, "forward")])
def test_the_cell_ends_its_reset_and_makes_the_next_one(tmp_path, set_clock, offset, way):  # noqa: F811
    clock, spec = set_clock(offset), load_task(RAM)
    arguments = ros_arguments({"task": RAM, "stale": 3.0, "linear_speed": 0.01})
    rclpy.init()
    world = World(spec, {"": displaced(spec, by=(0.05, 0.05, 0.0))})
    world.offset = offset
    try:
        with clock.process("hil_serl_robot.cell_node", arguments, tmp_path / "log"):
            future = underway(world)
            world.offset = 0.0
            clock.set(0.0)
            world.until(future.done, "the end of the reset")
            assert not future.result().success
            assert future.result().message == f"the clock was set {way} by 60 min on the way"
            world.arms[""].pose = displaced(spec)
            request = ResetEpisode.Request(seed=1)
            while not (reply := world.call(ResetEpisode, names.RESET_EPISODE, request)).success:
                assert "nothing heard" in reply.message
    finally:
        world.close()
        rclpy.try_shutdown()


def test_mock_cameras_go_on_when_the_clock_is_set_back(tmp_path, set_clock):  # noqa: F811
    clock, spec, heard = set_clock(HOUR), load_task(RAM), []
    rclpy.init()
    world = World(spec, {"": displaced(spec)})
    world.offset = HOUR
    camera = names.camera_image("wrist_1")
    world.node.create_subscription(Image, camera, lambda m: heard.append(m.header.frame_id), qos.CAMERA)
    arguments = ros_arguments({"task": RAM, "cameras": "[wrist_1]", "fps": 10.0})
    try:
        with clock.process("hil_serl_robot.mock_cameras", arguments, tmp_path / "log"):
            world.until(lambda: world.node.count_publishers(camera) > 1, "the cameras")
            world.silence_cameras()
            world.until(lambda: len(heard) > 10, "pictures")
            world.offset = 0.0
            clock.set(0.0)
            count = len(heard)
            world.until(lambda: len(heard) > count + 20, "pictures by the new clock")
    finally:
        world.close()
        rclpy.try_shutdown()
