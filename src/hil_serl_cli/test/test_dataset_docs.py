# SPDX-License-Identifier: Apache-2.0
"""Runs every command that docs/datasets.md prints, in the page's order."""

import importlib.util
import pickle
import re
import shlex
from pathlib import Path

import pytest
from dataset_bags import episode, hil_serl, small_task, write_run
from test_dataset_hilserl import demonstrations

from hil_serl_datasets.recordings import find_recordings
from hil_serl_tasks.finder import find_task

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="tests run outside the repository")


def printed_commands():
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()
    ]


def test_every_printed_command_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spec = small_task()
    ends = ("success", "time_limit", "success", "failure", "success")
    write_run(tmp_path / "runs/demos", spec, [episode(spec, n, end=end) for n, end in enumerate(ends)])
    write_run(tmp_path / "runs/more", spec, [episode(spec, 9)])
    real = find_task("ram_insertion", simulated=False)
    (tmp_path / "demos.pkl").write_bytes(pickle.dumps(demonstrations((2, 2), spec=real)))
    commands = printed_commands()
    assert len(commands) >= 10
    assert {command[2] for command in commands} == {
        *("list", "check", "trim", "relabel", "merge", "convert", "import-hilserl")
    }
    for command in commands:
        if command[2] == "convert" and importlib.util.find_spec("pyarrow") is None:
            continue  # the command says what to install, see test_dataset_lerobot.py
        code, _, error = hil_serl(capsys, *command[1:])
        assert code == 0, f"{shlex.join(command)}: {error}"
    assert len(find_recordings([Path("runs/all")])) == 2
    assert Path("runs/imported/task.yaml").exists()
