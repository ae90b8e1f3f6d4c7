# SPDX-License-Identifier: Apache-2.0
"""Operator's devices at the actor node, over topics: what they cost, a lost device, a pad of another layout."""

from __future__ import annotations

import json

import pytest
from played_cell import actor_and_cell
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_ros import names, qos
from hil_serl_ros.stamps import stamp_from_seconds
from hil_serl_tasks.finder import suite_folder
from hil_serl_teleop.devices import TeleopDecoder

RAM = suite_folder() / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 1000.0    # a busy machine is not what is tested here
reward: {{kind: operator}}
episode: {{max_steps: 10000}}
intervention: {{stop_button: 3, timeout: 5.0}}
"""
BLUETOOTH_REST = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]


@pytest.fixture
def cell(tmp_path):
    """``cell(parameters)``: the actor with a gamepad, and its cell."""
    task = tmp_path / "task.yaml"
    task.write_text(TASK.format(base=RAM))
    made = []

    def make(**parameters):
        made.append(actor_and_cell(task, tmp_path / "run", operator="joy", **parameters))
        return made[0].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)


def pad(world):
    """``press(axes, buttons)``: one message of the pad."""
    publisher = world.node.create_publisher(Joy, "joy", qos.OPERATOR)
    world.spin_until(publisher.get_subscription_count, "the actor's ear")

    def press(axes, buttons=(0, 0, 0, 0)):
        message = Joy(axes=axes, buttons=buttons)
        message.header.stamp = stamp_from_seconds(world.now)
        publisher.publish(message)

    return press


def operator_lines(world):
    return [
        status for array in world.diagnostics for status in array.status if status.name == "actor/operator"
    ]


def test_a_pad_of_another_layout_does_not_drive_without_a_word(cell):
    world = cell()
    press = pad(world)
    press([0.0, 0.0, 0.1, *BLUETOOTH_REST[3:]])

    def said():
        press(BLUETOOTH_REST)
        return any(
            "another layout (it looks like xbox_bluetooth)" in s.message for s in operator_lines(world)
        )

    world.spin_until(said, "the doubt in /diagnostics")
    assert any(s.level == b"\x01" for s in operator_lines(world)), "WARN"


@pytest.mark.parametrize("layout", [
    "xbox_bluetooth",
    "'" + json.dumps({"axes": {"x": 2, "y": 1, "z": [6, -5], "pitch": 4, "yaw": 3}, "triggers": [5, 6]}) + "'",
])  # fmt: skip
def test_the_pad_of_the_robot_files_layout_is_at_rest(cell, layout):
    world = cell(device_layout=layout)
    press = pad(world)
    press([0.0, 0.0, 0.1, *BLUETOOTH_REST[3:]])
    begun = world.now

    def heard_for_long():
        press(BLUETOOTH_REST)
        return world.now - begun > 6.0 and len(operator_lines(world)) > 3

    world.spin_until(heard_for_long, "some reports")
    assert {s.message for s in operator_lines(world)} == {"delivering"}


def test_messages_that_no_tick_looks_at_are_not_decoded_and_a_tap_among_them_is_heard(cell, monkeypatch):
    decoded, decode = [], TeleopDecoder.decode
    monkeypatch.setattr(TeleopDecoder, "decode", lambda *a: decoded.append(None) or decode(*a))
    ticks, tick = [], ControlLoop.tick
    monkeypatch.setattr(ControlLoop, "tick", lambda *a: ticks.append(None) or tick(*a))
    world = cell()
    press, sent, heard = pad(world), [], []
    world.node.create_subscription(Joy, "joy", heard.append, qos.OPERATOR_HEARD)

    def many(tap=False):
        for k in range(10):
            press([0.3 + 1e-3 * (len(sent) % 7), 0, 0, 0, 0, 0], (0, 0, 0, int(tap and k == 5)))
            sent.append(None)
            for _ in range(5):  # all that an executor has to do for it
                world.executor.spin_once(timeout_sec=0.0)

    def enough():
        many()
        return len(heard) >= 500

    world.spin_until(enough, "messages")
    # Counted, not timed: on a busy machine there are fewer messages to a tick.
    assert 0 < len(decoded) <= len(ticks) + 1, "the first message, and the newest one of each tick"
    world.node.create_subscription(Bool, names.STOPPED, lambda m: world.stopped.append(m.data), qos.STOPPED)
    many(tap=True)
    world.spin_until(lambda: True in world.stopped, "the stop")
