# SPDX-License-Identifier: Apache-2.0
import pathlib

import pytest

from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_sim.gl import choose_backend
from hil_serl_tasks.finder import suite_folder

choose_backend()  # before anything imports mujoco

TASK = suite_folder() / "sim" / "ram_insertion.yaml"


@pytest.fixture(scope="session")
def task_file() -> pathlib.Path:
    return TASK


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    return load_task(TASK)


@pytest.fixture
def cell(spec):
    from hil_serl_sim.cell import Cell

    cell = Cell(spec, seed=0)
    yield cell
    cell.close()
