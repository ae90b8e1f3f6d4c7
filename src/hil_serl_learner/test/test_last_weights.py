# SPDX-License-Identifier: Apache-2.0
"""Weights that are due in the moment in which a signal ends the learner."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from hil_serl_core.weights import pack

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("hil_serl_msgs.msg")

from std_msgs.msg import String  # noqa: E402

from hil_serl_learner.learner_node import LearnerNode  # noqa: E402

PACKED = pack({"w": torch.zeros(2)}, version=3, trained_step=1, update=1, spec_hash="0")


@pytest.fixture
def learner():
    """What sending weights needs of the node, on a context of its own."""
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("late", context=context)
    publisher = node.create_publisher(String, "weights", 1)
    actors = SimpleNamespace(publish_weights=lambda message: publisher.publish(String()))
    yield SimpleNamespace(get_clock=node.get_clock, context=context, _actors=actors, _version=-1)
    context.try_shutdown()


def test_weights_are_not_sent_on_a_closed_context_and_the_training_thread_lives(learner):
    """It still has its last checkpoint to write."""
    LearnerNode._publish_weights(learner, PACKED)
    assert learner._version == 3
    learner._version = -1
    learner.context.shutdown()
    LearnerNode._publish_weights(learner, PACKED)
    assert learner._version == -1


def test_weights_that_cannot_be_sent_otherwise_end_the_training(learner):
    def fail(message):
        raise RuntimeError("no memory")

    learner._actors.publish_weights = fail
    with pytest.raises(RuntimeError, match="no memory"):
        LearnerNode._publish_weights(learner, PACKED)
