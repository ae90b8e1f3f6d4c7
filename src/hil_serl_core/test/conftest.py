# SPDX-License-Identifier: Apache-2.0
"""A small task for unit tests."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hil_serl_core.spec import TaskSpec, task_from_dict

TASK: dict[str, Any] = {
    "name": "unit_task",
    "description": "Task of the unit tests.",
    "cameras": [
        {"name": "wrist_1", "source_width": 40, "source_height": 32, "crop": [4, 0, 32, 32], "size": 16}
    ],
    "state": ["tcp_pose", "tcp_twist", "tcp_wrench"],
    "action": {"kind": "twist", "translation_scale": 0.01, "rotation_scale": 0.06},
    "control": {
        "translational_stiffness": [3000.0, 3000.0, 3000.0],
        "rotational_stiffness": [250.0, 250.0, 250.0],
        "clip_positive": [0.008, 0.008, 0.008],
        "clip_negative": [0.008, 0.008, 0.008],
        "rotation_clip_positive": [0.06, 0.06, 0.06],
        "rotation_clip_negative": [0.06, 0.06, 0.06],
    },
    "workspace": {"lower": [-0.05, -0.05, -0.05], "upper": [0.05, 0.05, 0.05], "max_rotation": 0.4},
    "episode": {"max_steps": 5},
    "reset": {
        "nominal_position": [0.5, 0.0, 0.3],
        "position_range": [0.04, 0.04, 0.01],
        "rotation_range": [0.0, 0.0, 0.1],
    },
    "reward": {"kind": "ground_truth"},
}


@pytest.fixture
def task_dict() -> dict[str, Any]:
    return copy.deepcopy(TASK)


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    return task_from_dict(TASK)


@pytest.fixture(scope="session")
def two_arms() -> TaskSpec:
    """Two arms with grippers: 12-D twist and nine discrete actions."""
    task = copy.deepcopy(TASK)
    workspace = task.pop("workspace")
    nominal = task["reset"].pop("nominal_position")
    task["arms"] = {
        side: {
            "base_frame": f"{side}_base",
            "tcp_frame": f"{side}_tcp",
            "base_position": [0.0, y, 0.0],
            "nominal_position": nominal,
            "workspace": workspace,
        }
        for side, y in (("right", -0.4), ("left", 0.4))
    }
    task["state"].append("gripper")
    task["action"]["gripper"] = {"penalty": -0.02}
    return task_from_dict(task)


@pytest.fixture(scope="session")
def wrench_task() -> TaskSpec:
    """Three components of a feed-forward wrench, as in Table 12."""
    task = copy.deepcopy(TASK)
    task["state"] = ["tcp_pose", "joint_position", "joint_velocity"]
    task["action"] = {
        "kind": "wrench",
        "wrench_axes": ["force_x", "force_z", "torque_y"],
        "wrench_scale": [13.0, 12.0, 3.5],
    }
    return task_from_dict(task)
