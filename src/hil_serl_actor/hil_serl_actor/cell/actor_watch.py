# SPDX-License-Identifier: Apache-2.0
"""The actor as the cell hears it: whether it is stopped or paused, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import Bool

from hil_serl_ros import names, qos


class ActorWatch:
    """Why a motion of the cell may not go on.

    Who could stop a motion when it began has to stay there; where no actor was, none is missed.
    """

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        """``changed``: told at once that ``halt`` may be another one."""
        self._node, self._changed = node, changed
        self._stopped = self._paused = self._resting = False
        self._heeds_actor = False
        node.create_subscription(Bool, names.STOPPED, self._on_stopped, qos.STOPPED)
        node.create_subscription(Bool, names.PAUSED, self._on_paused, qos.PAUSED)

    def begin(self, *, in_pause: bool) -> None:
        """Something that may move an arm was asked for.

        Args:
            in_pause: It is made while the run is paused; only a pause that is asked for from now on ends it.
        """
        self._heeds_actor = self._is_there()
        self._resting = self._paused and self._heeds_actor and not in_pause  # nobody ends a dead one's pause

    @property
    def halt(self) -> str:
        """Why nothing may move, for people; empty when it may."""
        if self._stopped:
            return "stopped: the arms hold where they are; make the cell safe, then: hil-serl clear-stop"
        if self._heeds_actor and not self._is_there():
            return "the actor has ended, and nobody could stop this motion; the arms hold where they are"
        if self._resting:
            return "paused: the arms hold where they are, until hil-serl unpause"
        return ""

    def _is_there(self) -> bool:
        """Somebody is there who can stop what this node does."""
        return bool(self._node.count_publishers(self._node.resolve_topic_name(names.STOPPED)))

    def _on_stopped(self, message: Bool) -> None:
        self._stopped = message.data
        self._changed()

    def _on_paused(self, message: Bool) -> None:
        self._paused = self._resting = message.data
        self._changed()
