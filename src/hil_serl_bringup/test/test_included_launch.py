# SPDX-License-Identifier: Apache-2.0
"""A launch file of another package as one process of the graph."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil_serl_bringup.graph.executables import ExecutableNotFound
from hil_serl_bringup.launching.included import find_launch_file
from hil_serl_core.testing.waiting import PATIENCE

ROOT = Path(__file__).parent.parent
LAUNCH_FILE = """
import sys
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    code = ["import sys; print('level', sys.argv[1], flush=True); sys.exit(int(sys.argv[1]))"]
    return LaunchDescription([
        DeclareLaunchArgument("level", default_value="0"),
        ExecuteProcess(cmd=[sys.executable, "-c", *code, LaunchConfiguration("level")], name="lamp", output="screen"),
        ExecuteProcess(cmd=["sleep", LaunchConfiguration("level")], name="waiter"),
    ])
"""


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An installed package `my_lights` with a launch file."""
    (tmp_path / "share" / "ament_index" / "resource_index" / "packages").mkdir(parents=True)
    (tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "my_lights").touch()
    (tmp_path / "share" / "my_lights" / "launch").mkdir(parents=True)
    (tmp_path / "share" / "my_lights" / "launch" / "lights.launch.py").write_text(LAUNCH_FILE)
    old = os.environ.get("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(filter(None, [str(tmp_path), old])))
    return tmp_path


def test_a_launch_file_is_found_below_its_package(prefix):
    assert find_launch_file("my_lights", "lights.launch.py").is_file()
    with pytest.raises(
        FileNotFoundError, match=r"no launch file 'light.launch.py'; it has lights\.launch\.py"
    ):
        find_launch_file("my_lights", "light.launch.py")
    with pytest.raises(ExecutableNotFound, match="ros-jazzy-my-light"):
        find_launch_file("my_light", "lights.launch.py")


def run(*words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "hil_serl_bringup.launching.included", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_the_first_of_its_processes_that_fails_ends_it(prefix):
    pytest.importorskip("launch_ros")
    done = run("my_lights", "lights.launch.py", "level:=7")
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert "lights.launch.py of 'my_lights' ends: lamp-1 ended with exit code 7" in text


def test_it_ends_well_when_all_of_them_do(prefix):
    pytest.importorskip("launch_ros")
    done = run("--namespace", "cell", "my_lights", "lights.launch.py")
    assert done.returncode == 0
    assert "level 0" in done.stdout + done.stderr


def test_a_missing_package_is_one_line(prefix):
    done = run("my_light", "lights.launch.py")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the ROS package 'my_light' was not found.")
