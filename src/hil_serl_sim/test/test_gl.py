# SPDX-License-Identifier: Apache-2.0
"""An OpenGL backend that works is found, whoever imported what before."""

import os
import subprocess
import sys

import pytest

from hil_serl_sim import gl


@pytest.fixture
def environment(monkeypatch):
    # choose_backend writes to the environment: monkeypatch restores both afterwards
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv("_HIL_SERL_GL_CHECKED", "")
    return monkeypatch


def test_a_backend_that_works_is_found_and_not_probed_twice(environment):
    backend = gl.choose_backend()
    assert os.environ["MUJOCO_GL"] == backend
    environment.setattr(gl, "probe", lambda *_: pytest.fail("probed again"))
    assert gl.choose_backend() == backend


def test_first_backend_that_works_is_taken(environment):
    environment.setattr(gl, "probe", lambda backend: None if backend == "osmesa" else "no display")
    assert gl.choose_backend() == "osmesa"


def test_without_any_the_remedy_is_named(environment):
    environment.setattr(gl, "probe", lambda backend: f"lib{backend}.so: cannot open")
    with pytest.raises(gl.RendererUnavailableError, match=r"(?s)libosmesa6.*libegl\.so: cannot open"):
        gl.choose_backend()


def test_the_users_choice_is_checked_and_named(environment):
    environment.setenv("MUJOCO_GL", "osmesa")
    environment.setattr(gl, "probe", lambda backend: "broken" if backend == "osmesa" else None)
    with pytest.raises(gl.RendererUnavailableError, match="MUJOCO_GL=osmesa"):
        gl.choose_backend()


def test_probe_reports_why_a_backend_fails():
    assert gl.probe("no_such_backend")


GYMNASIUM = """
import gymnasium
made = gymnasium.make("hil_serl_sim.gymnasium_env:hil_serl/RamInsertion-v0")
made.reset(seed=0)
"""
CELL = """
import sys
from hil_serl_core.spec import load_task
from hil_serl_sim.cell import Cell
cell = Cell(load_task(sys.argv[1]), seed=0)
pictures = cell.render("wrist_1")
"""
OWN = "renderer = mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16)\n"


@pytest.mark.parametrize(
    "program",
    [
        "import mujoco\n" + GYMNASIUM,
        GYMNASIUM + "import mujoco\n" + OWN,
        "import mujoco\n" + CELL + OWN,
        CELL,
    ],
    ids=["mujoco before gymnasium", "gymnasium before mujoco", "mujoco before a cell", "a cell"],
)
def test_the_order_of_imports_does_not_matter(program, task_file):
    """As in a terminal without tools/env.sh, where MUJOCO_GL is not set."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("MUJOCO_GL", "_HIL_SERL_GL_CHECKED", "PYOPENGL_PLATFORM", "DISPLAY"):
        environment.pop(name, None)
    ending = "\nimport os; sys = __import__('sys'); sys.stdout.flush(); os._exit(0)"  # EGL's clean-up crashes at times
    done = subprocess.run(
        [sys.executable, "-c", program + ending, str(task_file)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
