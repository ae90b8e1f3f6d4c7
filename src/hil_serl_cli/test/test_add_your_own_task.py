# SPDX-License-Identifier: Apache-2.0
"""Follows docs/add_your_own_task.md: what is printed there is taken from the page and used."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml

from hil_serl_bringup.graph.robots import find_robot
from hil_serl_core.spec import task_from_dict
from hil_serl_sim import tasks as sim_tasks
from hil_serl_sim.gl import choose_backend
from hil_serl_tasks.finder import find_task, tasks, twins

PAGE = Path(__file__).parents[3] / "docs" / "add_your_own_task.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="tests run outside the repository")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with the page's task file, and the page's twin in place."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "button_press.yaml").write_text(blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    twin, registration = blocks("python")
    module = types.ModuleType("hil_serl_sim.tasks.button_press")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    exec(compile(twin, "button_press.py", "exec"), module.__dict__)
    monkeypatch.setattr(sim_tasks, "_TWINS", dict(sim_tasks._TWINS))
    exec(registration, {"_TWINS": sim_tasks._TWINS})
    return tmp_path


def test_the_task_is_found_by_its_name(work):
    assert "button_press" in tasks()
    assert "button_press" in twins()
    assert find_task("button_press").sim.twin == "button_press"


def test_an_expert_succeeds_and_doing_nothing_fails(work):
    choose_backend()
    from hil_serl_sim.cell import Cell
    from hil_serl_sim.expert import Expert
    from hil_serl_sim.rollout import run_episode

    spec = find_task("button_press")
    cell = Cell(spec, seed=0)
    expert = Expert(spec, cell.twin.guide())
    solved = [run_episode(cell, seed, expert.action).success for seed in range(8)]
    assert all(solved)
    assert not any(run_episode(cell, seed, lambda view: np.zeros(6)).success for seed in range(3))
    pictures = [cell.render(camera.name) for camera in spec.cameras]
    red = [(p[..., 0].astype(int) - p[..., 1] > 80).mean() for p in pictures]
    assert max(red) > 0.005  # the button is in the picture
    cell.close()


def test_the_scripted_operator_demonstrates_it(work):
    choose_backend()
    from hil_serl_sim.cell import Cell
    from hil_serl_sim.operator import OperatorMode, ScriptedOperator
    from hil_serl_sim.rollout import run_episode

    spec = find_task("button_press")
    cell = Cell(spec, seed=0)
    operator = ScriptedOperator(spec, cell.twin.guide(), seed=0)
    operator.mode = OperatorMode.DEMONSTRATE
    solved = [run_episode(cell, seed, None, operator).success for seed in range(8)]
    cell.close()
    assert sum(solved) >= 6


def test_the_rewards_of_a_real_cell_are_valid(work):
    content = yaml.safe_load(blocks("yaml")[0])
    del content["sim"]
    kinds = []
    for block in blocks("yaml")[1:4]:
        content["reward"] = yaml.safe_load(block)["reward"]
        kinds.append(task_from_dict(content).reward.kind)
    assert kinds == ["operator", "pose", "classifier"]


def test_the_robot_file_of_an_environment_is_valid(work):
    (work / "my_world.yaml").write_text(blocks("yaml")[4])
    assert find_robot("my_world.yaml").gym.environment == "my_module:MyEnv"
