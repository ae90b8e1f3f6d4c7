# SPDX-License-Identifier: Apache-2.0
"""What leaves the training: weights for the actors, checkpoints, curves; each when it is due."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hil_serl_core.weights import PackedWeights
from hil_serl_learner import checkpoint
from hil_serl_learner.metrics import MetricsWriter
from hil_serl_learner.trainer import DivergedError, Trainer

_METRICS_EVERY = 50  # updates


@dataclass(frozen=True)
class WorkerConfig:
    """How to train.

    Attributes:
        checkpoints: Folder of checkpoints.
        tensorboard: Folder of training curves.
        lockstep: Strict order, every record's updates before the next record; else free running.
        checkpoint_every: Online records between checkpoints.
        offline_updates: Updates on the demonstrations alone, of a method that begins or ends with them.
        bags_elsewhere: Actors keep their records on another machine, and send again what the bags here lack.
    """

    checkpoints: Path
    tensorboard: Path
    lockstep: bool
    checkpoint_every: int = 500
    offline_updates: int = 2000
    bags_elsewhere: bool = False


class TrainingOutputs:
    """Used by the training thread alone, but for :meth:`request_save`.

    Attributes:
        scalars: Latest training scalars.
    """

    def __init__(
        self, trainer: Trainer, config: WorkerConfig, publish: Callable[[PackedWeights], None]
    ) -> None:
        """Begin with nothing written.

        Args:
            trainer: Whose they are.
            config: How often, and where to.
            publish: Sends weights.
        """
        self._trainer, self._config, self._publish = trainer, config, publish
        self._saves: queue.SimpleQueue[Future[Path]] = queue.SimpleQueue()
        self._metrics: MetricsWriter | None = None
        self._saved_at = 0
        self._published_at = -1
        self.scalars: dict[str, float] = {}

    def open(self) -> None:
        """Opens the training curves; raises OSError if their folder cannot be written."""
        self._metrics = MetricsWriter(self._config.tensorboard)

    def close(self) -> None:
        """Closes the training curves and refuses what still waits to be saved."""
        if self._metrics is not None:
            self._metrics.close()
        while not self._saves.empty():
            self._saves.get().set_exception(RuntimeError("the learner is closing down"))

    def begin_online(self) -> None:
        """Sends weights; checkpoints are counted from here."""
        self.publish()
        self._saved_at = self._trainer.trained_step

    def note_update(self, pretraining: bool) -> None:
        """After every update; curves are drawn against online records, which ``pretraining`` has none of."""
        updates = self._trainer.counters.updates
        if updates % _METRICS_EVERY:
            return
        self.scalars = self._trainer.metrics
        if self._metrics is not None and not pretraining:
            online = self._trainer.method.needs_online_data
            self._metrics.write(self.scalars, self._trainer.trained_step if online else updates)

    def publish_if_due(self) -> None:
        """Send the weights where their turn has come.

        Lockstep: those of exactly a multiple of ``publish_every`` records; free running: as soon as one is passed,
        also while updates are owed, as a learner slower than the robot always owes some.
        """
        trained = self._trainer.trained_step
        reached = self._last_multiple()
        exact = trained == reached and not self._trainer.update_due
        if reached > self._published_at and (exact or not self._config.lockstep):
            self.publish()

    def publish(self) -> None:
        """Sends weights now. Raises DivergedError if they are not finite."""
        self._trainer.check_finite()
        self._published_at = self._last_multiple()
        self._publish(self._trainer.weights())

    def _last_multiple(self) -> int:
        every = self._trainer.spec.learner.publish_every
        return self._trainer.trained_step // every * every

    def request_save(self) -> Future[Path]:
        """Asks for a checkpoint, from any thread; done between two updates."""
        future: Future[Path] = Future()
        self._saves.put(future)
        return future

    def save_if_due(self) -> None:
        """Every ``checkpoint_every`` records, and whenever somebody asked."""
        due = self._trainer.trained_step - self._saved_at >= self._config.checkpoint_every
        if due and not self._trainer.update_due:
            self.save()
        self.serve_saves()

    def serve_saves(self) -> None:
        """Writes the checkpoints that were asked for."""
        while not self._saves.empty():
            future = self._saves.get()
            try:
                future.set_result(self.save())
            except (OSError, DivergedError) as error:
                future.set_exception(error)

    def save(self) -> Path:
        """Writes a checkpoint now. Raises OSError, or DivergedError rather than replace good ones by bad."""
        self._trainer.check_finite()
        self._saved_at = self._trainer.trained_step
        return checkpoint.save(self._trainer, self._config.checkpoints)
