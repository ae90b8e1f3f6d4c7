# SPDX-License-Identifier: Apache-2.0
"""The groups of /diagnostics as the real diagnostic_aggregator makes them; only where it is installed."""

import os
import subprocess
from pathlib import Path

import pytest
import rclpy
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor

from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_ros import names, qos
from hil_serl_ros.diagnostics import Level, diagnostic_array, diagnostic_status

CONFIG = Path(__file__).resolve().parents[1] / "config" / "diagnostics.yaml"
GROUPS = {
    "Stop": "actor/stop",
    "Operator": "monitor/advice",
    "Actor": "actor/control_loop",
    "Learner": "learner/training",
    "Cameras": "actor/camera/wrist_1",
    "Arms": "actor/arm/left",
}


@pytest.fixture
def aggregator():
    try:
        prefix = get_package_prefix("diagnostic_aggregator")
    except PackageNotFoundError:
        pytest.skip("needs the ROS package diagnostic_aggregator")
    program = Path(prefix) / "lib" / "diagnostic_aggregator" / "aggregator_node"
    command = [program, "--ros-args", "--params-file", CONFIG]
    child = subprocess.Popen(command, env={**os.environ, "RCUTILS_LOGGING_USE_STDOUT": "1"})
    yield child
    child.terminate()
    child.wait(PATIENCE)


def levels_of(aggregator, lines, enough):
    """Level of each line of /diagnostics_agg while `lines` are reported, as soon as `enough` holds of them."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("peer", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    levels = {}
    node.create_subscription(
        DiagnosticArray,
        "/diagnostics_agg",
        lambda message: levels.update({s.name: s.level[0] for s in message.status}),
        qos.DIAGNOSTICS,
    )
    publisher = node.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)

    def report():
        assert aggregator.poll() is None
        publisher.publish(diagnostic_array(node.get_clock().now().nanoseconds, lines))
        executor.spin_once(timeout_sec=0.2)

    try:
        wait_for(lambda: enough(levels), "the groups", report, lambda: levels)
    finally:
        node.destroy_node()
        context.try_shutdown()
    return levels


def test_every_line_is_in_its_group_and_a_group_is_as_bad_as_its_worst_line(aggregator):
    lines = [diagnostic_status(line, Level.OK, "ok") for line in GROUPS.values()]
    lines.append(diagnostic_status("actor/camera/wrist_2", Level.WARN, "slow"))
    lines.append(diagnostic_status("somebody else", Level.OK, "ok"))
    # The aggregator makes a line's own slashes spaces.
    wanted = {f"/HIL-SERL/{group}/{line.replace('/', ' ')}" for group, line in GROUPS.items()}
    wanted |= {"/HIL-SERL/Cameras/actor camera wrist_2", "/HIL-SERL/Other/somebody else"}
    levels = levels_of(aggregator, lines, lambda levels: wanted <= set(levels))
    assert wanted <= set(levels), sorted(levels)
    assert levels["/HIL-SERL/Cameras"] == Level.WARN
    assert levels["/HIL-SERL/Learner"] == Level.OK


NOT_ALWAYS = {
    "Operator": "an evaluation",
    "Learner": "an evaluation and demonstrations",
    "Cameras": "a task by touch",
}


def test_a_run_without_a_learner_is_no_error(aggregator):
    lines = [
        diagnostic_status(line, Level.OK, "ok") for group, line in GROUPS.items() if group not in NOT_ALWAYS
    ]
    levels = levels_of(aggregator, lines, lambda levels: levels.get("/HIL-SERL") == Level.OK)
    assert levels["/HIL-SERL"] == Level.OK, levels


def test_groups_that_a_run_may_lack_do_not_count_as_stale():
    """One that does makes the whole an Error. Where an actor ought to be, that is right."""
    groups = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    lacking = {
        group["path"] for group in groups.values() if isinstance(group, dict) and group.get("discard_stale")
    }
    assert lacking == set(NOT_ALWAYS)
