# SPDX-License-Identifier: Apache-2.0
"""Fixtures of pytest: tasks of the suite with short episodes, their files, and a state of an arm.

A ``conftest.py`` takes them all: ``from hil_serl_tasks.testing.fixtures import *``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_tasks.finder import suite_folder

TASK_FILE = suite_folder() / "sim" / "ram_insertion.yaml"
HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    """The RAM task with short episodes."""
    return short(load_task(TASK_FILE))


@pytest.fixture(scope="session")
def handover() -> TaskSpec:
    """Two arms with grippers, with short episodes."""
    task = load_task(TASK_FILE.parents[1] / "object_handover.yaml")
    return short(task, reset=task.reset.model_copy(update={"method": "scripted"}))


def short(task: TaskSpec, **update) -> TaskSpec:
    """A task with episodes of five steps."""
    return task.model_copy(update={"episode": task.episode.model_copy(update={"max_steps": 5}), **update})


def sample(stamp, frame="base", **changes):
    values = {"tcp_pose": HOME, "tcp_twist": np.zeros(6), "external_wrench": np.zeros(6), "gripper": 1.0}
    joints = {"joint_position": np.zeros(7), "joint_velocity": np.zeros(7)}
    return ArmSample(**{"stamp": stamp, "frame_id": frame, **values, **joints, **changes})


@pytest.fixture
def arm_sample():
    """Makes an arm state at HOME."""
    return sample


@pytest.fixture
def ram_file() -> Path:
    """Task file of the RAM twin."""
    return TASK_FILE


@pytest.fixture
def handover_file() -> Path:
    """Task file of two arms with grippers."""
    return TASK_FILE.parents[1] / "object_handover.yaml"


@pytest.fixture
def flip_file() -> Path:
    """Task file of a wrench task."""
    return TASK_FILE.parent / "object_flip.yaml"
