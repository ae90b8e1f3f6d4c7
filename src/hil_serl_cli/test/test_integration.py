# SPDX-License-Identifier: Apache-2.0
"""The command-line tool with its real processes over DDS: it ends them, and goes on after an interruption."""

import csv
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tool_processes import end, processes_of, start

from hil_serl_core.testing.waiting import wait_for
from hil_serl_runs.recorded import recorded_episodes

pytestmark = [pytest.mark.integration]


def rows(run: Path, phase: str) -> list[dict]:
    path = run / "episodes.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["phase"] == phase]


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "demos"
    process = start("record-demos", "--episodes", 3, "--run-dir", run)
    output = end(process)
    assert process.returncode == 0, output
    return run


def test_demonstrations_are_recorded_and_nothing_is_left_running(demonstrations):
    recorded = recorded_episodes(demonstrations / "bags" / "record_demos", "record_demos")
    assert sum(episode.success for episode in recorded) == 3
    listed = rows(demonstrations, "record_demos")
    assert [(int(r["episode"]), int(r["steps"])) for r in listed] == [(e.episode, e.steps) for e in recorded]
    assert processes_of(demonstrations) == []


def interrupt(process: subprocess.Popen, run: Path, number: signal.Signals) -> str:
    process.send_signal(number)
    output = end(process)
    wait_for(lambda: not processes_of(run))
    return output


def test_ctrl_c_ends_training_in_order_and_resume_goes_on(demonstrations, tmp_path):
    run = tmp_path / "run"
    process = start("train", "--demos", demonstrations, "--run-dir", run)
    wait_for(lambda: rows(run, "train") or process.poll() is not None)
    output = interrupt(process, run, signal.SIGINT)
    assert process.returncode == 130, output
    assert f"hil-serl train --resume {run}" in output
    assert (run / "bags" / "train" / "actor_0" / "000" / "metadata.yaml").exists(), "the bag was closed"
    before = recorded_episodes(run / "bags" / "train", "train")

    process = start("train", "--resume", run)
    wait_for(lambda: len(rows(run, "train")) > len(before) or process.poll() is not None)
    # A supervisor that is killed takes its processes along.
    output = interrupt(process, run, signal.SIGKILL)
    numbers = [e.episode for e in recorded_episodes(run / "bags" / "train", "train")]
    assert numbers == list(range(len(numbers))), output
    assert len(numbers) > len(before)


def test_a_killed_node_is_reported_and_ends_the_run(demonstrations, tmp_path):
    run = tmp_path / "run"
    process = start("train", "--demos", demonstrations, "--run-dir", run)
    wait_for(lambda: rows(run, "train") or process.poll() is not None)
    victim = next(
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"sim_node" in path.read_bytes() and str(run).encode() in path.read_bytes()
    )
    os.kill(victim, signal.SIGKILL)
    output = end(process)
    assert process.returncode == 1
    assert "sim was ended by SIGKILL" in output
    assert str(run / "logs" / "train" / "sim.log") in output
    wait_for(lambda: not processes_of(run))
    assert json.loads((run / "run.json").read_text())["done"] == {}
