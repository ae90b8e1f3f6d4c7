# SPDX-License-Identifier: Apache-2.0
"""Another actor under the same names is heard, and named as far as the middleware tells."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import rclpy

from hil_serl_actor.wiring.namesakes import Namesakes
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.msg import InterventionState
from hil_serl_ros import names, qos

HOST, OTHER_HOST = b"\x01\x0f\xaa\xbb", b"\x01\x0f\xcc\xdd"
OTHER = """
import rclpy, sys
from hil_serl_msgs.msg import InterventionState
from hil_serl_ros import names, qos
rclpy.init()
node = rclpy.create_node("actor", namespace="namesakes")
publisher = node.create_publisher(InterventionState, names.INTERVENTION, qos.INTERVENTION)
print("here", flush=True)
sys.stdin.read()
"""


def endpoint(host, pid):
    return SimpleNamespace(endpoint_gid=list(host + pid.to_bytes(4, "little") + bytes(8)))


@pytest.fixture
def world(tmp_path):
    """A graph played by the test, and processes 500 (this one) and 600."""
    publishers = [endpoint(HOST, 500)]
    node = SimpleNamespace(
        resolve_topic_name=lambda topic: f"/{topic}", get_publishers_info_by_topic=lambda _topic: publishers
    )
    for pid, line in ((500, b"python\0actor_node"), (600, b"python\0actor_node"), (700, b"bash")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(line)
    return publishers, Namesakes(node, "intervention", pid=500, proc=tmp_path)


def test_alone(world):
    assert world[1].look(0.0) == ""


def test_one_on_this_machine_is_named(world):
    publishers, namesakes = world
    publishers.append(endpoint(HOST, 600))
    assert namesakes.look(0.0).startswith(
        "another actor publishes /intervention: process 600 on this machine; "
    )


@pytest.mark.parametrize("pid", [601, 700], ids=["gone", "its id went to another program"])
def test_one_that_was_killed_is_not(world, pid):
    """It stays in the graph until its lease has ended."""
    publishers, namesakes = world
    publishers.append(endpoint(HOST, pid))
    assert namesakes.look(0.0) == namesakes.look(100.0) == ""


def test_one_on_another_machine_is_when_it_stays(world):
    publishers, namesakes = world
    publishers.append(endpoint(OTHER_HOST, 600))
    assert namesakes.look(0.0) == ""
    assert "on another machine" in namesakes.look(30.0)
    publishers.pop()
    assert namesakes.look(31.0) == ""


def test_a_middleware_that_does_not_tell(world):
    publishers, namesakes = world
    publishers[:] = [endpoint(b"\x01\x10\x00\x00", 1), endpoint(b"\x01\x10\x00\x00", 2)]
    assert namesakes.look(0.0).startswith("2 actors publish /intervention; ")


def test_a_real_one():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("actor", context=context, namespace="namesakes", use_global_arguments=False)
    node.create_publisher(InterventionState, names.INTERVENTION, qos.INTERVENTION)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        namesakes = Namesakes(node, names.INTERVENTION)
        assert namesakes.look() == ""
        assert other.stdout.readline() == "here\n"
        said = wait_for(namesakes.look, "the other actor")
        assert f"process {other.pid}" in said
    finally:
        other.communicate()
        node.destroy_node()
        context.try_shutdown()
