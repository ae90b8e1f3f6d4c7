# SPDX-License-Identifier: Apache-2.0
"""Several actors and one learner over the real middleware: an actor's own link here, a learner process there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from hil_serl_core.testing.waiting import wait_for

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("hil_serl_msgs.msg")

from hil_serl_cli.commands.network import network_task  # noqa: E402
from hil_serl_cli.measuring.network_robot import RobotEnd  # noqa: E402
from hil_serl_core.spec import task_to_yaml  # noqa: E402
from hil_serl_msgs.msg import LearnerStatus  # noqa: E402
from hil_serl_ros import names, qos  # noqa: E402

pytestmark = [pytest.mark.integration]
LEARNER = f"two_machines_{os.getpid()}"


class Site:
    """A learner process and robots in namespaces under its own."""

    def __init__(self, folder):
        self.folder = folder
        spec = network_task("ram_insertion", cameras=1, size=32)
        self.task = folder / "task.yaml"
        self.task.write_text(task_to_yaml(spec))
        self.process, self.robots, self.statuses = None, [], {}
        rclpy.init()
        self.executor = rclpy.executors.SingleThreadedExecutor()

    def start(self, **parameters):
        settings = {"task": self.task, "run_dir": self.folder / "gpu", **parameters}
        words = [word for key, value in settings.items() for word in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", "hil_serl_learner.learner_node", "--ros-args", *words]
        self.process = subprocess.Popen(
            [*command, "-p", "algorithm:=rlpd_scratch", "-r", f"__ns:=/{LEARNER}"],
            stderr=subprocess.PIPE,
            text=True,
        )

    def robot(self, cell, actor_id, steps=20):
        namespace = f"{LEARNER}/{cell}"
        robot = RobotEnd(
            self.task, self.folder / cell, actor_id=actor_id, steps=steps, rate=50.0, namespace=namespace
        )
        heard = self.statuses[cell] = []
        robot.create_subscription(LearnerStatus, names.LEARNER_STATUS, heard.append, qos.LEARNER_STATUS)
        self.executor.add_node(robot)
        self.robots.append(robot)
        return robot

    def until(self, condition):
        def spin():
            self.executor.spin_once(timeout_sec=0.05)
            assert self.process.poll() is None, self.process.stderr.read()

        wait_for(condition, meanwhile=spin)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.executor.shutdown()  # first: it must not wait for what is destroyed
        for robot in self.robots:
            robot.link.close()
            robot.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


def test_one_learner_takes_the_steps_of_two_actors_and_gives_both_its_weights(site):
    # Without a /clock its time stands at 1970: what is compared across the machines is never a stamp.
    site.start(actors="cell_1, cell_2", use_sim_time="true")
    first, second = site.robot("cell_1", "left_robot", 60), site.robot("cell_2", "right_robot", 30)
    site.until(lambda: first.done and second.done)
    for robot, made in ((first, 60), (second, 30)):
        assert (robot.result()["lost"], robot.measured.records) == (0, made)
        assert robot.result()["clock_difference_s"] > 1e9
    # Every 30th record of each ends an episode and carries no action.
    both = 60 - 2 + 30 - 1
    site.until(lambda: site.statuses["cell_1"][-1].environment_steps == both)
    # 50 online transitions of both together are due for new weights, which both get.
    site.until(lambda: all(len(robot.measured.weights_age) >= 2 for robot in (first, second)))
    assert {ack.actor_id for status in site.statuses["cell_1"] for ack in status.acks} == {"left_robot"}
    assert {ack.actor_id for status in site.statuses["cell_2"] for ack in status.acks} == {"right_robot"}


def test_two_actors_of_one_name_are_told_apart_and_nothing_is_taken_for_a_duplicate(site):
    site.start(actors="cell_1,cell_2")
    first = site.robot("cell_1", "robot")
    site.until(lambda: first.done)
    second = site.robot("cell_2", "robot")
    site.until(lambda: any(status.acks and status.acks[0].rejected for status in site.statuses["cell_2"]))
    line = site.statuses["cell_2"][-1]
    assert (line.acks[0].acknowledged, line.acks[0].records) == (-1, 0)
    assert "'cell_1' and in 'cell_2'; give every actor an actor_id of its own" in line.message
    assert second.link.undelivered
    assert site.statuses["cell_1"][-1].acks[0].duplicates == 0


def test_a_learner_that_is_killed_and_started_elsewhere_gets_every_step_of_both_actors(site):
    site.start(actors="cell_1,cell_2")
    robots = site.robot("cell_1", "left_robot", 150), site.robot("cell_2", "right_robot", 150)
    site.until(lambda: all(robot.measured.records > 20 for robot in robots))
    site.process.send_signal(signal.SIGKILL)
    site.kill()
    # Another machine: the new learner has neither bags nor checkpoints of the first.
    site.start(actors="cell_1,cell_2", run_dir=site.folder / "other_gpu")
    site.until(lambda: all(robot.done for robot in robots))
    for robot in robots:
        assert (robot.measured.records, robot.result()["lost"]) == (150, 0)
