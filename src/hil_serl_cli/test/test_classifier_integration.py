# SPDX-License-Identifier: Apache-2.0
"""A reward classifier from recording to training on it, with the real commands and processes."""

import csv
import signal
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tool_processes import end, start

from hil_serl_core.rewards import read_labels
from hil_serl_core.testing.waiting import wait_for
from hil_serl_ros.bag import read_steps

pytestmark = [pytest.mark.integration]

EASY = Path(__file__).parents[3] / "tests" / "easy_insertion.yaml"


def run_to_end(*arguments) -> str:
    process = start(*arguments)
    output = end(process)
    assert process.returncode == 0, output
    return output


def labels(run: Path, mode: str) -> dict:
    return read_labels(run / "bags" / mode / "actor_0" / "labels.jsonl")


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Path:
    content = yaml.safe_load(EASY.read_text())
    content["reward"]["classifier"] = {"cameras": ["wrist_1", "wrist_2"]}
    path = tmp_path_factory.mktemp("tasks") / "easy_insertion.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def recorded(task, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "recorded"
    run_to_end("classifier", "record", "--task", task, "--episodes", 8, "--run-dir", run)
    return run


def test_every_step_is_labelled_by_the_truth_and_episodes_run_on_after_success(recorded):
    found = labels(recorded, "record_classifier")
    steps = list(read_steps(recorded / "bags"))
    assert set(found) == {(step.actor_id, step.sequence) for step in steps}
    counts = Counter(found.values())
    assert set(counts) == {"success", "failure"}
    assert counts["success"] > 8, "the part stays where it belongs for some steps"
    assert Counter(step.episode for step in steps) == dict.fromkeys(range(8), 41)


def test_policy_trains_on_the_classifier_and_the_truth_is_kept_beside_it(recorded, task, tmp_path):
    output = run_to_end("classifier", "train", recorded, "--iterations", 60)
    assert "held-out" in output
    run = tmp_path / "run"
    options = ("--reward", "classifier", "--classifier", recorded / "classifier")
    process = start("train", "--task", task, *options, "--demonstrations", 2, "--run-dir", run)

    def episodes() -> list[dict]:
        path = run / "episodes.csv"
        rows = list(csv.DictReader(path.open())) if path.exists() else []
        return [row for row in rows if row["phase"] == "train"]

    wait_for(lambda: episodes() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    output = end(process)
    assert process.returncode == 130, output
    steps = list(read_steps(run / "bags" / "train"))
    assert set(labels(run, "train")) == {(step.actor_id, step.sequence) for step in steps}
    assert run_to_end("classifier", "check", recorded, run / "bags" / "train").count("checked") == 1
