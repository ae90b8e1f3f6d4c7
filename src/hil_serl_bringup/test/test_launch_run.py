# SPDX-License-Identifier: Apache-2.0
"""A run by launch: nodes start, the operator's demonstration is recorded, everything ends in order when it is told to."""

import tempfile
import unittest
from pathlib import Path

import pytest

from hil_serl_core.testing.waiting import wait_for
from hil_serl_tasks.finder import suite_folder

pytest.importorskip("launch")
pytest.importorskip("launch_ros")
pytest.importorskip("launch_testing")
pytest.importorskip("mujoco")

import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing import post_shutdown_test
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes
from rclpy.executors import SingleThreadedExecutor

from hil_serl_msgs.msg import ArmState, EpisodeSummary
from hil_serl_ros import names, qos
from hil_serl_ros.bag import read_steps
from hil_serl_runs.statistics import read_episodes

SHARE = Path(__file__).parent.parent
RUN = Path(tempfile.mkdtemp(prefix="hil-serl-launch-test-")) / "run"


@pytest.mark.launch_test
def generate_test_description():
    """Demonstrations by the scripted operator, in lockstep, until the test is over."""
    arguments = {
        "task": str(suite_folder() / "sim" / "ram_insertion.yaml"),
        "mode": "record_demos",
        "operator": "scripted",
        "speed": "lockstep",
        "episodes": "0",
        "run_dir": str(RUN),
        "namespace": "launch_test",
    }
    run = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "task.launch.py")),
        launch_arguments=arguments.items(),
    )
    return LaunchDescription([run, ReadyToTest()])


class TestRunning(unittest.TestCase):
    """While the processes run."""

    def setUp(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("launch_test", context=self.context)

    def tearDown(self):
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def test_the_run_is_in_the_namespace_and_solves_an_episode(self):
        states, ends = [], []
        self.node.create_subscription(
            ArmState, f"launch_test/{names.ARM_STATE}", states.append, qos.ARM_STATE
        )
        self.node.create_subscription(
            EpisodeSummary,
            f"launch_test/{names.EPISODE}",
            lambda message: ends.append(message) if message.success else None,
            qos.EPISODE,
        )
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(self.node)
        wait_for(lambda: ends, "an episode that is solved", lambda: executor.spin_once(timeout_sec=0.2))
        assert states, "nobody published arm_state"


@post_shutdown_test()
class TestEnded(unittest.TestCase):
    """What is left of the run."""

    def test_every_process_ended_well(self, proc_info):
        assertExitCodes(proc_info)

    def test_a_demonstration_was_recorded_and_counted(self):
        steps = list(read_steps(RUN / "bags" / "record_demos"))
        assert steps[0].is_first
        assert any(step.is_last for step in steps)
        assert any(episode.success for episode in read_episodes(RUN / "episodes.csv"))
