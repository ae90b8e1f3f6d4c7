# SPDX-License-Identifier: Apache-2.0
"""The ros2_control plugin and the Python binding are one law: the same inputs, the same torques to 1e-9."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

law = pytest.importorskip("serl_impedance_controller")

TRAJECTORY = os.environ.get("SERL_PLUGIN_TRAJECTORY", "")
SIZES = {"q": 7, "dq": 7, "pose": 7, "jacobian": 42, "bias": 7, "mass_matrix": 49}


@pytest.mark.skipif(
    not TRAJECTORY, reason="run by colcon test after test_cartesian_controller has written the file"
)
def test_binding_repeats_the_plugins_torques():
    controller = law.Controller(base_frame="arm_base", tool_frame="tool")
    controller.set(
        damping_kind=law.DampingKind.RATIO,
        smoothing=0.02,
        nullspace_stiffness=0.2,
        nullspace_damping=3.0,
        torque_rate=1000.0,
        torque_limit=[87.0] * 4 + [12.0] * 3,
    )
    worst, ticks, moved = 0.0, 0, 0.0
    for line in Path(TRAJECTORY).read_text().splitlines():
        kind, *text = line.split(",")
        numbers = np.array(text, dtype=float)
        if kind == "target":
            controller.set_target_pose(numbers[1:], numbers[0])
            continue
        parts = np.split(numbers[1:], np.cumsum([*SIZES.values()]))
        inputs = dict(zip(SIZES, parts, strict=False))
        inputs["jacobian"] = inputs["jacobian"].reshape(6, 7)
        inputs["mass_matrix"] = inputs["mass_matrix"].reshape(7, 7)
        torque = controller.update(*inputs.values(), numbers[0])
        worst = max(worst, float(np.abs(torque - parts[-1]).max()))
        moved = max(moved, float(np.abs(torque - inputs["bias"]).max()))
        ticks += 1
    assert ticks == 1500
    assert moved > 1.0  # torques that say something
    assert worst < 1e-9
