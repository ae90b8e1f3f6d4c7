# SPDX-License-Identifier: Apache-2.0
"""What the law is told of a task: gains, box and turn of every kind of task, speeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hil_serl_core.control import law_settings
from hil_serl_core.spec import load_task
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder()


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


@pytest.mark.parametrize("file", sorted(TASKS.glob("*.yaml")), ids=str)
def test_torques_on_a_franka_are_those_of_the_original_release(file):
    """Largest spring torque of its examples: stiffness times the clip on the quaternion vector [Nm]."""
    own = {
        "ram_insertion": 150.0 * np.array([0.01, 0.025, 0.005]),
        "object_handover": 120.0 * np.array([0.02, 0.03, 0.02]),
    }
    usual = 150.0 * np.array([0.02, 0.02, 0.015])
    spec = load_task(file)
    for name in spec.arm_names:
        settings = law_settings(spec, name)
        for clip in ("clip_pos", "clip_neg"):
            torque = np.multiply(settings["stiffness"][3:], settings[clip][3:])
            np.testing.assert_allclose(torque, own.get(spec.name, usual), err_msg=clip)


def test_joint_1_of_a_franka_is_held_by_its_posture_as_in_the_original_release():
    settings = law_settings(load_task(TASKS / "ram_insertion.yaml"))
    # Its released configuration: nullspace_stiffness 0.2, joint1_nullspace_stiffness 100, which multiply.
    np.testing.assert_allclose(settings["nullspace_stiffness"], [0.2 * 100.0] + [0.2] * 6)
    damping = 2.0 * np.sqrt(0.2)
    np.testing.assert_allclose(
        settings["nullspace_damping"], [damping * 2.0 * np.sqrt(100.0)] + [damping] * 6, rtol=0.01
    )


def test_the_last_number_of_a_list_is_for_the_joints_that_follow():
    spec = load_task(TASKS / "ram_insertion.yaml")
    assert law_settings(spec.with_joints({"": 6}))["nullspace_stiffness"] == [20.0] + [0.2] * 5
    eight = spec.control.model_copy(update={"nullspace_damping": (1.0,) * 8})
    with pytest.raises(ValueError, match=r"control.nullspace_damping has 8 numbers for an arm of 7 joints"):
        law_settings(spec.model_copy(update={"control": eight}))
