# SPDX-License-Identifier: Apache-2.0
"""The far end of the latency measurement: a process with a real replay that takes steps and sends weights.

It answers with times of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from rclpy.node import Node

from hil_serl_cli.measuring.bench_measures import made_up_steps, with_learner
from hil_serl_core.spec import load_task
from hil_serl_learner.trainer import Trainer
from hil_serl_msgs.msg import LearnerStatus, PolicyWeights, StepAck
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import step_from_message, weights_to_message
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_ros.stamps import stamp_from_ns

DEMONSTRATION_RECORDS = 90


class BenchPeer(Node):
    """Puts each received step into the replay (features included) and says when it was there."""

    def __init__(self) -> None:
        super().__init__("bench_peer")
        torch.set_num_threads(1)
        path = Parameters(self).path("task", must_exist=True)
        spec = with_learner(load_task(Path(path)), replay_capacity=2000)
        self._trainer = Trainer(spec)
        for step in made_up_steps(spec, DEMONSTRATION_RECORDS, "demonstrator"):
            self._trainer.add_demonstration(step)
        self._trainer.begin()
        self._status = self.create_publisher(LearnerStatus, names.LEARNER_STATUS, qos.LEARNER_STATUS)
        self._weights = self.create_publisher(PolicyWeights, names.POLICY_WEIGHTS, qos.POLICY_WEIGHTS)
        self.create_subscription(StepMessage, names.STEP, self._on_step, qos.STEP)
        self.create_timer(0.5, self._send_weights)

    def _on_step(self, message: StepMessage) -> None:
        step = step_from_message(message)
        self._trainer.add_step(step)
        stored = time.monotonic_ns()
        ack = StepAck(actor_id=step.actor_id, acknowledged=step.sequence)
        status = LearnerStatus(acks=[ack])
        status.header.stamp = stamp_from_ns(stored)
        self._status.publish(status)

    def _send_weights(self) -> None:
        self._weights.publish(weights_to_message(self._trainer.weights(), time.monotonic_ns()))


def main() -> None:
    """Entry point."""
    sys.exit(run_node(BenchPeer))


if __name__ == "__main__":
    main()
