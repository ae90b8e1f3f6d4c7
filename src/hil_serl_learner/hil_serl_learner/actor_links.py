# SPDX-License-Identifier: Apache-2.0
"""The learner's topics of every actor it learns from: steps in, weights and acknowledgements out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

from rclpy.exceptions import InvalidNamespaceException
from rclpy.node import Node
from rclpy.validate_namespace import validate_namespace

from hil_serl_learner.ingest import Ledger
from hil_serl_msgs.msg import LearnerStatus, PolicyWeights, StepAck
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import names, qos

OWN_NAMESPACE = ""


def parse_cells(text: str) -> tuple[str, ...]:
    """Namespaces of the actors, from a list such as ``cell_1, cell_2``; empty for one in the learner's own.

    Relative names lie under the learner's namespace, ``/cell_1`` does not.

    Raises:
        ValueError: One is no namespace, or is listed twice.
    """
    cells = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for cell in cells:
        try:
            validate_namespace(cell if cell.startswith("/") else f"/{cell}")
        except InvalidNamespaceException as error:
            raise ValueError(f"actors: '{cell}' is no ROS namespace ({error})") from error
    if len({cell.lstrip("/") for cell in cells}) != len(cells):
        raise ValueError(f"actors: a namespace is listed twice in '{text}'")
    return cells or (OWN_NAMESPACE,)


class ActorLinks:
    """``step``, ``policy_weights`` and ``learner_status`` in the namespace of each actor."""

    def __init__(self, node: Node, cells: Sequence[str], on_step: Callable[[StepMessage, str], None]) -> None:
        """Subscribe and advertise for every cell.

        Args:
            node: The learner.
            cells: See :func:`parse_cells`.
            on_step: Called with each record and the namespace it came from.
        """
        self._status = {}
        self._weights = []
        for cell in cells:
            status, weights, step = (
                f"{cell}/{name}" if cell else name
                for name in (names.LEARNER_STATUS, names.POLICY_WEIGHTS, names.STEP)
            )
            self._status[cell] = node.create_publisher(LearnerStatus, status, qos.LEARNER_STATUS)
            self._weights.append(node.create_publisher(PolicyWeights, weights, qos.POLICY_WEIGHTS))
            node.create_subscription(StepMessage, step, partial(self._received, on_step, cell), qos.STEP)

    @staticmethod
    def _received(on_step: Callable[[StepMessage, str], None], cell: str, message: StepMessage) -> None:
        on_step(message, cell)

    def publish_weights(self, message: PolicyWeights) -> None:
        """The same weights for every actor. May be called from any thread."""
        for publisher in self._weights:
            publisher.publish(message)

    def publish_status(self, status: LearnerStatus, ledger: Ledger) -> None:
        """The status for every actor, with the acknowledgements that concern it."""
        for cell, publisher in self._status.items():
            message = copy.copy(status)
            message.acks = [
                StepAck(
                    actor_id=ack.actor_id,
                    acknowledged=ack.acknowledged,
                    records=ack.records,
                    duplicates=ack.duplicates,
                    rejected=ack.rejected,
                )
                for ack in ledger.acks(cell)
            ]
            publisher.publish(message)
