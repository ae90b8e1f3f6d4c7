# SPDX-License-Identifier: Apache-2.0
"""Asks the cell for resets, and notices when the node that was making one is gone."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future

from hil_serl_actor.loop.ports import Reset
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names
from hil_serl_ros.stamps import stamp_to_seconds


class ResetClient:
    """One request at a time; its end goes to ``answered``.

    ``answered`` gets success, message, stamp [s] of the first state, and whether the cell has put the objects back.
    """

    def __init__(self, node: Node, answered: Callable[[bool, str, float, bool], None]) -> None:
        self._node, self._answered = node, answered
        self._client = node.create_client(ResetEpisode, names.RESET_EPISODE)
        self._pending: Future | None = None
        self._servers = 0  # when the pending request was sent

    def request(self, reset: Reset) -> None:
        """Ask, unless a reset is under way."""
        if self._pending is not None:
            return
        if not self._client.service_is_ready():
            self._answered(False, f"no service '{self._client.srv_name}' yet", 0.0, False)
            return
        self._servers = self._count()
        request = ResetEpisode.Request(seed=reset.seed, arm_only=reset.arm_only, goal=reset.goal)
        self._pending = self._client.call_async(request)
        self._pending.add_done_callback(self._on_done)

    def look(self) -> None:
        """Now and then: a server that ended or was started again has forgotten the request, so it counts as failed.

        A node that was killed stays in the graph for a while; the one that takes its place is one more.
        """
        if self._pending is None or self._count() == self._servers:
            return
        self._client.remove_pending_request(self._pending)
        self._pending = None
        text = f"the node that serves '{self._client.srv_name}' ended or was started again meanwhile"
        self._answered(False, text, 0.0, False)

    def _count(self) -> int:
        return int(self._node.count_services(names.RESET_EPISODE))

    def _on_done(self, future: Future) -> None:
        if future is not self._pending:
            return
        self._pending = None
        reply = future.result()
        self._answered(reply.success, reply.message, stamp_to_seconds(reply.stamp), reply.objects_reset)
