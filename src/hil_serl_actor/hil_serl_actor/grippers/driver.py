# SPDX-License-Identifier: Apache-2.0
"""Drives a hand's actions: sends what is due, follows the goal to its end, tells people what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.task import Future

from hil_serl_actor.grippers.adapters import ActionGoal, GripperAdapter
from hil_serl_actor.grippers.servo import GripperServo


class HandDriver:
    """One hand behind its adapter.

    Attributes:
        trouble: Why the hand is not where it was told to be; empty if nothing is wrong.
    """

    def __init__(
        self, adapter: GripperAdapter, now: Callable[[], float], warn: Callable[[str], None]
    ) -> None:
        """``now``: time of a steady clock [s]; ``warn``: takes a line for people, again and again."""
        self._adapter, self._now, self._warn = adapter, now, warn
        self._servo = GripperServo(adapter.preempts)
        self._serial = 0  # of the newest goal: older ones were replaced, and their ends mean nothing
        self._homing = False
        self.trouble = ""

    @property
    def wanted(self) -> float:
        """Opening it was told to have, NaN before the first command."""
        return self._servo.wanted

    def command(self, opening: float) -> None:
        """Take an opening, 0 closed to 1 open; raises ValueError for NaN and infinity."""
        self._servo.command(opening)
        self.send_due()

    def send_due(self) -> None:
        """Ask the hand for what is wanted, if that is new and the hand is free."""
        opening = self._servo.due(self._now())
        if opening is None or self._homing:
            return
        if self._send(self._adapter.goal(opening, self._servo.sent)):
            self._servo.started(opening)

    def home(self) -> str:
        """Find the fingers' limits; returns why not, empty when it has begun."""
        goal = self._adapter.homing()
        if goal is None:
            return "this hand needs no homing"
        if self._homing:
            return "the hand is homing already"
        self._homing = self._send(goal)
        return "" if self._homing else self.trouble

    def _send(self, goal: ActionGoal) -> bool:
        """Send a goal; False, with a warning, where nobody takes it."""
        if not goal.client.server_is_ready():
            self._fail(f"no action server '{goal.name}'; start the gripper's driver: {self._adapter.driver}")
            return False
        self._serial += 1
        future = goal.client.send_goal_async(goal.goal)
        future.add_done_callback(partial(self._on_accepted, goal, self._serial))
        return True

    def _on_accepted(self, goal: ActionGoal, serial: int, future: Future) -> None:
        handle: Any = future.result()
        if handle.accepted:
            handle.get_result_async().add_done_callback(partial(self._on_result, goal, serial))
        else:
            self._on_end(serial, f"action server '{goal.name}' refused the goal")

    def _on_result(self, goal: ActionGoal, serial: int, future: Future) -> None:
        reply: Any = future.result()
        reason = goal.judge(reply.result)
        if reply.status != GoalStatus.STATUS_SUCCEEDED and not reason:
            reason = f"it ended with status {reply.status} (action_msgs/GoalStatus)"
        self._on_end(serial, f"action '{goal.name}' failed: {reason}" if reason else "")

    def _on_end(self, serial: int, trouble: str) -> None:
        if serial != self._serial:
            return
        self._homing = False
        self._servo.finished(not trouble, self._now())
        self.trouble = ""
        if trouble:
            self._fail(f"{trouble}; look at the hand and at its driver's log, the command is repeated")
        self.send_due()

    def _fail(self, trouble: str) -> None:
        self.trouble = trouble
        self._warn(trouble)
