# SPDX-License-Identifier: Apache-2.0
"""A lossy, interrupted network between robot PC and GPU PC, as network namespaces: nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
from two_hosts import ADDRESSES, TwoHosts, lacking

from hil_serl_core.testing.waiting import PATIENCE, wait_for

pytest.importorskip("rclpy")
pytest.importorskip("hil_serl_msgs.msg")

_REASON = lacking()
pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(_REASON), reason=_REASON)]
PROFILE = {
    "FASTRTPS_DEFAULT_PROFILES_FILE": str(
        Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "dds" / "two_machines.xml"
    )
}
SMALL = ("--cameras", 1, "--size", 32, "--patience", round(PATIENCE))
NO_MULTICAST = "ip daddr 224.0.0.0/4 drop"


@pytest.fixture
def hosts():
    with TwoHosts() as hosts:
        yield hosts


def result_of(process, file: Path) -> dict:
    output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, output
    return json.loads(file.read_text())


def test_four_cameras_at_10_hz_and_weights_under_5_percent_loss(hosts, tmp_path):
    hosts.lose(0.05)
    cameras = ("--cameras", 4, "--size", 128, "--patience", round(PATIENCE))
    hosts.tool("gpu", "network", "learner", *cameras, **PROFILE)
    robot = hosts.tool(
        "robot", "network", "robot", *cameras, "--seconds", 20, "--output", tmp_path / "r.json", **PROFILE
    )
    result = result_of(robot, tmp_path / "r.json")
    assert (result["records"], result["lost"], result["not_acknowledged"]) == (200, 0, 0)
    assert result["weights_bytes"] > 1_000_000
    assert result["weights_received"]["count"] >= 2
    dropped, passed = hosts.counted("gpu")
    assert passed > 200 * result["record_bytes"] / 1500
    assert 0.03 < dropped / (dropped + passed) < 0.07


def test_cable_out_learner_killed_and_robot_killed_and_still_every_record_arrives_once(hosts, tmp_path):
    learner = hosts.tool("gpu", "network", "learner", *SMALL, **PROFILE)
    options = ("network", "robot", *SMALL, "--folder", tmp_path / "log", "--output", tmp_path / "r.json")
    robot = hosts.tool("robot", *options, "--seconds", 600, **PROFILE)
    bag = tmp_path / "log" / "bags" / "train" / "actor_0"

    def logged() -> int:
        return sum(file.stat().st_size for file in bag.glob("*/*.mcap"))

    wait_for(lambda: logged() > 50_000)
    hosts.plug(False)
    time.sleep(25.0)  # DDS declares the other side dead after 20 s
    hosts.plug(True)
    hosts.end(learner, signal.SIGKILL)
    before = logged()
    wait_for(lambda: logged() > before + 50_000)  # it goes on while nobody listens
    hosts.end(robot, signal.SIGKILL)
    hosts.tool("gpu", "network", "learner", *SMALL, **PROFILE)
    robot = hosts.tool("robot", *options, "--seconds", 5, **PROFILE)
    result = result_of(robot, tmp_path / "r.json")
    assert (result["records"], result["lost"], result["not_acknowledged"]) == (50, 0, 0)


@pytest.mark.skipif(shutil.which("fast-discovery-server") is None, reason="needs fast-discovery-server")
def test_discovery_server_where_the_network_has_no_multicast(hosts, tmp_path):
    hosts.filter(NO_MULTICAST)
    server = {"ROS_DISCOVERY_SERVER": f"{ADDRESSES['gpu']}:11811"}
    hosts.start("gpu", "fast-discovery-server", "-i", "0", "-l", ADDRESSES["gpu"], "-p", "11811")
    hosts.tool("gpu", "network", "learner", *SMALL, **server)
    robot = hosts.tool(
        "robot", "network", "robot", *SMALL, "--seconds", 3, "--output", tmp_path / "r.json", **server
    )
    assert result_of(robot, tmp_path / "r.json")["lost"] == 0


def test_static_peers_where_the_network_has_no_multicast(hosts, tmp_path):
    hosts.filter(NO_MULTICAST)
    peers = {host: {"ROS_STATIC_PEERS": address} for host, address in ADDRESSES.items()}
    hosts.tool("gpu", "network", "learner", *SMALL, **peers["robot"])
    robot = hosts.tool(
        "robot", "network", "robot", *SMALL, "--seconds", 3, "--output", tmp_path / "r.json", **peers["gpu"]
    )
    assert result_of(robot, tmp_path / "r.json")["lost"] == 0


def test_a_robot_that_finds_no_learner_names_what_decides_it(hosts):
    robot = hosts.tool("robot", "network", "robot", *SMALL[:-1], 3)
    output = robot.communicate(timeout=PATIENCE)[0]
    assert robot.returncode == 2
    words = " ".join(output.split())
    assert "nothing came on '/learner_status' within 3 s" in words
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET" in words
