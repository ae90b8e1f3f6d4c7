# SPDX-License-Identifier: Apache-2.0
"""Reset-free training of two agents with the real processes: one recording, one run, each learner for itself."""

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from tool_processes import end, processes_of, start

from hil_serl_core.step import Step
from hil_serl_core.testing.waiting import wait_for
from hil_serl_ros.bag import read_steps
from hil_serl_runs.recorded import recorded_episodes
from hil_serl_runs.run_folder import RunFolder

pytestmark = [pytest.mark.integration]
TASK = "object_relocation"
AGENTS = ("forward", "backward")


def record(run: Path) -> Path:
    process = start("record-demos", "--task", TASK, "--episodes", 2, "--run-dir", run)
    output = end(process)
    assert process.returncode == 0, output
    return run


def steps_of(run: Path, mode: str, agent: str) -> list[Step]:
    return list(read_steps(run / "bags" / mode / f"actor_0_{agent}", keep_before_damage=True))


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    return record(tmp_path_factory.mktemp("runs") / "demos")


def test_demonstrations_of_both_directions_are_recorded_in_one_run(demonstrations):
    forward, backward = RunFolder.open(demonstrations).tasks()
    for agent, task in zip(AGENTS, (forward, backward), strict=True):
        steps = steps_of(demonstrations, "record_demos", agent)
        assert {step.spec_hash for step in steps} == {task.hash}
        assert [step.sequence for step in steps] == list(range(len(steps)))
        assert sum(step.is_terminal and step.reward > 0 for step in steps) == 2
    assert forward.hash != backward.hash
    assert processes_of(demonstrations) == []


def test_equal_seeds_give_equal_demonstrations_of_both_agents(demonstrations, tmp_path):
    again = record(tmp_path / "again")
    for agent in AGENTS:
        first, second = (steps_of(run, "record_demos", agent) for run in (demonstrations, again))
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one.tcp_poses, other.tcp_poses)
            assert all(np.array_equal(one.frames[name], other.frames[name]) for name in one.frames)


def kill(run: Path, name: str) -> None:
    """SIGKILL for the process of a node."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().decode(errors="replace").split("\0")
        if f"__node:={name}" in words and any(str(run) in word for word in words):
            os.kill(int(path.parent.name), signal.SIGKILL)
            return
    raise AssertionError(f"no process of {name}")


def test_a_killed_learner_ends_the_run_and_resume_goes_on_with_both(demonstrations, tmp_path):
    run = tmp_path / "run"

    def trained(agent):
        return recorded_episodes(run / "bags" / "train" / f"actor_0_{agent}", "train")

    process = start("train", "--task", TASK, "--demos", demonstrations, "--run-dir", run)
    wait_for(lambda: trained("backward") or process.poll() is not None)
    assert process.poll() is None, end(process)
    kill(run, "learner_backward")
    output = end(process)
    assert process.returncode == 1, output
    assert "learner_backward was ended by SIGKILL" in output
    counted = {agent: (run / agent / "learner-train.csv").read_text().splitlines() for agent in AGENTS}
    assert all(len(rows) > 2 for rows in counted.values()), counted
    assert re.search(r"\| updates \d+ \(", output)  # the view shows learners
    wait_for(lambda: not processes_of(run))
    before = {agent: trained(agent) for agent in AGENTS}

    process = start("train", "--resume", run)
    wait_for(lambda: process.poll() is not None or len(trained("forward")) > len(before["forward"]))
    process.send_signal(signal.SIGINT)
    output = end(process)
    assert process.returncode == 130, output
    for agent in AGENTS:
        assert trained(agent)[: len(before[agent]) - 1] == before[agent][:-1]
        steps = steps_of(run, "train", agent)
        assert [step.sequence for step in steps] == list(range(len(steps)))
        assert {step.actor_id for step in steps} == {f"actor_0_{agent}"}
