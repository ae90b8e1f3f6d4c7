# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil_serl_cli.cli import COMMANDS

ROOT = Path(__file__).parent.parent


def hil_serl(*arguments, cwd=None):
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "hil_serl_cli.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_help_names_and_explains_every_command():
    text = hil_serl("--help").stdout
    for command in COMMANDS:
        assert command in text
    assert "record demonstrations, train with interventions, evaluate" in text


def test_help_of_a_command_explains_its_options():
    text = hil_serl("train", "--help").stdout
    for expected in ("--resume", "--operator", "{scripted,spacenav,joy,keyboard,none}", "--seed", "lockstep"):
        assert expected in text, expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("demo", "--task", "ram_insertoin"), "did you mean 'ram_insertion'?"),
        (("train", "--resume", "nowhere"), "nowhere is not a run folder"),
        (("train", "--operator", "keyboard", "--speed", "lockstep"), "--speed 1.0"),
        (("eval", "nowhere"), "not a run folder"),
        (("replay", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_get_one_clear_error(tmp_path, arguments, message):
    done = hil_serl(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")


def test_a_misspelt_option_is_corrected():
    done = hil_serl("demo", "--sed", "3")
    assert done.returncode == 2
    assert "--seed" in done.stderr + done.stdout


def test_tasks_are_listed_with_what_they_need_and_whether_they_are_simulated():
    text = hil_serl("tasks").stdout
    assert "HIL-SERL, Table 10" in text
    assert "2 arms, 12-D twist and 9 gripper commands at 10 Hz" in text
    one = hil_serl("tasks", "ram_insertion").stdout
    assert "classifier on wrist_1, wrist_2" in one
    assert "yes, with wrist_1 (64 px)" in one
    assert "no; on a robot only" in hil_serl("tasks", "jenga_whipping").stdout


def test_a_task_without_a_twin_is_refused_in_simulation(tmp_path):
    done = hil_serl("train", "--task", "timing_belt", cwd=tmp_path)
    assert done.returncode == 2
    assert "task 'timing_belt' has no simulated twin; tasks that have one:" in done.stderr


def test_no_command_waits_for_pytorch_before_it_is_known_what_is_asked_for():
    code = "import sys; from hil_serl_cli import cli; cli.load_commands(); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "False", done.stderr
