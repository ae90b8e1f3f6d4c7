# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` itself: what it says of its arguments, and what it says when a node fails."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tool_processes import processes_of, wait_for

pytest.importorskip("launch_ros")
LAUNCH = Path(__file__).parent.parent / "launch"
TASK = Path(__file__).parent.parent / "config" / "tasks" / "sim" / "ram_insertion.yaml"

if shutil.which("ros2") is None:
    pytest.skip("ros2 is not there", allow_module_level=True)


def start(name, *arguments):
    command = ["ros2", "launch", str(LAUNCH / f"{name}.launch.py"), *(str(word) for word in arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def end(process, seconds=240.0):
    """What it printed; its group goes with it if it does not end."""
    try:
        return process.communicate(timeout=seconds)[0]
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
    wait_for(lambda: not processes_of(run))
