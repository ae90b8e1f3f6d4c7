# SPDX-License-Identifier: Apache-2.0
"""A hand that starts late, behind the gripper's node, in an episode: over DDS, from the hardware's task file."""

from __future__ import annotations

import time

import numpy as np
import pytest
from played_cell import cell_with
from sensor_msgs.msg import Joy
from std_msgs.msg import Float64

from hil_serl_actor.actor_node import ActorNode
from hil_serl_core.step import Source
from hil_serl_robot.gripper_node import GripperNode
from hil_serl_ros import names, qos
from hil_serl_ros.bag import read_steps
from hil_serl_ros.stamps import stamp_from_seconds
from hil_serl_tasks.finder import suite_folder

USB = suite_folder() / "usb_insertion.yaml"
TASK = """
extends: {base}
cameras:                       # small, for a busy machine
  - {{name: wrist_1, source_width: 128, source_height: 128, size: 128}}
  - {{name: wrist_2, source_width: 128, source_height: 128, size: 128}}
  - {{name: side_1, source_width: 128, source_height: 128, size: 128}}
observation_timeout: 1000.0
reward: {{kind: operator}}
episode: {{max_steps: 10000}}
intervention: {{timeout: 1000.0}}
"""
CLOSE, OPEN = 0, 1


class Hand:
    """The gripper's node beside the actor's, the operator's buttons, and what the hand was told and did."""

    def __init__(self, cell):
        self.cell, self.told, self.openings = cell, [], []
        node = cell.node
        node.create_subscription(Float64, names.GRIPPER_STATE, self._on_state, qos.GRIPPER_STATE)
        node.create_subscription(
            Float64, names.GRIPPER_COMMAND, lambda m: self.told.append(m.data), qos.GRIPPER_COMMAND
        )
        self._joy = node.create_publisher(Joy, names.SPACENAV_JOY, qos.OPERATOR)

    def _on_state(self, message):
        self.cell.opening = message.data
        self.openings.append(message.data)

    def press(self, *buttons):
        """What the device reports from now on."""
        message = Joy(axes=[0.0] * 6, buttons=[int(k in buttons) for k in range(2)])
        message.header.stamp = stamp_from_seconds(self.cell.now)
        self._joy.publish(message)

    def play(self, seconds, *buttons):
        """Let time pass with these buttons held down."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, "time to pass", *buttons)

    def until(self, condition, what, *buttons):
        """Play on with these buttons held down until something holds."""

        def holds():
            self.press(*buttons)
            return condition()

        self.cell.spin_until(holds, what)

    @property
    def closed(self):
        return self.openings[-1] == 0.0


@pytest.mark.parametrize("delay", [0.5, 1.0])
def test_what_the_record_says_is_what_the_hand_did(tmp_path, delay):
    task, run = tmp_path / "task.yaml", tmp_path / "run"
    task.write_text(TASK.format(base=USB))
    grippers = []

    def make_gripper():
        grippers.append(GripperNode())
        return grippers[-1]

    parameters = {
        "actor:task": task,
        "actor:run_dir": run,
        "actor:mode": "record_demos",
        "actor:operator": "spacenav",
        "gripper:kind": "mock",
        "gripper:speed": 1.25,
        "gripper:delay": delay,
    }
    cameras = ("wrist_1", "wrist_2", "side_1")
    with cell_with(task, cameras, (ActorNode, make_gripper), parameters) as cell:
        hand = Hand(cell)
        cell.spin_until(lambda: len(cell.targets) > 5 and cell.episodes, "an episode")
        hand.play(0.5)
        hand.told.clear()
        hand.play(0.3, CLOSE)
        hand.until(lambda: hand.closed, "the closed hand")
        hand.play(1.0, CLOSE)
        told = hand.told[hand.told.index(0.0) :]
        assert set(told) == {0.0}, "nobody told it to open"

        end = time.monotonic() + 1.5  # somebody holds the fingers open
        while time.monotonic() < end:
            grippers[0]._hand.opening = 1.0
            hand.play(0.02)
        assert hand.told[-1] == 1.0, "it counts as open"
        hand.until(lambda: hand.closed, "the hand: closing it again is a decision, and obeyed", CLOSE)
        hand.play(1.0)
        assert hand.told[-1] == 0.0
    steps = [step for step in read_steps(run / "bags") if step.action is not None]
    assert {step.source for step in steps} == {Source.HUMAN}
    commands = [float(step.action[-1]) for step in steps]
    assert set(commands) == {0.0, -1.0}
    assert sum(step.grasp_penalty for step in steps) == pytest.approx(2 * -0.02), "two decisions"
    first = commands.index(-1.0)
    openings = np.array([float(step.state["gripper"][0]) for step in steps])
    assert openings[first] == 1.0
    assert openings[first:].min() == 0.0
    assert openings[-1] == 0.0
