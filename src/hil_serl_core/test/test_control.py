# SPDX-License-Identifier: Apache-2.0
"""What the law is told of a task: gains, box and turn of every kind of task, speeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hil_serl_core.control import law_settings
from hil_serl_core.spec import load_task

TASKS = Path(__file__).parents[2] / "hil_serl_bringup/config/tasks"


@pytest.mark.parametrize("file", sorted([*TASKS.glob("*.yaml"), *TASKS.glob("sim/*.yaml")]), ids=str)
def test_every_arm_of_every_task_has_a_box_a_largest_turn_and_speed_limits(file):
    spec = load_task(file)
    for name in spec.arm_names:
        arm, settings = spec.arm(name), law_settings(spec, name)
        np.testing.assert_allclose(
            settings["workspace_low"], np.add(arm.nominal_position, arm.workspace.lower)
        )
        np.testing.assert_allclose(
            settings["workspace_high"], np.add(arm.nominal_position, arm.workspace.upper)
        )
        nominal = Rotation.from_rotvec(arm.nominal_rotation)
        assert (Rotation.from_quat(settings["workspace_orientation"]) * nominal.inv()).magnitude() < 1e-9
        assert settings["workspace_max_rotation"] == arm.workspace.max_rotation
        assert settings["pose_linear_speed"] == arm.control.linear_speed
        assert settings["pose_angular_speed"] == arm.control.angular_speed
        assert settings.get("joint_speed") == arm.control.joint_speed


def test_a_wrench_task_faults_far_outside_only():
    settings = law_settings(load_task(TASKS / "object_flip.yaml"))
    assert settings["workspace_margin"] == 0.1
    assert settings["workspace_rotation_margin"] == 0.3
    assert settings["workspace_patience"] == 1.0
