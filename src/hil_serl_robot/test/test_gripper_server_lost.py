# SPDX-License-Identifier: Apache-2.0
"""The gripper node and a hand's real action server over DDS, which ends during a goal."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading

import pytest
import rclpy
from action_package import ROOT, SERVER, environment
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64

from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_ros import names, qos

GOAL_TIME = 3.0
NODE = "from hil_serl_robot.gripper_node import main; main()"


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    build = ROOT / "build"  # kept there, a second run has it at once
    return environment(
        build / "control_msgs_of_tests" if build.is_dir() else tmp_path_factory.mktemp("control_msgs")
    )


class Hand:
    """A hand's action server in a process of its own."""

    def __init__(self, variables, how):
        command = [sys.executable, "-c", SERVER, how]
        self.process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=lambda: self.lines.extend(iter(self._line, "")), daemon=True).start()

    def _line(self):
        return self.process.stdout.readline()

    def got(self, position):
        return f"goal {position}\n" in self.lines

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(PATIENCE)


class World:
    """Commands the gripper at 10 Hz and keeps the newest line of its diagnostics."""

    def __init__(self):
        rclpy.init()
        self.node, self.status = rclpy.create_node("world", use_global_arguments=False), None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._command = self.node.create_publisher(Float64, names.GRIPPER_COMMAND, qos.GRIPPER_COMMAND)
        self.node.create_subscription(DiagnosticArray, names.DIAGNOSTICS, self._on_status, qos.DIAGNOSTICS)

    def _on_status(self, message):
        self.status = message.status[0]

    @property
    def text(self):
        return "" if self.status is None else self.status.message

    def until(self, condition, opening):
        def play():
            self._command.publish(Float64(data=opening))
            self._executor.spin_once(timeout_sec=0.1)

        wait_for(condition, "the hand", play, lambda: self.text)

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_server_that_ends_during_a_goal_is_named_and_takes_the_command_when_it_is_back(variables, how):
    parameters = {"kind": "control_msgs", "action": "hand/cmd", "goal_time": GOAL_TIME}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-c", NODE, "--ros-args", *arguments]
    with contextlib.ExitStack() as stack:
        world = World()
        stack.callback(world.close)
        node = subprocess.Popen(command, env=variables)
        stack.callback(node.wait, PATIENCE)
        stack.callback(node.send_signal, signal.SIGINT)
        hand = Hand(variables, "hangs")
        stack.callback(hand.end)
        world.until(lambda: hand.got(0.08) and "action server" not in world.text, opening=1.0)
        hand.end(how)
        world.until(lambda: "action server 'hand/cmd'" in world.text, opening=1.0)
        assert world.status.level == b"\x02", "ERROR"
        assert "start the gripper's driver" in world.text
        again = Hand(variables, "answers")
        stack.callback(again.end)
        world.until(lambda: again.got(0.08), opening=1.0)
        world.until(lambda: "action server" not in world.text, opening=1.0)
        world.until(lambda: again.got(0.0), opening=0.0)
