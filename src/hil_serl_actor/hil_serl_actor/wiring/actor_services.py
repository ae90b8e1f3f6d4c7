# SPDX-License-Identifier: Apache-2.0
"""Services with which people steer the actor."""

from __future__ import annotations

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_core.episode import Outcome
from hil_serl_msgs.srv import LabelEpisode
from hil_serl_ros import names


class ActorServices:
    """Offers labelling, confirming a reset, pausing, stopping and clearing a stop, and answers in words."""

    def __init__(self, node: Node, loop: ControlLoop) -> None:
        self._loop = loop
        node.create_service(LabelEpisode, names.LABEL_EPISODE, self._on_label)
        node.create_service(Trigger, names.CONFIRM_RESET, self._on_confirm_reset)
        node.create_service(SetBool, names.PAUSE, self._on_pause)
        node.create_service(Trigger, names.STOP, self._on_stop)
        node.create_service(Trigger, names.CLEAR_STOP, self._on_clear_stop)

    def _on_label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        outcomes = {
            LabelEpisode.Request.SUCCESS: Outcome(success=True, final=True),
            LabelEpisode.Request.FAILURE: Outcome(failure=True, final=True),
            LabelEpisode.Request.DISCARD: None,
        }
        if request.label not in outcomes:
            response.message = f"label {request.label} is none of 1 (success), 2 (failure), 3 (discard)"
            return response
        response.success = self._loop.label(outcomes[request.label])
        response.message = "taken" if response.success else "no episode is running"
        return response

    def _on_confirm_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._loop.confirm_reset()
        response.message = "the episode starts" if response.success else "no reset is waiting for a person"
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._loop.pause(request.data)
        response.success = True
        response.message = self._loop.words
        return response

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._loop.stop("the service stop")
        response.success = self._loop.latch.engaged
        response.message = self._loop.latch.text or "the run is over, nothing moves the robot"
        return response

    def _on_clear_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refused = self._loop.clear_stop()
        response.success = not refused
        response.message = refused or f"cleared; the actor is {self._loop.phase.name.lower()}"
        return response
