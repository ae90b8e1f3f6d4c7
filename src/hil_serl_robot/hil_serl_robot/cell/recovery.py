# SPDX-License-Identifier: Apache-2.0
"""Recovery of an arm after an error, only ever because a person asked for it."""

from __future__ import annotations

from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node

from hil_serl_robot.cell.controllers import Controllers, needed
from hil_serl_robot.cell.options import CellOptions
from hil_serl_robot.cell.waiting import CellError, Waiting
from hil_serl_ros import names

_PATIENCE = 5.0  # s
_LONGEST = 20.0  # s that an arm's own recovery may take


class Recovery:
    """Brings one arm and its controller back: error, hardware, controller, fault, in this order.

    A Franka arm that had a reflex leaves its ros2_control hardware unconfigured and its controllers inactive; each
    step is for one of these. Nothing moves: the controller holds the pose it measures when it becomes active.
    """

    def __init__(
        self,
        node: Node,
        waiting: Waiting,
        arm: str,
        controllers: Controllers,
        options: CellOptions,
    ) -> None:
        """``options``: kind of recovery, its action, the hardware to make active."""
        self._node, self._waiting, self._controllers = node, waiting, controllers
        self._kind, self._component = options.recovery, options.hardware_components[arm]
        self._action = names.for_arm(options.recovery_action, arm)
        self._client: ActionClient | None = None
        self._arm = f"{arm} arm: " if arm else ""

    async def run(self) -> str:
        """Recover; returns what was done, for people.

        Raises:
            CellError: A step failed; names it and the remedy.
        """
        done = []
        try:
            if self._kind == "franka":
                await self._clear_error()
                done.append("error cleared")
            if self._component:
                await self._controllers.activate_hardware(self._component)
                done.append("hardware active")
            if (self._kind != "none" or self._component) and not await self._controllers.is_active():
                await self._controllers.activate()
                done.append("controller active")
            done.append(await self._controllers.reset_fault() or "fault cleared")
        except CellError as error:
            so_far = f" (so far: {', '.join(done)})" if done else ""
            raise CellError(f"{self._arm}{error}{so_far}") from error
        return self._arm + ", ".join(done)

    async def _clear_error(self) -> None:
        actions = needed("franka_msgs.action", "the error recovery of a Franka arm")
        if self._client is None:
            self._client = ActionClient(
                self._node, actions.ErrorRecovery, self._action, callback_group=self._waiting.group
            )
        name = self._node.resolve_topic_name(self._action)
        remedy = (
            "does the arm's driver run (franka_bringup), is recovery_action of cell_node its action's name?"
        )
        goal = actions.ErrorRecovery.Goal()
        handle: Any = await self._waiting.accepted(self._client, name, goal, _PATIENCE, remedy)
        result = handle.get_result_async()
        if not await self._waiting.done(result, _LONGEST):
            raise CellError(
                f"action '{name}' has not ended after {_LONGEST:.0f} s; look at Desk and the driver's log"
            )
        if result.result().status != GoalStatus.STATUS_SUCCEEDED:
            raise CellError(
                f"action '{name}' failed: unlock the joints, release the emergency stop and the enabling device as Desk "
                "asks, then try again"
            )
