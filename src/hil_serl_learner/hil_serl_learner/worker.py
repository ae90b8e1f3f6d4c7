# SPDX-License-Identifier: Apache-2.0
"""The training thread.

Loads the run's bags, then trains on what arrives. No ROS; talks through callbacks and a queue.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from hil_serl_core.step import Step
from hil_serl_core.weights import PackedWeights
from hil_serl_learner.ingest import Ledger
from hil_serl_learner.metrics import Rate
from hil_serl_learner.outputs import TrainingOutputs, WorkerConfig
from hil_serl_learner.trainer import Trainer

__all__ = ["TrainingWorker", "WorkerConfig"]

_log = logging.getLogger(__name__)
_IDLE = 0.1  # s; how often a waiting thread looks whether it should stop
_AT_ONCE = 10  # records taken between two updates


class RecordedRewardError(ValueError):
    """The run's bags hold rewards that its task cannot pay."""


class TrainingWorker:
    """Owns the trainer from :meth:`start` on.

    Attributes:
        phase: ``loading``, ``waiting``, ``training`` or ``done``, as in LearnerStatus.
        error: What ended the thread, None if nothing did.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: WorkerConfig,
        demonstrations: Callable[[], Iterable[Step]],
        online: Callable[[], Iterable[Step]],
        publish: Callable[[PackedWeights], None],
    ) -> None:
        """Prepare the training; :meth:`start` begins it.

        Args:
            trainer: New or restored.
            config: How to train.
            demonstrations: Opens the demonstration records, in order.
            online: Opens the online records of earlier processes, in order.
            publish: Sends weights; called from the training thread.
        """
        self.trainer = trainer
        self.phase = "loading"
        self.error: BaseException | None = None
        self._config = config
        self._sources = demonstrations, online
        self._outputs = TrainingOutputs(trainer, config, publish)
        self._ledger = Ledger(trainer.spec)
        self._ledger_lock = threading.Lock()
        self._loaded = threading.Event()
        self._stop = threading.Event()
        self._steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._rate = Rate()
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)

    # ------------------------------------------------------------ other threads

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def offer(self, step: Step, cell: str = "") -> bool:
        """Takes a record received from a cell; False while the bags are still being read (it will be sent again)."""
        if not self._loaded.is_set():
            return False
        with self._ledger_lock:
            for accepted in self._ledger.offer(step, cell):
                self._steps.put(accepted)
        return True

    def ledger(self) -> Ledger:
        """The ledger, empty of acknowledgements until the bags are read."""
        return self._ledger if self._loaded.is_set() else Ledger(self.trainer.spec)

    def save(self) -> Future[Path]:
        """Asks for a checkpoint; done between two updates."""
        future = self._outputs.request_save()
        self._steps.put(None)
        return future

    def stop(self, timeout: float = 30.0) -> None:
        """Ends the thread after the update it is in, and writes a last checkpoint.

        While earlier records are still being read there is nothing new to write.
        """
        self._stop.set()
        self._steps.put(None)
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    @property
    def scalars(self) -> dict[str, float]:
        """Latest training scalars."""
        return self._outputs.scalars

    @property
    def updates_per_second(self) -> float:
        """Gradient updates per second of wall time, averaged over some seconds."""
        return self._rate.value(self.trainer.counters.updates)

    # ---------------------------------------------------------- training thread

    def _run(self) -> None:
        try:
            self._outputs.open()
            self._train()
        except BaseException as error:  # shown by the node, which ends with it
            self.error = error
        finally:
            self._outputs.close()
            self.trainer.close()

    def _train(self) -> None:
        self._load_demonstrations()
        if self._stop.is_set():
            return
        if self.trainer.algorithm.pretrains:
            self._train_offline()
        if self.trainer.method.needs_online_data:
            self._load_online()
            if not self._loaded.is_set():  # what is on the disk is ahead of what was read
                return
            self._outputs.begin_online()
            self._train_online()
        else:
            self._outputs.publish()
            self.phase = "done"
        if self.trainer.counters.updates:
            self._outputs.save()

    def _load_demonstrations(self) -> None:
        demo_ledger = Ledger(self.trainer.spec)
        for step in self._sources[0]():
            if self._stop.is_set():
                return
            demo_ledger.skip_to(step.actor_id, step.sequence)
            for accepted in demo_ledger.offer(step):
                self.trainer.add_demonstration(accepted)
        if demo_ledger.last_refusal:
            _log.warning(
                "%d demonstration records left out; the last: %s",
                demo_ledger.rejected,
                demo_ledger.last_refusal,
            )
        _refuse_wrong_rewards(demo_ledger, "demonstrations")
        self.trainer.begin()

    def _load_online(self) -> None:
        """Reads earlier online records through the same ledger as received ones, so none counts twice."""
        known: set[str] = set()
        for step in self._sources[1]():
            if self._stop.is_set():
                return
            if step.actor_id not in known:
                known.add(step.actor_id)
                self._ledger.skip_to(step.actor_id, step.sequence)
            for accepted in self._ledger.offer(step):
                self._take_recorded(accepted)
        lost = self.trainer.trained_step - self.trainer.counters.environment_steps
        # On the actor's machine they are there, and are sent again; without any bag here that is where they are.
        if known and lost > 0 and not self._config.bags_elsewhere:
            _log.warning(
                "the checkpoint was trained on %d steps more than the bags hold (cut away, or lost in a power cut); "
                "as many new ones owe no updates",
                lost,
            )
        _refuse_wrong_rewards(self._ledger, "earlier records of this run")
        self._loaded.set()

    def _take_recorded(self, step: Step) -> None:
        """Lockstep keeps its order on a resume as well.

        Free running trains on recorded steps no more than on new ones.
        """
        if self._config.lockstep:
            self.trainer.consume(step)
        else:
            self.trainer.add_step(step)
            self.trainer.limit_credit(self.trainer.spec.learner.publish_every)

    def _train_online(self) -> None:
        trainer = self.trainer
        self.phase = "waiting"  # until there is something to train on; an actor may not be there yet
        while not self._stop.is_set():
            if trainer.update_due:
                self.phase = "training"
                trainer.update()
                self._outputs.note_update(pretraining=False)
            elif (step := self._next_step()) is not None:
                trainer.add_step(step)
            if not self._config.lockstep:
                self._drain()
            self._outputs.publish_if_due()
            self._outputs.save_if_due()

    def _next_step(self) -> Step | None:
        try:
            return self._steps.get(timeout=_IDLE)
        except queue.Empty:
            if not self.trainer.counters.environment_steps or not self.trainer.counters.updates:
                self.phase = "waiting"
            return None

    def _drain(self) -> None:
        """Free running: takes the records that are there before the next update.

        Not more than some at a time: where records come faster than they can be stored, updates must go on.
        """
        for _ in range(min(self._steps.qsize(), _AT_ONCE)):
            step = self._steps.get()
            if step is not None:
                self.trainer.add_step(step)
        self.trainer.limit_credit(self.trainer.spec.learner.publish_every)

    def _train_offline(self) -> None:
        """Trains on demonstrations alone until ``offline_updates`` are done, those of earlier processes included."""
        self.phase = "training"
        pretraining = self.trainer.method.needs_online_data
        while self.trainer.counters.updates < self._config.offline_updates and not self._stop.is_set():
            self.trainer.update()
            self._outputs.note_update(pretraining)
            self._outputs.serve_saves()


def _refuse_wrong_rewards(ledger: Ledger, what: str) -> None:
    """A recording whose rewards the task cannot pay is a mistake of its making; training on its rest would hide it.

    Raises:
        RecordedRewardError: Says why, and what mends it.
    """
    if ledger.wrong_rewards:
        raise RecordedRewardError(
            f"{ledger.wrong_rewards} of the {what} cannot be used; {ledger.last_wrong_reward}"
        )
