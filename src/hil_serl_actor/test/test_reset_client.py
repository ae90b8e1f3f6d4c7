# SPDX-License-Identifier: Apache-2.0
"""A reset whose cell goes away must not be waited for for ever."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from hil_serl_actor.loop.ports import Reset
from hil_serl_actor.wiring.reset_client import ResetClient
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names
from hil_serl_ros.stamps import stamp_from_seconds


class Actor:
    """A client, and cells that answer only when they are spun."""

    def __init__(self):
        rclpy.init()
        self.answers = []
        self.node = rclpy.create_node("actor", use_global_arguments=False)
        self.client = ResetClient(self.node, lambda *answer: self.answers.append(answer))
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def cell(self, name):
        node = rclpy.create_node(name, use_global_arguments=False)
        node.create_service(ResetEpisode, names.RESET_EPISODE, self._reset)
        return node

    @staticmethod
    def _reset(request, response):
        response.success, response.message = True, f"seed {request.seed} for {request.goal or 'its own task'}"
        response.objects_reset = not request.arm_only
        response.stamp = stamp_from_seconds(5.0)
        return response

    def until(self, condition):
        def look():
            self.client.look()
            self.executor.spin_once(timeout_sec=0.02)

        wait_for(condition, "an answer", look, lambda: self.answers)

    def ask(self, **reset):
        """Ask until a server is there; leaves the request pending."""
        while True:
            self.answers.clear()
            self.client.request(Reset(seed=3, **reset))
            if not self.answers:
                return
            assert "no service" in self.answers[0][1]
            self.executor.spin_once(timeout_sec=0.02)


@pytest.fixture
def actor():
    made = Actor()
    yield made
    made.executor.shutdown()
    made.node.destroy_node()
    rclpy.try_shutdown()


def test_an_answer_arrives_once(actor):
    cell = actor.cell("cell")
    actor.ask()
    actor.client.request(Reset(seed=4))  # one at a time
    actor.executor.add_node(cell)
    actor.until(lambda: actor.answers)
    assert actor.answers == [(True, "seed 3 for its own task", 5.0, True)]
    actor.ask(arm_only=True, goal="backward")
    actor.until(lambda: actor.answers)
    assert actor.answers == [(True, "seed 3 for backward", 5.0, False)]
    cell.destroy_node()


def test_a_cell_that_ends_is_noticed_and_asked_again_later(actor):
    cell = actor.cell("cell")
    actor.ask()
    cell.destroy_node()
    actor.until(lambda: actor.answers)
    ((success, message, *_),) = actor.answers
    assert not success
    assert "ended or was started again" in message
    again = actor.cell("cell_again")
    actor.executor.add_node(again)
    actor.ask()
    actor.until(lambda: actor.answers)
    assert actor.answers == [(True, "seed 3 for its own task", 5.0, True)]
    again.destroy_node()


def test_a_cell_that_was_killed_is_noticed_when_another_takes_its_place(actor):
    killed = actor.cell("killed")  # stays in the graph until its lease ends
    actor.ask()
    another = actor.cell("another")
    actor.until(lambda: actor.answers)
    assert not actor.answers[0][0]
    for node in (killed, another):
        node.destroy_node()
