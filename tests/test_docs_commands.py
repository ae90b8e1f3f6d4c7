# SPDX-License-Identifier: Apache-2.0
"""What README and docs tell people to type is typed: page by page, over the real nodes, as the table says."""

import os
import shutil

import numpy as np
import pytest
from doc_pages import ROOT
from doc_table import ROS_STORIES, STORIES
from PIL import Image
from terminal import Terminal, environment

from hil_serl_tasks.finder import find_task

pytestmark = [pytest.mark.integration, pytest.mark.timeout(7200)]
LISTENING = ("docs/two_machines.md", "docs/operators_guide.md")  # tools that would hear other runs, too


@pytest.fixture(scope="module")
def variables():
    return environment()


def prepare(page, folder, variables):
    """What a page's commands find: files that the page told to write, or that a person brings."""
    if page == "docs/add_your_own_task.md":
        own_task(folder)
        return {**variables, "PYTHONPATH": f"{folder}:{variables.get('PYTHONPATH', '')}"}
    if page == "docs/new_camera.md":
        camera = find_task("ram_insertion", simulated=False).cameras[0]
        pixels = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "scene.png")
    if page in LISTENING:
        return {**variables, "ROS_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"]}
    return variables


def own_task(folder):
    """The page's task file, and the simulator's package with the page's twin in it."""
    text = (ROOT / "docs" / "add_your_own_task.md").read_text(encoding="utf-8")
    blocks = {
        kind: [block.split("```")[0] for block in text.split(f"```{kind}\n")[1:]]
        for kind in ("yaml", "python")
    }
    (folder / "tasks").mkdir()
    (folder / "tasks" / "button_press.yaml").write_text(blocks["yaml"][0], encoding="utf-8")
    package = shutil.copytree(ROOT / "src" / "hil_serl_sim" / "hil_serl_sim", folder / "hil_serl_sim")
    twin, registration = blocks["python"]
    (package / "tasks" / "button_press.py").write_text(twin, encoding="utf-8")
    with (package / "tasks" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(registration)


@pytest.mark.parametrize("page", STORIES)
def test_the_commands_of_a_page_do_what_it_says(page, variables, tmp_path):
    terminal = Terminal(tmp_path, prepare(page, tmp_path, variables), {"run": "runs/ram_insertion-..."})
    for run in STORIES[page]:
        terminal.type(run)


@pytest.mark.parametrize("page", ROS_STORIES)
def test_the_commands_that_need_a_full_ros_do_what_the_page_says(page, tmp_path):
    for package in ("launch_ros", "controller_manager_msgs"):
        pytest.importorskip(package)
    if shutil.which("ros2") is None:
        pytest.skip("ros2 is not there")
    terminal = Terminal(tmp_path, os.environ)
    for run in ROS_STORIES[page]:
        terminal.type(run)
