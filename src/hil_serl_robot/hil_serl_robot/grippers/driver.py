# SPDX-License-Identifier: Apache-2.0
"""Drives a hand's actions: sends what is due, follows the goal to its end, tells people what went wrong.

Nothing is waited for without a limit: a server that ends during a goal never answers, and an action client does not say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.task import Future

from hil_serl_robot.grippers.adapters import ActionGoal, GripperAdapter
from hil_serl_robot.grippers.servo import GripperServo

ANSWER_TIME = 2.0  # s in which a server has to accept or refuse a goal
GONE_TIME = 0.5  # s without its server after which a goal is lost; discovery may flicker
_NO_SERVER = "no action server"
_REPEATED = "; look at the hand and at its driver's log, the command is repeated"


@dataclass
class _UnderWay:
    """A goal that has not ended."""

    goal: ActionGoal
    deadline: float
    missing: str
    server_seen: float
    handle: Any = None


@dataclass(frozen=True)
class DoneGoal:
    """A goal for an opening that ended well.

    Attributes:
        before: Opening that was measured when it was sent.
        opening: What was asked for.
        sent: When it was sent [s].
        ended: When it ended [s].
    """

    before: float
    opening: float
    sent: float
    ended: float


class HandDriver:
    """One hand behind its adapter.

    Attributes:
        trouble: Why the hand is not where it was told to be, or will not go there; empty if nothing is wrong.
        done: Last goal for an opening that ended well, None before.
    """

    def __init__(
        self,
        adapter: GripperAdapter,
        now: Callable[[], float],
        warn: Callable[[str], None],
        goal_time: float = 10.0,
        measured: Callable[[], float] = lambda: math.nan,
    ) -> None:
        """Start without a command.

        Args:
            adapter: Of the hand.
            now: Time of a steady clock [s]; a clock that is set would delay or repeat goals.
            warn: Takes a line for people, again and again.
            goal_time: In which a goal has to end [s].
            measured: Opening of the fingers now, NaN where nobody knows.
        """
        self._adapter, self._now, self._warn, self._goal_time = adapter, now, warn, goal_time
        self._servo = GripperServo(adapter.preempts)
        self._serial = (
            0  # of the newest goal: older ones were replaced or given up, and their ends mean nothing
        )
        self._under_way: _UnderWay | None = None
        self._homing = False
        self._measured = measured
        self._sent = (math.nan, math.nan, 0.0)  # of the newest goal: measured opening before, opening, time
        self.trouble = ""
        self.done: DoneGoal | None = None

    @property
    def wanted(self) -> float:
        """Opening it was told to have, NaN before the first command."""
        return self._servo.wanted

    @property
    def waits_for(self) -> str:
        """Action whose goal is under way; empty for none."""
        return "" if self._under_way is None else self._under_way.goal.name

    def command(self, opening: float) -> None:
        """Take an opening, 0 closed to 1 open; raises ValueError for NaN and infinity."""
        self._servo.command(opening)
        self.send_due()

    def look(self) -> None:
        """End a goal that nobody will answer any more, notice servers that are gone; call it often."""
        now = self._now()
        if self._under_way is not None:
            self._watch(self._under_way, now)
        elif gone := [name for name, client in self._adapter.servers.items() if not client.server_is_ready()]:
            self._servo.forget()
            self._fail(self._no_server(" and ".join(gone)))
        elif self.trouble.startswith(_NO_SERVER):
            self.trouble = ""

    def send_due(self) -> None:
        """Ask the hand for what is wanted, if that is new and the hand is free."""
        opening = self._servo.due(self._now())
        if opening is None or self._homing:
            return
        if self._send(self._adapter.goal(opening, self._servo.sent)):
            self._servo.started(opening)
            self._sent = self._measured(), opening, self._now()

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
            self._fail(self._no_server(goal.name))
            return False
        self._serial += 1
        now = self._now()
        self._under_way = _UnderWay(goal, now + ANSWER_TIME, "did not answer", now)
        future = goal.client.send_goal_async(goal.goal)
        future.add_done_callback(partial(self._on_accepted, self._under_way, self._serial))
        return True

    def _watch(self, under_way: _UnderWay, now: float) -> None:
        """Give up a goal whose time is over or whose server is gone."""
        goal = under_way.goal
        if goal.client.server_is_ready():
            under_way.server_seen = now
        if now - under_way.server_seen > GONE_TIME:
            self._give_up(f"action server '{goal.name}' went away during a goal")
        elif now > under_way.deadline:
            self._give_up(f"action server '{goal.name}' {under_way.missing}")

    def _give_up(self, trouble: str) -> None:
        under_way = self._under_way
        assert under_way is not None
        if under_way.handle is not None and under_way.goal.client.server_is_ready():
            under_way.handle.cancel_goal_async()  # nobody watches its end any more
        self._end(f"{trouble}; start the gripper's driver again: {self._adapter.driver}")
        self._servo.forget()

    def _on_accepted(self, under_way: _UnderWay, serial: int, future: Future) -> None:
        handle: Any = future.result()
        if not handle.accepted:
            self._on_end(serial, f"action server '{under_way.goal.name}' refused the goal{_REPEATED}")
            return
        if serial != self._serial:  # replaced, or given up before its server answered
            if not self._adapter.preempts:
                handle.cancel_goal_async()
            return
        limit = self._goal_time * under_way.goal.patience
        under_way.handle, under_way.deadline = handle, self._now() + limit
        under_way.missing = f"took the goal and did not end it within {limit:g} s"
        handle.get_result_async().add_done_callback(partial(self._on_result, under_way.goal, serial))

    def _on_result(self, goal: ActionGoal, serial: int, future: Future) -> None:
        reply: Any = future.result()
        reason = goal.judge(reply.result)
        if reply.status != GoalStatus.STATUS_SUCCEEDED and not reason:
            reason = f"it ended with status {reply.status} (action_msgs/GoalStatus)"
        self._on_end(serial, f"action '{goal.name}' failed: {reason}{_REPEATED}" if reason else "")

    def _on_end(self, serial: int, trouble: str) -> None:
        if serial != self._serial or self._under_way is None:
            return
        if not trouble and not self._homing:
            self.done = DoneGoal(*self._sent, self._now())
        self._end(trouble)
        self.send_due()

    def _end(self, trouble: str) -> None:
        """The goal under way has ended, or is taken for ended."""
        self._serial += 1
        self._under_way, self._homing = None, False
        self._servo.finished(not trouble, self._now())
        self.trouble = ""
        if trouble:
            self._fail(trouble)

    def _no_server(self, name: str) -> str:
        return f"{_NO_SERVER} '{name}'; start the gripper's driver: {self._adapter.driver}"

    def _fail(self, trouble: str) -> None:
        self.trouble = trouble
        self._warn(trouble)
