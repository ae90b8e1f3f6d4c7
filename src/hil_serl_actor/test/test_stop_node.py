# SPDX-License-Identifier: Apache-2.0
"""The actor node's stop over topics and services, against a cell played by the test (no simulator)."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from played_cell import actor_and_cell
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_to_array
from hil_serl_ros.stamps import stamp_from_seconds
from hil_serl_tasks.finder import suite_folder

RAM = suite_folder() / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 1000.0    # a busy machine is not what is tested here
reward: {{kind: operator}}
episode: {{max_steps: 10000}}
intervention: {{stop_button: 3, timeout: 2.0}}
"""


@pytest.fixture
def cell(tmp_path):
    task = tmp_path / "task.yaml"
    task.write_text(TASK.format(base=RAM))
    with actor_and_cell(task, tmp_path / "run", operator="spacenav") as played:
        yield played


@pytest.fixture
def joy(cell):
    """``joy(push, stop, ahead)``: one message of the device, stamped so many seconds ahead of the actor's clock."""
    publisher = cell.node.create_publisher(Joy, names.SPACENAV_JOY, qos.OPERATOR)
    cell.spin_until(publisher.get_subscription_count, "the actor's ear")

    def publish(push=0.0, stop=False, ahead=0.0):
        message = Joy(axes=[push, 0.0, 0.0, 0.0, 0.0, 0.0], buttons=[0, 0, 0, int(stop)])
        message.header.stamp = stamp_from_seconds(cell.now + ahead)
        publisher.publish(message)

    return publish


def test_a_tap_on_the_stop_button_is_heard_by_an_actor_that_was_busy_meanwhile(cell, joy):
    cell.node.create_subscription(Bool, names.STOPPED, lambda m: cell.stopped.append(m.data), qos.STOPPED)
    joy(stop=True)
    joy()
    cell.spin_until(lambda: True in cell.stopped, "the stop")


def test_a_device_whose_clock_runs_ahead_falls_silent_like_any_other(cell, joy):
    """Its last push must not drive the arm on until the actor's clock has caught up."""
    cell.spin_until(lambda: len(cell.targets) > 3, "targets of an episode")
    moved = partial(_any_target, cell, lambda pose: not np.allclose(pose, cell.pose, atol=1e-4))
    joy(push=1.0, ahead=1000.0)
    cell.spin_until(partial(moved, len(cell.targets)), "its push")
    rests = partial(_any_target, cell, lambda pose: np.allclose(pose, cell.pose, atol=1e-4))
    cell.spin_until(partial(rests, len(cell.targets)), "the arm's rest")


def test_a_device_that_falls_silent_is_named_in_the_terminal(cell, joy, capfd):
    """Who sits beside the robot relies on it, also to stop."""
    joy()
    said = []

    def named():
        said.append(capfd.readouterr().err)
        return "nothing heard for 3 s on spacenav/joy" in "".join(said)

    cell.spin_until(named, "the warning")
    assert "nobody can intervene or stop the robot with it" in "".join(said)


def _any_target(cell, condition, since):
    return any(condition(pose_to_array(message.pose)) for message in cell.targets[since:])


def test_stop_and_clear_over_services(cell):
    cell.spin_until(lambda: len(cell.targets) > 3, "targets of an episode")
    reply = cell.call(Trigger, names.STOP)
    assert reply.success
    assert "the service stop" in reply.message
    assert "clear_stop" in reply.message
    # Who listens only now hears it too.
    cell.node.create_subscription(Bool, names.STOPPED, lambda m: cell.stopped.append(m.data), qos.STOPPED)
    cell.spin_until(lambda: cell.stopped == [True], "the latched state")
    cell.spin_until(lambda: any(not e.started for e in cell.episodes), "the end of the episode")
    ended = next(e for e in cell.episodes if not e.started)
    assert (ended.success, ended.truncated, ended.aborted) == (False, True, True)
    assert ended.reason == "stopped: the service stop"
    statuses = [status for array in cell.diagnostics for status in array.status]
    told = [status for status in statuses if status.level == b"\x02"]
    assert told, "an error in /diagnostics"
    assert "the service stop" in told[-1].message

    resets, held = cell.resets, len(cell.targets)
    cell.spin_until(lambda: len(cell.targets) > held + 5, "the hold, again and again")
    assert all(np.allclose(pose_to_array(m.pose), cell.pose) for m in cell.targets[held:])
    assert cell.resets == resets

    assert cell.call(Trigger, names.STOP).success, "a second one changes nothing"
    assert cell.call(Trigger, names.CLEAR_STOP).success
    cell.spin_until(lambda: cell.stopped[-1] is False, "the cleared state")
    cell.spin_until(lambda: cell.resets > resets, "the next reset")
    refused = cell.call(Trigger, names.CLEAR_STOP)
    assert not refused.success
    assert refused.message == "nothing is stopped"
