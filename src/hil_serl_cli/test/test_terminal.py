# SPDX-License-Identifier: Apache-2.0
"""What is printed is what is meant: brackets of a path stay, and commands can be pasted."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

import hil_serl_bringup
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_monitor.view import View, ViewState
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_runs.terminal import plain_console, word
from hil_serl_tasks.finder import suite_folder

PACKAGE = Path(hil_serl_bringup.__file__).parent
SOURCES = [
    path for path in PACKAGE.rglob("*.py") if path.name != "terminal.py" and "doctor" not in path.parts
]
ODD = "my runs [bold] [1] – ü"
TASK = suite_folder() / "sim" / "ram_insertion.yaml"


def test_brackets_stay(capsys):
    console = plain_console()
    table = Table(title=f"title {ODD}")
    table.add_column(f"head {ODD}")
    table.add_row(f"cell {ODD}")
    console.print(table)
    console.print(f"line {ODD}")
    View().say(f"said {ODD}")
    out = capsys.readouterr().out
    assert all(f"{place} {ODD}" in out for place in ("title", "head", "cell", "line", "said"))


def test_brackets_of_a_title_stay_in_the_live_view(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    view = View(plain_console())
    from hil_serl_monitor.view import render

    view.console.print(render(ViewState(title=ODD, phase=f"phase {ODD}", number=(1, 2)), 160))
    out = capsys.readouterr().out
    assert f"{ODD} · Ctrl-C ends cleanly" in out
    assert f"phase {ODD} (1 of 2)" in out


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_command_has_a_plain_console_and_quotes_what_it_tells_to_type(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![A-Za-z_])Console\(", text), "use terminal.plain_console()"
    typed = r"(?:hil-serl|tensorboard) [a-z-][^\"\n{]*\{(?!word\()[^}]*|(?:--resume|run_dir:=|--drop) ?\{(?!word\()[^}]*"
    bare = [
        found for found in re.findall(typed, text) if re.search(r"path|folder|source|run_dir|broken", found)
    ]
    assert not bare, "use terminal.word()"


def test_a_command_that_is_told_can_be_pasted(tmp_path):
    task = load_task(TASK)
    made = RunFolder.create(task, 1, "train", root=tmp_path, path=tmp_path / ODD)
    with pytest.raises(RunFolderError) as error:
        RunFolder.create(task, 1, "train", root=tmp_path, path=made.path)
    assert f"--resume {shlex.quote(str(made.path))}" in str(error.value)
    assert shlex.split(f"hil-serl eval {word(made.path)}")[-1] == str(made.path)


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict"])
@pytest.mark.parametrize(
    "command", [("tasks",), ("doctor",), ("--help",), ("eval", "nowhere – ü")], ids=lambda c: c[0]
)
def test_every_kind_of_output_is_shown_on_a_terminal_that_is_not_utf_8(command, encoding, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "hil_serl_cli.cli", *command],
        capture_output=True,
        env=environment,
        cwd=tmp_path,
        timeout=PATIENCE,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    assert b"codec can't" not in done.stdout + done.stderr
    assert done.returncode == (2 if command[0] == "eval" else 0), done.stderr
