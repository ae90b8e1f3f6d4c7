# SPDX-License-Identifier: Apache-2.0
"""Waiting inside a service callback while the node goes on: coroutines with limits in wall-clock time.

A callback that is a coroutine and awaits these leaves the executor free for timers and subscriptions, so that a stop
is heard while the arm moves. It has to be in a callback group of its own kind (reentrant). What such a coroutine does at
its end it does after ``except CellError``, never in ``finally``: that would run, and could not wait, when the process ends.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

_DISCOVERY = 0.05  # s between two looks whether a server is there


class CellError(Exception):
    """Something the cell was asked for that cannot be done; the message names the thing and the remedy."""


class Waiting:
    """Awaits futures, services and actions of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.group = ReentrantCallbackGroup()

    async def sleep(self, seconds: float) -> None:
        """Let ``seconds`` of wall-clock time pass."""
        await self.done(Future(), seconds)

    async def done(self, future: Future, seconds: float) -> bool:
        """Wait until a future is done, at most ``seconds``; False when it is not."""
        either = Future()

        def finish(_: Any = None) -> None:
            if not either.done():
                either.set_result(None)

        future.add_done_callback(finish)
        timer = self._node.create_timer(seconds, finish, callback_group=self.group, clock=self._clock)
        await either
        # Not in a finally: where the process ends meanwhile, the node has gone with its timers.
        timer.cancel()
        self._node.destroy_timer(timer)
        return bool(future.done())

    async def call(self, client: Client, request: Any, seconds: float, remedy: str) -> Any:
        """Answer of a service.

        Args:
            client: Its client.
            request: What to ask.
            seconds: Longest wait for the service, and for its answer.
            remedy: What people do when it is not there.

        Raises:
            CellError: No service, or no answer.
        """
        name = self._node.resolve_service_name(client.srv_name)
        await self._there(client.service_is_ready, f"service '{name}'", seconds, remedy)
        future = client.call_async(request)
        if not await self.done(future, seconds):
            client.remove_pending_request(future)
            raise CellError(f"service '{name}' did not answer for {seconds:.0f} s; {remedy}")
        return future.result()

    async def accepted(self, client: ActionClient, name: str, goal: Any, seconds: float, remedy: str) -> Any:
        """Handle of a goal that an action server has accepted.

        Args:
            client: Its client.
            name: Name of the action, for people.
            goal: What is asked for.
            seconds: Longest wait for the server, and for its answer.
            remedy: What people do when it is not there.

        Raises:
            CellError: No server, no answer, or refused.
        """
        await self._there(client.server_is_ready, f"action server '{name}'", seconds, remedy)
        future = client.send_goal_async(goal)
        if not await self.done(future, seconds):
            raise CellError(f"action server '{name}' did not answer for {seconds:.0f} s; {remedy}")
        handle = future.result()
        if not handle.accepted:
            raise CellError(f"action server '{name}' refused the goal; {remedy}")
        return handle

    async def _there(self, ready: Any, what: str, seconds: float, remedy: str) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise CellError(f"no {what} (waited {seconds:.0f} s); {remedy}")
            await self.sleep(_DISCOVERY)
