# SPDX-License-Identifier: Apache-2.0
"""ROS node of the learner.

Wires ``step``, ``policy_weights``, ``learner_status`` and ``save_checkpoint`` to the worker.
"""

from __future__ import annotations

import math
import sys
import time
import uuid
from concurrent.futures import TimeoutError as FutureTimeoutError

import torch
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS, method_named
from hil_serl_core.spec import load_task
from hil_serl_core.weights import PackedWeights
from hil_serl_learner import bags, checkpoint
from hil_serl_learner.actor_links import ActorLinks, parse_cells
from hil_serl_learner.feature_file import FEATURE_FILE
from hil_serl_learner.relabelling import relabeller_for
from hil_serl_learner.replay import ReplayFullError
from hil_serl_learner.trainer import DivergedError, Trainer
from hil_serl_learner.worker import RecordedRewardError, TrainingWorker, WorkerConfig
from hil_serl_msgs.msg import LearnerStatus
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_msgs.srv import SaveCheckpoint
from hil_serl_ros import names
from hil_serl_ros.conversions import step_from_message, weights_to_message
from hil_serl_ros.node_main import ERROR_PREFIX, EXIT_USER_ERROR, run_node
from hil_serl_ros.parameters import Parameters

_ACK_PERIOD = 0.05  # s; acknowledgements are gathered this long
_STATUS_PERIOD = 0.5  # s
_SAVE_TIMEOUT = 30.0  # s
_WARNING_PERIOD = 5.0  # s


class LearnerNode(Node):
    """The learner of one run. Parameters: see ``_read_parameters``."""

    def __init__(self) -> None:
        super().__init__("learner")
        self._read_parameters()
        torch.set_num_threads(self._threads)
        self._run_id = uuid.uuid4().hex
        self._version = -1
        self._last_status = 0.0
        self._acks_sent: list[int] = []
        self._warned_at = -math.inf
        self._worker = self._make_worker()
        self._actors = ActorLinks(self, self._cells, self._on_step)
        self.create_service(SaveCheckpoint, names.SAVE_CHECKPOINT, self._on_save)
        # The wall clock runs on while simulated time stands still.
        self.create_timer(_ACK_PERIOD, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._worker.start()

    def _read_parameters(self) -> None:
        read = Parameters(self)
        self._spec = load_task(read.string("task", description="task file, or name of an installed one"))
        self._run_dir = read.path("run_dir", description="run folder with bags/, checkpoints/, tensorboard/")
        self._seed = read.integer("seed", 0, minimum=0)
        self._resume = read.boolean("resume", False, description="go on from the newest usable checkpoint")
        self._device = read.string("device", "cpu", choices=("cpu", "cuda", "auto"))
        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if self._device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "device is 'cuda', but PyTorch finds no CUDA device; "
                "use device:=cpu, or set up with TORCH=cuda"
            )
        self._threads = read.integer("threads", 1, minimum=1, maximum=256)
        self._algorithm = read.string("algorithm", "hil_serl", choices=tuple(METHODS))
        self._lockstep = read.boolean(
            "lockstep", False, description="train strictly in the order of the records"
        )
        self._cells = parse_cells(
            read.string(
                "actors",
                "",
                description="namespaces of several actors, such as 'cell_1, cell_2'; empty: one, in the learner's own",
            )
        )
        if self._lockstep and len(self._cells) > 1:
            raise ValueError(
                "lockstep:=true trains in the order of one actor's records, but 'actors' lists "
                f"{len(self._cells)}; use lockstep:=false"
            )
        self._checkpoint_every = read.integer(
            "checkpoint_every", 500, minimum=1, description="online records"
        )
        self._bags_elsewhere = read.boolean(
            "bags_elsewhere",
            False,
            description="actors write their bags on another machine, and send again what those of run_dir lack",
        )
        self._offline_updates = read.integer(
            "offline_updates", 2000, minimum=1, description="updates of bc, and hg_dagger's before it acts"
        )

    def _make_worker(self) -> TrainingWorker:
        folder = self._run_dir / "checkpoints"
        demonstrations = method_named(self._algorithm).uses_demonstrations
        if demonstrations and not bags.actor_folders(self._run_dir, Mode.RECORD_DEMOS):
            raise ValueError(
                f"no demonstrations in {self._run_dir / 'bags' / Mode.RECORD_DEMOS}; record some first"
            )
        if checkpoint.has_checkpoints(folder) and not self._resume:
            raise ValueError(f"{folder} holds checkpoints already; give resume:=true, or another run_dir")
        kept = self._run_dir / FEATURE_FILE if self._spec.learner.feature_file else None
        trainer = Trainer(
            self._spec, self._seed, self._device, self._algorithm, relabeller_for(self._spec), kept
        )
        if self._resume and checkpoint.has_checkpoints(folder):
            restored, problems = checkpoint.load_latest(trainer, folder)
            for problem in problems:
                self.get_logger().error(problem)
            self.get_logger().info(f"resumed from {restored}")
        config = WorkerConfig(
            checkpoints=folder,
            tensorboard=self._run_dir / "tensorboard",
            lockstep=self._lockstep,
            checkpoint_every=self._checkpoint_every,
            offline_updates=self._offline_updates,
            bags_elsewhere=self._bags_elsewhere,
        )
        return TrainingWorker(
            trainer,
            config,
            lambda: bags.read_run(self._run_dir, Mode.RECORD_DEMOS) if demonstrations else (),
            lambda: bags.read_run(self._run_dir, Mode.TRAIN),
            self._publish_weights,
        )

    def _publish_weights(self, packed: PackedWeights) -> None:
        """Called from the training thread; a publisher may be used from any."""
        message = weights_to_message(packed, self.get_clock().now().nanoseconds)
        try:
            self._actors.publish_weights(message)
        except RuntimeError:  # rclpy's RCLError
            if self.context.ok():
                raise
            return  # a signal has closed the context; the thread still has its last checkpoint to write
        self._version = packed.version

    def _on_step(self, message: StepMessage, cell: str) -> None:
        try:
            self._worker.offer(step_from_message(message), cell)
        except ValueError as error:
            self._warn(f"step: {error}")

    def _on_save(
        self, _: SaveCheckpoint.Request, response: SaveCheckpoint.Response
    ) -> SaveCheckpoint.Response:
        try:
            response.path = str(self._worker.save().result(_SAVE_TIMEOUT))
            response.success, response.message = True, "saved"
        except FutureTimeoutError:
            response.message = f"not saved within {_SAVE_TIMEOUT:.0f} s; the learner is {self._worker.phase}"
        except (OSError, RuntimeError) as error:  # DivergedError is one
            response.message = f"not saved: {error}"
        return response

    def _on_timer(self) -> None:
        ledger = self._worker.ledger()
        acknowledged = [ack.acknowledged for ack in ledger.acks()]
        if acknowledged != self._acks_sent or time.monotonic() - self._last_status >= _STATUS_PERIOD:
            self._acks_sent, self._last_status = acknowledged, time.monotonic()
            self._actors.publish_status(self._status(), ledger)
        if ledger.last_refusal:
            self._warn(ledger.last_refusal)
        if not self._worker.alive:
            error = self._worker.error
            if isinstance(
                error, (DivergedError, ReplayFullError, RecordedRewardError)
            ):  # a person can cure these
                print(f"{ERROR_PREFIX}{error}", file=sys.stderr, flush=True)
                raise SystemExit(EXIT_USER_ERROR) from error
            if error is not None:
                raise error
            raise SystemExit(0)

    def _status(self) -> LearnerStatus:
        worker, trainer = self._worker, self._worker.trainer
        ledger, scalars = worker.ledger(), worker.scalars
        message = LearnerStatus(
            spec_hash=self._spec.hash,
            run_id=self._run_id,
            phase=worker.phase,
            environment_steps=trainer.counters.environment_steps,
            trained_step=trainer.trained_step,
            episodes=trainer.counters.episodes,
            updates=trainer.counters.updates,
            policy_version=self._version,
            demo_size=len(trainer.replay.demonstrations),
            rl_size=len(trainer.replay.online),
            updates_per_second=worker.updates_per_second,
            update_to_data=self._spec.learner.update_to_data,
            owed_updates=int(trainer.counters.owed_updates),
            skipped_updates=int(trainer.counters.skipped_updates),
            message=ledger.last_refusal or worker.phase,
        )
        for name in ("critic_loss", "actor_loss", "temperature", "entropy", "q_mean"):
            setattr(message, name, scalars.get(name, math.nan))
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def _warn(self, text: str) -> None:
        if time.monotonic() - self._warned_at >= _WARNING_PERIOD:
            self._warned_at = time.monotonic()
            self.get_logger().warning(text)

    def destroy_node(self) -> None:
        """Writes a last checkpoint, then ends the node."""
        if hasattr(self, "_worker"):
            self._worker.stop()
            if self._worker.alive:
                self.get_logger().error("the training thread did not end; the last checkpoint may be missing")
            elif self._worker.error is not None:
                self.get_logger().error(f"no last checkpoint: {self._worker.error}")
        super().destroy_node()


def main(args: list[str] | None = None) -> None:
    """Entry point."""
    sys.exit(run_node(LearnerNode, args=args))


if __name__ == "__main__":
    main()
