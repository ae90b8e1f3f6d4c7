# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hil_serl_core.spec import TaskSpec, load_task

TASK_FILE = Path(__file__).parents[2] / "hil_serl_bringup" / "config" / "tasks" / "ram_insertion.yaml"


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    """The RAM task with short episodes."""
    task = load_task(TASK_FILE)
    return task.model_copy(update={"episode": task.episode.model_copy(update={"max_steps": 5})})
