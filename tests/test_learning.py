# SPDX-License-Identifier: Apache-2.0
"""The whole loop learns: demonstrations, a short training and an evaluation by `make demo`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

from hil_serl_core.testing.waiting import PATIENCE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(7200)]
ROOT = Path(__file__).parents[1]


def test_a_short_training_on_a_wide_slot_ends_in_autonomous_success(easy_task, tmp_path):
    of_the_suite = ("ROS_DOMAIN_ID", "MAKEFLAGS", "MAKELEVEL")
    environment = {key: value for key, value in os.environ.items() if key not in of_the_suite}
    options = f"--task {easy_task} --run-dir {tmp_path / 'run'} --demos 10 --episodes 10 --film-episodes 1"
    # So many transitions, and the updates that go with each: a busy machine takes longer for the same training.
    options += " --steps 3600 --minutes 1000 --window 60 --min-steps 600"
    # What `make demo` does once the set-up is there, with less of everything.
    command = ["make", "-o", "setup", "demo", "SEED=1", f"ARGS={options}"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=10 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary_file = done.stdout.strip().splitlines()[-1]
    with open(summary_file, encoding="utf-8") as file:
        summary = json.load(file)
    assert (
        summary["success_rate"] >= 0.5
    )  # without training it is zero: the start is off the slot, and no policy is given
    assert summary["bc_episodes"] == 10
    assert {"curve.png", "policy.mp4"} <= {path.name for path in (tmp_path / "run").iterdir()}

    with (tmp_path / "run" / "episodes.csv").open() as file:
        training = [row for row in csv.DictReader(file) if row["phase"] == "train"]

    def help_needed(rows):
        return sum(int(row["intervened_steps"]) for row in rows) / sum(int(row["steps"]) for row in rows)

    assert help_needed(training[-10:]) < 0.6 * help_needed(training[:10])
