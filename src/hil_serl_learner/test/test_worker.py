# SPDX-License-Identifier: Apache-2.0
"""The training thread, free running, under more records than it can store in time."""

import time

from hil_serl_learner.trainer import Trainer
from hil_serl_learner.worker import TrainingWorker, WorkerConfig


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
    until(lambda: worker.phase == "waiting")
    for step in toy.episodes(spec, 6):  # 48 transitions, 2150 updates
        worker.offer(step)
    until(lambda: len(versions) >= 3)
    worker.stop()
    assert any(owed for _, owed in versions)


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
    until(lambda: worker.phase == "waiting")
    for step in toy.episodes(spec, 200):  # 1800 records, 18 s of storing
        worker.offer(step)
    until(lambda: trainer.counters.updates >= 5)
    worker.stop()
    assert not worker.alive
    assert worker.error is None
    assert len(stored) < 900, "the stop waits for no backlog"
    first = next(sequence for sequence, updates in stored if updates)
    assert first < spec.learner.warmup_steps + 40
