# SPDX-License-Identifier: Apache-2.0
"""The actor as the cell hears it: whether it is stopped or paused, and whether it is there at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import Bool

from hil_serl_ros import names, qos

_HELD = 2.0 * qos.ACTOR_LEASE  # s


class ActorWatch:
    """Why a motion of the cell may not go on.

    Who could stop a motion when it began has to stay there. An actor that leaves takes its publishers with it; one that is
    killed leaves them in the graph until DDS misses its process, so that its lease on ``paused`` is watched besides. Where
    no actor is, none is missed. An actor in this very process has no lease: Fast DDS asserts none there, and lets it lapse
    at once, which is no loss.
    """

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        """``changed``: told at once that ``halt`` may be another one."""
        self._node, self._changed = node, changed
        self._stopped = self._paused = self._resting = False
        self._heeds_actor = self._lost = False
        self._leased_at = math.inf  # s, steady clock
        node.create_subscription(Bool, names.STOPPED, self._on_stopped, qos.STOPPED)
        events = SubscriptionEventCallbacks(liveliness=self._on_lease)
        node.create_subscription(Bool, names.PAUSED, self._on_paused, qos.PAUSED, event_callbacks=events)

    def begin(self, *, in_pause: bool) -> None:
        """Something that may move an arm was asked for.

        Args:
            in_pause: It is made while the run is paused; only a pause that is asked for from now on ends it.
        """
        self._heeds_actor, self._lost = self._is_there(), False
        self._resting = self._paused and self._heeds_actor and not in_pause  # nobody ends a dead one's pause

    @property
    def halt(self) -> str:
        """Why nothing may move, for people; empty when it may."""
        if self._stopped:
            return "stopped: the arms hold where they are; make the cell safe, then: hil-serl clear-stop"
        if self._lost or (self._heeds_actor and not self._is_there()):
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

    def _on_lease(self, event: QoSLivelinessChangedInfo) -> None:
        now = time.monotonic()
        if event.alive_count_change > 0:
            self._leased_at = now
        elif event.alive_count == 0 and now - self._leased_at > _HELD:
            self._lost = True
        self._changed()
