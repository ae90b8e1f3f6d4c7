# SPDX-License-Identifier: Apache-2.0
"""Ends while an arm is moved: of the cell node itself, and of the actor, whose death it has to notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters

from hil_serl_core.spec import load_task
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_robot.cell_node import CellNode
from hil_serl_robot.testing.cell_world import World, displaced
from hil_serl_ros import names

pytestmark = pytest.mark.alone  # deaths are noticed within a bound, and a test makes the machine busy
OWN = {"stale": 1000.0, "linear_speed": 0.01, "reset_profile": "precision", "episode_profile": "compliance"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_the_middle_of_a_reset_without_a_trace(ram_file, tmp_path, number):
    parameters = [part for name, value in OWN.items() for part in ("-p", f"{name}:={value}")]
    code = "from hil_serl_robot.cell_node import main; main()"
    command = [sys.executable, "-c", code, "--ros-args", "-p", f"task:={ram_file}", *parameters]
    rclpy.init(args=[])
    spec = load_task(ram_file)
    world = World(spec, {"": displaced(spec, by=(0.1, 0.0, 0.0))})
    world.node.create_service(SetParameters, "cartesian_controller/set_parameters", _on_set)
    with (tmp_path / "log").open("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as cell:
        try:
            _until_moving(world)
            cell.send_signal(number)
            world.until(lambda: cell.poll() is not None, "its end")
            targets = len(world.arms[""].targets)
            for _ in range(10):
                world.play()
        finally:
            cell.kill()
            world.close()
            rclpy.try_shutdown()
        log.seek(0)
        said = log.read()
    assert cell.returncode == 0, said
    for trace in ("Traceback", "Exception ignored", "never awaited"):
        assert trace not in said, said
    assert len(world.arms[""].targets) == targets


def _until_moving(world):
    """Ask for a reset, again when it was refused: an answer to a service that was just found may be lost."""
    targets = world.arms[""].targets
    for _ in range(3):
        asked = world.start(ResetEpisode, names.RESET_EPISODE)
        world.until(lambda asked=asked: len(targets) > 5 or asked.done(), "a motion or why there is none")
        if len(targets) > 5:
            return
    pytest.fail(f"no motion: {asked.result().message}")


def _on_set(request, reply):
    reply.results = [SetParametersResult(successful=True)] * len(request.parameters)
    return reply


TASK = """
extends: {base}
observation_timeout: 1000.0    # a busy machine is not what is tested here
reset: {{method: scripted}}
reward: {{kind: operator}}
"""
ACTOR = """
import sys
from hil_serl_actor.actor_node import main
sys.argv += ["--ros-args", "-p", "task:={task}", "-p", "run_dir:={run}", "-p", "mode:=record_demos"]
main()
"""
BUSY = """
import rclpy
from std_msgs.msg import Bool
from hil_serl_ros import names, qos
rclpy.init()
node = rclpy.create_node("actor")
stopped = node.create_publisher(Bool, names.STOPPED, qos.STOPPED)
paused = node.create_publisher(Bool, names.PAUSED, qos.PAUSED)
while True:
    sum(range(10**8))  # one call into C: no other Python thread runs for seconds
"""
SOON = (
    5.0  # s; a fraction of what DDS itself takes to miss a process, and far above the lease on a busy machine
)


@pytest.fixture
def motion(ram_file, tmp_path):
    """``motion(code of the actor's process)``: world and process, with a slow cell node in this one."""

    @contextmanager
    def make(code):
        task = tmp_path / "task.yaml"
        task.write_text(TASK.format(base=ram_file))
        rclpy.init(args=["--ros-args", "-p", f"cell:task:={task}", "-p", "cell:linear_speed:=0.005"])
        spec = load_task(task)
        world = World(spec, {"": displaced(spec, by=(0.1, 0.0, 0.0))}, CellNode)
        filled = code.format(task=task, run=tmp_path / "run")
        with (tmp_path / "log").open("w") as log:
            actor = subprocess.Popen([sys.executable, "-c", filled], stdout=log, stderr=log)
            try:
                yield world, actor
            finally:
                actor.kill()
                actor.wait()
                world.close()
                rclpy.try_shutdown()

    return make


def test_a_killed_actor_is_missed_long_before_dds_misses_its_process(motion):
    with motion(ACTOR) as (world, actor):
        arm = world.arms[""]
        world.until(lambda: arm.targets, "the reset that the actor asks for")
        world.until(lambda: len(arm.targets) > 200, "some leases")
        assert _missed(world, arm, actor) < SOON
        held = len(arm.targets)
        world.until(lambda: len(arm.targets) > held + 5, "the hold")
        assert np.allclose(arm.targets[-1][1], arm.targets[held][1])


def test_a_busy_actor_is_not_missed_and_a_killed_busy_one_is(motion):
    """On a machine with more to do than cores, too."""
    with motion(BUSY) as (world, actor):
        arm = world.arms[""]
        world.until(lambda: world.node.count_publishers(names.PAUSED), "the actor")
        load = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(2 * (os.cpu_count() or 1))
        ]
        try:
            future = world.start(ResetEpisode, names.RESET_EPISODE)
            end = time.monotonic() + 6.0
            world.until(lambda: time.monotonic() > end, "some leases")
            assert not future.done(), future.result().message
        finally:
            for process in load:
                process.kill()
                process.wait()
        assert _missed(world, arm, actor) < SOON
        world.until(future.done, "its end")
        assert "the actor has ended" in future.result().message


def _missed(world, arm, actor):
    """Seconds from the actor's death to the last moving target."""
    actor.send_signal(signal.SIGKILL)
    begin = time.monotonic()
    world.until(
        lambda: all(np.array_equal(arm.targets[-1][1], target) for _, target, _ in arm.targets[-8:]),
        "the end",
    )
    return time.monotonic() - begin
