# SPDX-License-Identifier: Apache-2.0
"""Wrench commands reach the law's wrench mode, with the task file's limits."""

import numpy as np
import pytest

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import task_from_dict
from hil_serl_sim.cell import Cell


@pytest.fixture(scope="module")
def wrench_spec(spec):
    content = spec.model_dump(mode="json")
    content["action"] = {
        "kind": "wrench",
        "wrench_axes": ["force_x", "force_z", "torque_y"],
        "wrench_scale": [8.0, 8.0, 1.0],
    }
    content["reset"] |= {"position_range": [0.0, 0.0, 0.0], "rotation_range": [0.0, 0.0, 0.0]}
    return task_from_dict(content)


@pytest.fixture
def cell(wrench_spec):
    return Cell(wrench_spec, seed=0)


def push(cell, wrench, ticks) -> np.ndarray:
    """Displacement of the tcp (3,) [m] under a wrench held for some ticks."""
    start = cell.arm_state().pose[:3]
    cell.advance({"": ArmCommand(wrench=np.array(wrench, dtype=float))}, ticks)
    return cell.arm_state().pose[:3] - start


def test_holds_before_the_first_wrench(cell):
    start = cell.arm_state().pose
    cell.advance(None, 500)
    np.testing.assert_allclose(cell.arm_state().pose[:3], start[:3], atol=1e-3)


def test_force_is_taken_in_the_tool_frame(cell):
    along_x = push(cell, [6.0, 0, 0, 0, 0, 0], 60)
    cell.reset(0)
    along_z = push(cell, [0, 0, 6.0, 0, 0, 0], 60)
    assert along_x[0] > 1e-3
    assert along_z[2] < -1e-3  # the tool points down
    assert abs(along_x[2]) < 0.3 * along_x[0]


def test_force_beyond_the_limit_counts_as_the_limit(cell):
    limit = cell.spec.control.wrench.force_limit
    wrenches = []
    for force in (limit, 5.0 * limit):
        cell.reset(0)
        push(cell, [force, 0, 0, 0, 0, 0], 30)
        wrenches.append(cell.arm_state().pose.tobytes())
    assert wrenches[0] == wrenches[1]


def test_an_old_wrench_and_a_wrong_frame_make_the_arm_hold(cell):
    push(cell, [1.0, 0, 0, 0, 0, 0], 10)
    cell.advance(None, round(1000 * cell.spec.control.wrench.timeout) + 50)
    assert "wrench" in cell.arm_state().fault_text
    cell.reset(0)
    assert cell.arm_state().fault == 0
    cell.command(ArmCommand(wrench=np.zeros(6)), cell.time, cell.spec.base_frame)
    cell.advance(None, 10)
    assert "frame" in cell.arm_state().fault_text
