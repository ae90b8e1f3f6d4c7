# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` itself: what it says of its arguments, and what it says when a node fails."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tool_processes import processes_of

from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_tasks.finder import suite_folder

pytest.importorskip("launch_ros")
LAUNCH = Path(__file__).parents[2] / "hil_serl_bringup" / "launch"
TASK = suite_folder() / "sim" / "ram_insertion.yaml"

if shutil.which("ros2") is None:
    pytest.skip("ros2 is not there", allow_module_level=True)


def start(name, *arguments):
    command = ["ros2", "launch", str(LAUNCH / f"{name}.launch.py"), *(str(word) for word in arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def end(process):
    """What it printed; its group goes with it if it does not end."""
    try:
        return process.communicate(timeout=PATIENCE)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["task", "bimanual", "sim", "robot", "cameras", "monitor"])
def test_show_args_reads_well(name):
    process = start(name, "--show-args")
    text = end(process)
    assert process.returncode == 0
    assert "name of a task (hil-serl tasks), or path of a task file" in text
    assert "Valid choices are" in text or name in ("robot", "cameras")


def test_what_cannot_be_started_is_said_before_anything_starts():
    process = start("task", "task:=ram_insertio")
    text = end(process)
    assert process.returncode == 1
    assert "did you mean 'ram_insertion'?" in text
    assert "process started" not in text


def test_a_misspelt_argument_starts_nothing():
    process = start("task", "oprator:=scripted")
    text = end(process)
    assert process.returncode == 1
    assert "no argument 'oprator'; did you mean 'operator'?" in text
    assert "process started" not in text


def test_a_file_that_includes_it_is_told_of_a_name_that_looks_wrong(tmp_path):
    """It may have arguments of its own, so that nothing is refused."""
    outer = tmp_path / "outer.launch.py"
    outer.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import IncludeLaunchDescription\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "def generate_launch_description():\n"
        f"    source = PythonLaunchDescriptionSource({str(LAUNCH / 'task.launch.py')!r})\n"
        "    given = {'task': 'ram_insertio', 'oprator': 'scripted', 'mine': '1'}\n"
        "    return LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given.items())])\n"
    )
    process = subprocess.run(["ros2", "launch", str(outer)], capture_output=True, text=True, check=False)
    text = process.stdout + process.stderr
    assert "did you mean 'ram_insertion'?" in text
    assert "argument 'mine'" not in text


def sim_of(run):
    """Process id of the simulator that works on a run."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any("sim_node" in word for word in words) and any(str(run) in word for word in words):
            return int(line.parent.name)
    return None


def test_a_node_that_dies_ends_the_run_with_its_reason(tmp_path):
    run = tmp_path / "run"
    process = start(
        "task",
        f"task:={TASK}",
        "mode:=record_demos",
        "operator:=scripted",
        "speed:=lockstep",
        f"run_dir:={run}",
    )
    try:
        wait_for(lambda: sim_of(run))
        os.kill(sim_of(run), signal.SIGKILL)
    finally:
        text = end(process)
    assert process.returncode == 1
    assert "the run ends: sim (hil_serl_sim/sim_node) ended with exit code -9" in text
    logs = {path.stem for path in (run / "logs" / "record_demos").glob("*.log")}
    assert logs == {"sim", "operator", "actor", "monitor"}
    assert "Recording demonstrations: " in text, "progress, line by line"
    wait_for(lambda: not processes_of(run))
