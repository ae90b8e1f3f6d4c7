# SPDX-License-Identifier: Apache-2.0
"""Everything of ROS and of the disk that belongs to one agent: its log, its learner, its weights."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node

from hil_serl_actor.loop.acting_policy import ActingPolicy
from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.options import ActorOptions, AgentOptions
from hil_serl_actor.sending.step_log import StepLog
from hil_serl_actor.sending.step_sender import DeliveryConflict, StepSender
from hil_serl_core.episode import EpisodeRunner, Mode
from hil_serl_core.rewards import LABELS_FILE, LabelWriter, make_reward
from hil_serl_core.step import Step
from hil_serl_core.weights import WeightsError
from hil_serl_msgs.msg import LearnerStatus, PolicyWeights
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import step_to_message
from hil_serl_ros.node_main import ERROR_PREFIX, EXIT_USER_ERROR

_POLICY_MODES = (Mode.TRAIN, Mode.EVAL)
_SEND_TIME = 0.015  # s; longest that one call publishes, or one step


class AgentLink:
    """One agent's bag, labels, step topic, acknowledgements and weights.

    Attributes:
        agent: What the control loop runs.
    """

    def __init__(
        self,
        node: Node,
        options: ActorOptions,
        own: AgentOptions,
        warn: Callable[[str], None],
        on_weights: Callable[[], None],
    ) -> None:
        """Opens the bag, loads policy and reward model, subscribes.

        Raises:
            BagError, WeightsError, RewardError, ClassifierError, ValueError: See there.
        """
        self._node, self._options, self._own = node, options, own
        self._warn, self._on_new_weights = warn, on_weights
        self.spec = own.spec
        topic = self._name(names.STEP)
        folder = options.run_dir / "bags" / str(options.mode) / own.actor_id
        self._log = StepLog(
            folder,
            topic=node.resolve_topic_name(topic),
            frame_id=own.spec.arm(own.spec.arm_names[0]).base_frame,
        )
        for recovery in self._log.recovered:
            node.get_logger().warning(f"finished a bag that an earlier process left open: {recovery}")
        self.sender = StepSender(self._log)
        self._policy = ActingPolicy(options, own) if options.mode in _POLICY_MODES else None
        self.agent = self._make_agent()
        self._labels_file = Path(folder) / LABELS_FILE
        self._labels: LabelWriter | None = None
        self._rejected = 0
        self._step_pub = node.create_publisher(StepMessage, topic, qos.STEP)
        if options.mode is Mode.TRAIN:
            self._subscribe()

    def _name(self, topic: str) -> str:
        """Topics of one of several agents lie under its name."""
        return f"{self._own.name}/{topic}" if self._own.name else topic

    def _make_agent(self) -> Agent:
        options, own, log = self._options, self._own, self._log
        runner = EpisodeRunner(own.spec, own.actor_id, options.mode, log.next_sequence, log.next_episode)
        judged = options.mode is not Mode.RECORD_CLASSIFIER  # there the classifier is what is being made
        return Agent(
            own.spec,
            runner,
            self._policy.source if self._policy is not None else None,
            make_reward(own.spec, own.classifier) if judged else None,
            log.count_transitions(),
        )

    def _subscribe(self) -> None:
        self._node.create_subscription(
            PolicyWeights, self._name(names.POLICY_WEIGHTS), self._on_weights, qos.POLICY_WEIGHTS
        )
        self._node.create_subscription(
            LearnerStatus, self._name(names.LEARNER_STATUS), self._on_learner_status, qos.LEARNER_STATUS
        )

    def _on_weights(self, message: PolicyWeights) -> None:
        assert self._policy is not None
        try:
            self._policy.receive(message)
        except (WeightsError, ValueError) as error:
            self._node.get_logger().error(f"policy_weights refused, the present policy goes on: {error}")
            return
        self._on_new_weights()

    def _on_learner_status(self, message: LearnerStatus) -> None:
        if message.spec_hash and message.spec_hash != self.spec.hash:
            self._warn(
                f"the learner runs task spec {message.spec_hash}, this actor {self.spec.hash}; "
                "start both with the same task file"
            )
            return
        line = next((ack for ack in message.acks if ack.actor_id == self._own.actor_id), None)
        acknowledged, rejected = (line.acknowledged, line.rejected) if line is not None else (-1, 0)
        if rejected > self._rejected:
            self._warn(f"the learner has refused {rejected} steps of this actor: {message.message}")
        self._rejected = rejected
        try:
            self.sender.on_ack(message.run_id, acknowledged, time.monotonic())
        except DeliveryConflict as error:
            print(f"{ERROR_PREFIX}{error}", file=sys.stderr, flush=True)
            raise SystemExit(EXIT_USER_ERROR) from error
        self.send_due()

    def append(self, step: Step) -> None:
        """Makes a record durable; raises BagWriteError when the disk does not take it."""
        self.sender.append(step)

    def label(self, step: Step, label: str) -> None:
        """Notes the class of a record; a label that cannot be written is warned of, the record itself is safe."""
        try:
            if self._labels is None:
                self._labels = LabelWriter(self._labels_file)
            self._labels.write(step.actor_id, step.sequence, label)
        except OSError as error:
            self._warn(f"the label of record {step.sequence} was not written: {error.strerror}")

    def send_due(self) -> None:
        """Publishes what the learner lacks; only training experience goes there.

        What is left when the time is up goes with the next call: the thread that controls the robot does this.
        """
        if self._options.mode is not Mode.TRAIN:
            return
        frame = self.spec.arm(self.spec.arm_names[0]).base_frame
        now = time.monotonic()
        end = now + _SEND_TIME
        while now < end and (steps := self.sender.due(now, most=1)):
            self._step_pub.publish(step_to_message(steps[0], frame))
            now = time.monotonic()

    @property
    def undelivered(self) -> bool:
        """The learner has not acknowledged everything."""
        return self._options.mode is Mode.TRAIN and self.sender.unacknowledged > 0

    def close(self) -> None:
        """Finishes bag and labels."""
        self._log.close()
        if self._labels is not None:
            self._labels.close()
