# SPDX-License-Identifier: Apache-2.0
"""The actor node's stop over topics and services, against a cell played by the test (no simulator)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from played_cell import actor_and_cell
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_to_array

RAM = Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "tasks" / "sim" / "ram_insertion.yaml"
TASK = """
extends: {base}
observation_timeout: 1000.0    # a busy machine is not what is tested here
reward: {{kind: operator}}
"""


@pytest.fixture
def cell(tmp_path):
    task = tmp_path / "task.yaml"
    task.write_text(TASK.format(base=RAM))
    with actor_and_cell(task, tmp_path / "run") as played:
        yield played


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
