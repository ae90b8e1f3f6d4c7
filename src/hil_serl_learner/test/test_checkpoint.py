# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: exact resume, survival of kills at any moment, clear refusal of damage."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import pytest

from hil_serl_core.weights import read_file
from hil_serl_learner import checkpoint
from hil_serl_learner.checkpoint import CheckpointError, DamagedCheckpointError
from hil_serl_learner.trainer import Trainer


def trained(toy, spec, records=20, **options):
    return toy.trained(spec, itertools.islice(toy.episodes(spec, 9), records), **options)


@pytest.mark.parametrize("algorithm", ["hil_serl", "hg_dagger"])
@pytest.mark.parametrize("gripper", [False, True])
def test_a_resumed_training_continues_bit_for_bit(toy, tmp_path, gripper, algorithm):
    spec = toy.spec(gripper=gripper)
    whole = trained(toy, spec, 40, algorithm=algorithm)
    first = trained(toy, spec, 24, algorithm=algorithm)
    first.weights()
    checkpoint.save(first, tmp_path)
    resumed = toy.prepared(spec, seed=55, algorithm=algorithm)
    folder, problems = checkpoint.load_latest(resumed, tmp_path)
    assert problems == []
    assert folder.name == f"step_{first.trained_step:08d}"
    resumed.begin()
    for step in itertools.islice(toy.episodes(spec, 9), 40):
        resumed.consume(step)
    assert resumed.counters.environment_steps == whole.counters.environment_steps
    assert resumed.counters.updates == whole.counters.updates
    assert resumed.counters.episodes == whole.counters.episodes
    assert resumed.counters.version == 0
    assert {k: v.tolist() for k, v in resumed.model_state().items()} == {
        k: v.tolist() for k, v in whole.model_state().items()
    }


@pytest.mark.parametrize(("ratio", "records", "updates"), [(3.0, 20, 1), (2.5, 20, 1), (0.5, 19, 0)])
def test_a_checkpoint_between_two_updates_of_a_record_owes_only_the_rest(
    toy, tmp_path, ratio, records, updates
):
    """Ctrl-C and kill come in the middle of a record's updates, and a share of an update may be owed."""
    spec = toy.spec(update_to_data=ratio, policy_average=0.1)
    steps = list(itertools.islice(toy.episodes(spec, 9), 30))
    whole, first = trained(toy, spec, len(steps)), trained(toy, spec, records)
    first.add_step(steps[records])
    for _ in range(updates):
        first.update()
    checkpoint.save(first, tmp_path)
    resumed = toy.prepared(spec)
    checkpoint.load_latest(resumed, tmp_path)
    checkpoint.save(resumed, tmp_path)  # by a learner that is killed again before it has read the records
    resumed = toy.prepared(spec)
    checkpoint.load_latest(resumed, tmp_path)
    resumed.begin()
    for step in steps:
        resumed.consume(step)
    assert resumed.counters.updates == whole.counters.updates
    assert resumed.weights().data == whole.weights().data


def test_records_that_are_read_again_do_not_make_the_training_younger(toy, spec, tmp_path):
    """A learner whose bags are on another machine gets them one by one, and saves meanwhile."""
    first = trained(toy, spec, 30)
    folder = checkpoint.save(first, tmp_path)
    resumed = toy.prepared(spec)
    checkpoint.load_latest(resumed, tmp_path)
    resumed.begin()
    for step in itertools.islice(toy.episodes(spec, 9), 10):
        resumed.consume(step)
        assert resumed.trained_step == first.trained_step
    assert resumed.weights().trained_step == first.trained_step
    assert checkpoint.save(resumed, tmp_path) == folder


def test_versions_go_on_after_the_ones_that_records_were_made_with(toy, spec, tmp_path):
    """A killed learner has sent weights since its last checkpoint; other weights must not get their numbers."""
    first = trained(toy, spec, 10)
    first.weights()
    checkpoint.save(first, tmp_path)
    assert [first.weights().version for _ in range(3)] == [1, 2, 3]
    resumed = toy.prepared(spec)
    checkpoint.load_latest(resumed, tmp_path)
    resumed.begin()
    for step in itertools.islice(toy.episodes(spec, 2), 12):
        resumed.consume(dataclasses.replace(step, policy_version=3 if step.sequence == 11 else 0))
    assert resumed.weights().version == 4


def test_the_average_for_evaluations_can_be_switched_on_and_off_on_a_resume(toy, tmp_path):
    plain, averaged = toy.spec(policy_average=None), toy.spec(policy_average=0.1)
    assert plain.hash == averaged.hash
    first = trained(toy, plain, 20)
    checkpoint.save(first, tmp_path)
    resumed = toy.prepared(averaged)
    checkpoint.load_latest(resumed, tmp_path)
    assert resumed.peek_weights(evaluated=True).data == first.peek_weights().data
    resumed.begin()
    for step in itertools.islice(toy.episodes(averaged, 9), 25):
        resumed.consume(step)
    assert resumed.peek_weights(evaluated=True).data != resumed.peek_weights().data
    checkpoint.save(resumed, tmp_path)
    back = toy.prepared(plain)
    checkpoint.load_latest(back, tmp_path)
    assert back.peek_weights(evaluated=True).data == resumed.peek_weights().data


def test_the_policy_file_is_what_an_evaluation_reads(toy, spec, tmp_path):
    trainer = trained(toy, spec)
    explores = trainer.weights()
    folder = checkpoint.save(trainer, tmp_path)
    assert read_file(folder) == trainer.peek_weights(evaluated=True)
    assert read_file(folder).data != explores.data
    assert (tmp_path / "latest").resolve() == folder.resolve()


@pytest.mark.parametrize(
    "name", ["policy.safetensors", "model.safetensors", "optimizer.safetensors", "state.json"]
)
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damage_falls_back_to_the_checkpoint_before(toy, spec, tmp_path, name, damage):
    trainer = trained(toy, spec, 15)
    good = checkpoint.save(trainer, tmp_path)
    for step in itertools.islice(toy.episodes(spec, 9), 15, 30):
        trainer.consume(step)
    bad = checkpoint.save(trainer, tmp_path)
    data = bytearray((bad / name).read_bytes())
    if damage == "remove":
        (bad / name).unlink()
    elif damage == "truncate":
        (bad / name).write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 3] ^= 0xFF
        (bad / name).write_bytes(data)
    folder, problems = checkpoint.load_latest(toy.prepared(spec), tmp_path)
    assert folder == good
    assert len(problems) == 1
    assert bad.name in problems[0]


def test_nothing_usable_is_an_error_that_names_the_folder(toy, spec, tmp_path):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        checkpoint.load_latest(toy.prepared(spec), tmp_path)
    folder = checkpoint.save(trained(toy, spec), tmp_path)
    (folder / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load_latest(toy.prepared(spec), tmp_path)


def test_another_task_or_algorithm_is_refused(toy, spec, tmp_path):
    checkpoint.save(trained(toy, spec), tmp_path)
    with pytest.raises(CheckpointError, match="spec_hash"):
        checkpoint.load_latest(Trainer(toy.spec(discount=0.5)), tmp_path)
    with pytest.raises(CheckpointError, match="algorithm"):
        checkpoint.load_latest(Trainer(spec, algorithm="bc"), tmp_path)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("call", range(1, 16))
def test_killed_at_any_system_call_the_earlier_checkpoint_stays_usable(
    toy, spec, tmp_path, monkeypatch, call
):
    """The process vanishes at the n-th write, sync or rename.

    Nothing after that call happens, clean-up included.
    """
    trainer = trained(toy, spec, 15)
    good = checkpoint.save(trainer, tmp_path)
    for step in itertools.islice(toy.episodes(spec, 9), 15, 20):
        trainer.consume(step)
    count = 0

    def fragile(function):
        def run(*args, **kwargs):
            nonlocal count
            count += 1
            if count >= call:
                raise _Killed
            return function(*args, **kwargs)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", fragile(checkpoint.os.fsync))
        patch.setattr(Path, "rename", fragile(Path.rename))
        patch.setattr(Path, "replace", fragile(Path.replace))
        patch.setattr(Path, "symlink_to", fragile(Path.symlink_to))
        patch.setattr(shutil, "rmtree", fragile(shutil.rmtree))
        try:
            saved = checkpoint.save(trainer, tmp_path)
        except _Killed:
            saved = None
    folder, problems = checkpoint.load_latest(toy.prepared(spec), tmp_path)
    assert problems == []
    assert folder in (good, tmp_path / f"step_{trainer.trained_step:08d}")
    assert saved is None or folder == saved
    assert (tmp_path / "latest" / "state.json").exists()
    again = checkpoint.save(trainer, tmp_path)
    assert json.loads((again / "state.json").read_text())["trained_step"] == trainer.trained_step


def test_the_newest_are_kept_and_some_of_the_training_s_history(toy, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.surplus, "__defaults__", (2,))
    trainer = trained(toy, spec, 0)
    for step in toy.episodes(spec, 1):
        trainer.consume(step)
        if step.action is not None:
            checkpoint.save(trainer, tmp_path)
    kept = [int(p.name.removeprefix("step_")) for p in sorted(tmp_path.glob("step_*"))]
    assert kept[-3:] == [6, 7, 8]
    assert len(kept) == 5


def test_milestones_spread_over_the_whole_training():
    kept: list[Path] = []
    for step in range(500, 60001, 500):
        kept.append(Path(f"step_{step:08d}"))
        kept = [folder for folder in kept if folder not in checkpoint.surplus(kept, 3)]
    steps = [0, *(int(folder.name.removeprefix("step_")) for folder in kept[:-3])]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert len(gaps) == checkpoint.MILESTONES
    assert max(gaps) <= 3 * 60000 / checkpoint.MILESTONES


def test_a_full_disk_leaves_the_earlier_checkpoint(toy, spec, tmp_path, monkeypatch):
    trainer = trained(toy, spec, 15)
    good = checkpoint.save(trainer, tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(trainer, tmp_path)
    assert checkpoint.load_latest(toy.prepared(spec), tmp_path)[0] == good
    assert not list(tmp_path.glob(".*.tmp"))


def test_damaged_checkpoint_error_is_a_checkpoint_error():
    assert issubclass(DamagedCheckpointError, CheckpointError)
