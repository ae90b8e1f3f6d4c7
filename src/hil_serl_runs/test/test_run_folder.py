# SPDX-License-Identifier: Apache-2.0
"""The run folder."""

import json
import math

import pytest

from hil_serl_core.spec import load_task
from hil_serl_runs.run_folder import RunFolder, RunFolderError, write_json
from hil_serl_tasks.finder import suite_folder

TASK = load_task(suite_folder() / "sim" / "ram_insertion.yaml")


def test_a_run_can_be_opened_again_with_its_task_and_seed(tmp_path):
    made = RunFolder.create(TASK, 7, "demo", root=tmp_path)
    again = RunFolder.open(made.path)
    assert again.seed == 7
    assert again.task().hash == TASK.hash
    assert not again.is_done("train")
    again.mark_done("train", {"seconds": 3.0})
    assert RunFolder.open(made.path).is_done("train")


def test_parts_of_a_phase_are_counted(tmp_path):
    run = RunFolder.create(TASK, 0, "demo", path=tmp_path / "r")
    assert [run.begin_part("train"), run.begin_part("train"), run.begin_part("eval")] == [0, 1, 0]


def test_a_run_is_never_overwritten(tmp_path):
    RunFolder.create(TASK, 0, "demo", path=tmp_path / "r")
    with pytest.raises(RunFolderError, match="--resume"):
        RunFolder.create(TASK, 0, "demo", path=tmp_path / "r")


def test_a_folder_that_is_no_run_is_refused_and_runs_nearby_are_named(tmp_path):
    RunFolder.create(TASK, 0, "demo", path=tmp_path / "good")
    with pytest.raises(RunFolderError, match="runs there: good"):
        RunFolder.open(tmp_path / "god")


def test_damage_is_named(tmp_path):
    run = RunFolder.create(TASK, 0, "demo", path=tmp_path / "r")
    run.state_file.write_text('{"seed": 1, "do')
    with pytest.raises(RunFolderError, match=r"run\.json is damaged"):
        RunFolder.open(run.path)


def test_json_is_valid_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": math.nan}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5], "c": {"d": None}}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
