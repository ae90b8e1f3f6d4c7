# SPDX-License-Identifier: Apache-2.0
"""A cell node that is told to end while it moves an arm."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import rclpy
from cell_world import World, displaced
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters

from hil_serl_core.spec import load_task
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names

OWN = {"stale": 1000.0, "linear_speed": 0.01, "reset_profile": "precision", "episode_profile": "compliance"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_the_middle_of_a_reset_without_a_trace(ram_file, tmp_path, number):
    parameters = [part for name, value in OWN.items() for part in ("-p", f"{name}:={value}")]
    code = "from hil_serl_actor.cell_node import main; main()"
    command = [sys.executable, "-c", code, "--ros-args", "-p", f"task:={ram_file}", *parameters]
    rclpy.init(args=[])
    spec = load_task(ram_file)
    world = World(spec, {"": displaced(spec, by=(0.1, 0.0, 0.0))})
    world.node.create_service(SetParameters, "cartesian_controller/set_parameters", _on_set)
    with (tmp_path / "log").open("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as cell:
        try:
            world.start(ResetEpisode, names.RESET_EPISODE)
            world.until(lambda: len(world.arms[""].targets) > 5, "a motion")
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


def _on_set(request, reply):
    reply.results = [SetParametersResult(successful=True)] * len(request.parameters)
    return reply
