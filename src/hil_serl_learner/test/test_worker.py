# SPDX-License-Identifier: Apache-2.0
"""The training thread, free running, under more records than it can store in time."""

import dataclasses
import threading
import time

import pytest

from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_learner import checkpoint
from hil_serl_learner.trainer import DivergedError, Trainer
from hil_serl_learner.worker import RecordedRewardError, TrainingWorker, WorkerConfig


def test_a_learner_that_always_owes_updates_still_sends_weights(toy, tmp_path):
    spec = toy.spec(update_to_data=50.0)
    trainer, versions = Trainer(spec), []
    worker = TrainingWorker(
        trainer,
        WorkerConfig(tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=False),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=lambda: (),
        publish=lambda weights: versions.append((weights.version, trainer.update_due)),
    )
    worker.start()
    wait_for(lambda: worker.phase == "waiting")
    for step in toy.episodes(spec, 6):  # 48 transitions, 2150 updates
        worker.offer(step)
    wait_for(lambda: len(versions) >= 3)
    worker.stop()
    assert any(owed for _, owed in versions)
    counters = trainer.counters
    assert counters.skipped_updates > 0
    assert counters.owed_updates == 50.0 * (counters.environment_steps - spec.learner.warmup_steps)
    assert counters.owed_updates == counters.updates + counters.skipped_updates + counters.credit


def test_updates_and_a_stop_are_not_put_off_by_a_flood_of_records(toy, spec, tmp_path):
    trainer = Trainer(spec)
    stored, store = [], trainer.add_step

    def slowly(step):
        time.sleep(0.01)
        stored.append((step.sequence, trainer.counters.updates))
        store(step)

    trainer.add_step = slowly
    worker = TrainingWorker(
        trainer,
        WorkerConfig(tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=False),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=lambda: (),
        publish=lambda weights: None,
    )
    worker.start()
    wait_for(lambda: worker.phase == "waiting")
    for step in toy.episodes(spec, 200):  # 1800 records, 18 s of storing
        worker.offer(step)
    wait_for(lambda: trainer.counters.updates >= 5)
    worker.stop()
    assert not worker.alive
    assert worker.error is None
    assert len(stored) < 900, "the stop waits for no backlog"
    first = next(sequence for sequence, updates in stored if updates)
    assert first < spec.learner.warmup_steps + 40


def test_a_stop_while_the_records_are_read_again_leaves_the_checkpoints_alone(toy, spec, tmp_path):
    root = tmp_path / "checkpoints"
    saved = checkpoint.save(toy.trained(spec, toy.episodes(spec, 5)), root)
    before = {file: file.stat().st_mtime_ns for file in saved.iterdir()}
    trainer, sent, reading, go_on = Trainer(spec), [], threading.Event(), threading.Event()
    checkpoint.load_latest(trainer, root)

    def online():
        for step in toy.episodes(spec, 5):
            if step.sequence == 20:
                reading.set()
                go_on.wait(PATIENCE)
            yield step

    worker = TrainingWorker(
        trainer,
        WorkerConfig(root, tmp_path / "tensorboard", lockstep=True),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=online,
        publish=sent.append,
    )
    worker.start()
    assert reading.wait(PATIENCE)
    threading.Timer(0.2, go_on.set).start()
    worker.stop(timeout=PATIENCE)
    assert not worker.alive
    assert worker.error is None
    assert sent == []
    assert {file: file.stat().st_mtime_ns for file in saved.iterdir()} == before
    assert [path.name for path in root.glob("step_*")] == [saved.name]


def test_networks_that_have_diverged_are_neither_sent_nor_saved(toy, spec, tmp_path):
    trainer, sent = Trainer(spec), []
    worker = TrainingWorker(
        trainer,
        WorkerConfig(tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=True, checkpoint_every=8),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=lambda: (),
        publish=sent.append,
    )
    worker.start()
    wait_for(lambda: worker.phase == "waiting")
    for step in toy.episodes(spec, 2):
        worker.offer(step)
    wait_for(lambda: (tmp_path / "checkpoints" / "step_00000016").exists())
    trainer.algorithm.policy.actor.mean.bias.data.fill_(float("nan"))
    good = len(sent)
    for step in list(toy.episodes(spec, 4))[18:]:
        worker.offer(step)
    wait_for(lambda: not worker.alive)
    assert isinstance(worker.error, DivergedError)
    assert "diverged" in str(worker.error)
    assert len(sent) == good
    assert checkpoint.load_latest(Trainer(spec), tmp_path / "checkpoints")[0].name == "step_00000016"


@pytest.mark.parametrize(
    ("kept", "elsewhere", "warned"),
    [(45, False, ""), (40, False, "trained on 4 steps more"), (0, False, ""), (40, True, "")],
)
def test_bags_that_end_before_the_checkpoint_are_told_of(
    toy, spec, tmp_path, caplog, kept, elsewhere, warned
):
    """Of no bags at all, or of a run on two machines, nothing is said: they are on the actor's machine."""
    steps = list(toy.episodes(spec, 5))
    checkpoint.save(toy.trained(spec, steps), tmp_path / "checkpoints")
    trainer = Trainer(spec)
    checkpoint.load_latest(trainer, tmp_path / "checkpoints")
    worker = TrainingWorker(
        trainer,
        WorkerConfig(
            tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=True, bags_elsewhere=elsewhere
        ),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=lambda: steps[:kept],
        publish=lambda weights: None,
    )
    worker.start()
    wait_for(lambda: worker.offer(steps[-1]))
    worker.stop(timeout=PATIENCE)
    assert worker.error is None
    assert ("trained on" in caplog.text) == bool(warned)
    assert warned in caplog.text


@pytest.mark.parametrize("where", ["demonstrations", "online"])
def test_a_run_whose_bags_hold_rewards_of_another_kind_is_refused(toy, spec, tmp_path, where):
    good = list(toy.episodes(spec, 2, actor_id="demo"))
    paid = [
        step if step.is_first or step.is_last else dataclasses.replace(step, reward=-2.8) for step in good
    ]
    worker = TrainingWorker(
        Trainer(spec),
        WorkerConfig(tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=False),
        demonstrations=lambda: paid if where == "demonstrations" else good,
        online=lambda: (
            [dataclasses.replace(step, actor_id="a") for step in paid] if where == "online" else ()
        ),
        publish=lambda weights: None,
    )
    worker.start()
    wait_for(lambda: not worker.alive)
    assert isinstance(worker.error, RecordedRewardError)
    wrong = sum(step.reward == -2.8 for step in paid)
    assert f"{wrong} of the" in str(worker.error)
    assert "hil-serl dataset relabel RUN --mend-rewards" in str(worker.error)
    assert not (tmp_path / "checkpoints").exists(), "nothing was trained and nothing saved"


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_resumed_learner_without_an_actor_waits_for_one(toy, spec, tmp_path, lockstep):
    steps = list(toy.episodes(spec, 5))
    checkpoint.save(toy.trained(spec, steps), tmp_path / "checkpoints")
    trainer = Trainer(spec)
    checkpoint.load_latest(trainer, tmp_path / "checkpoints")
    worker = TrainingWorker(
        trainer,
        WorkerConfig(tmp_path / "checkpoints", tmp_path / "tensorboard", lockstep=lockstep),
        demonstrations=lambda: toy.episodes(spec, 2, actor_id="demo"),
        online=lambda: steps,
        publish=lambda weights: None,
    )
    worker.start()
    wait_for(
        lambda: worker.ledger().acks() and not trainer.update_due
    )  # everything is read, and nothing owed
    wait_for(lambda: worker.phase != "loading")
    worker.stop(timeout=PATIENCE)
    assert worker.phase in ("waiting", "training")
