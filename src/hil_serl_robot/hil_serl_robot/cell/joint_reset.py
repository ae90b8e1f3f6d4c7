# SPDX-License-Identifier: Apache-2.0
"""Joint reset of one arm: its controller steps aside for a joint trajectory controller, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node

from hil_serl_robot.cell.controllers import Controllers, needed
from hil_serl_robot.cell.joint_path import JointPoint, joint_path
from hil_serl_robot.cell.options import CellOptions
from hil_serl_robot.cell.waiting import CellError, Waiting
from hil_serl_ros import names

_PATIENCE = 5.0  # s
_EXTRA = 10.0  # s that a trajectory may take longer than planned
_LOOK = 0.05  # s between two looks whether the motion may go on


class JointReset:
    """Over months a redundant arm's elbow drifts; a pose of the tcp does not bring it back, this does."""

    def __init__(
        self,
        node: Node,
        waiting: Waiting,
        arm: str,
        controllers: Controllers,
        options: CellOptions,
    ) -> None:
        """``options``: joint pose, trajectory controller, speed and acceleration of the fastest joint."""
        self._node, self._waiting, self._controllers = node, waiting, controllers
        self._goal = options.joint_goals[arm]
        self._other = options.trajectory_controller
        self._speed, self._acceleration = options.joint_speed, options.joint_acceleration
        self._leash = options.joint_leash
        self._action = names.for_arm(f"{self._other}/follow_joint_trajectory", arm)
        self._client: ActionClient | None = None
        self._arm = f"{arm} arm: " if arm else ""

    async def run(self, position: np.ndarray, halt: Callable[[], str]) -> str:
        """Move the joints; the cartesian controller has the arm again afterwards, whatever happened.

        Args:
            position: (n,) measured joint positions [rad].
            halt: Why nothing may move, empty when it may; ends the motion.

        Returns:
            What was done, for people.

        Raises:
            CellError: A package, controller or action is missing, the motion was ended, or it did not get there.
        """
        try:
            path = joint_path(position, np.array(self._goal.position), self._speed, self._acceleration)
        except ValueError as error:
            raise CellError(
                f"{self._arm}{error}; 'joints' of cell_node has {len(self._goal.joints)}"
            ) from error
        goal = self._message(path)
        await self._check_order()
        await self._controllers.give_to(self._other)
        try:
            await self._follow(goal, path[-1].time, halt)
        except CellError as error:
            await self._controllers.activate(self._other)
            raise CellError(f"{self._arm}{error}") from error
        await self._controllers.activate(self._other)
        return f"{self._arm}at the joint pose after {path[-1].time:.1f} s"

    async def _check_order(self) -> None:
        """The way begins at the measured angles, which have no names: in another order its first points were a jump."""
        known = await self._controllers.joints()
        if known and known != self._goal.joints:
            raise CellError(
                f"{self._arm}'joints' of cell_node are {list(self._goal.joints)}, those of the controller "
                f"{list(known)}; give 'joints' and 'joint_position' in the controller's order (the robot file)"
            )

    def _message(self, path: list[JointPoint]) -> Any:
        actions = needed("control_msgs.action", "the joint reset")
        messages = needed("trajectory_msgs.msg", "the joint reset")
        if self._client is None:
            self._client = ActionClient(
                self._node, actions.FollowJointTrajectory, self._action, callback_group=self._waiting.group
            )
        tolerance = needed("control_msgs.msg", "the joint reset").JointTolerance
        goal = actions.FollowJointTrajectory.Goal()
        goal.trajectory.joint_names = list(self._goal.joints)
        # Without one the controller goes on with its trajectory whatever the arm does, and pushes ever harder at what is
        # in its way.
        goal.path_tolerance = [tolerance(name=joint, position=self._leash) for joint in self._goal.joints]
        for point in path:
            message = messages.JointTrajectoryPoint(
                positions=point.position.tolist(), velocities=point.velocity.tolist()
            )
            message.time_from_start.sec = int(point.time)
            message.time_from_start.nanosec = int(1e9 * (point.time - int(point.time)))
            goal.trajectory.points.append(message)
        return goal

    async def _follow(self, goal: Any, duration: float, halt: Callable[[], str]) -> None:
        assert self._client is not None
        name = self._node.resolve_topic_name(self._action)
        remedy = f"is '{self._other}' a joint trajectory controller of the joints {list(self._goal.joints)}?"
        if reason := halt():
            raise CellError(reason)
        handle = await self._waiting.accepted(self._client, name, goal, _PATIENCE, remedy)
        result, left = handle.get_result_async(), duration + _EXTRA
        while not await self._waiting.done(result, _LOOK):
            left -= _LOOK
            reason = halt()
            if reason or left < 0.0:
                await self._waiting.done(handle.cancel_goal_async(), _PATIENCE)
                raise CellError(reason or f"not there {_EXTRA:.0f} s after it should be")
        reply = result.result()
        if reply.status != GoalStatus.STATUS_SUCCEEDED or reply.result.error_code != 0:
            said = reply.result.error_string or f"error code {reply.result.error_code}"
            raise CellError(
                f"'{name}' failed: {said}; is something in the arm's way, are the controller's gains fit for it, or does "
                "joint_leash of cell_node need to be larger?"
            )
