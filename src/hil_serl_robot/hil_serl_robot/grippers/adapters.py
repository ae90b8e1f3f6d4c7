# SPDX-License-Identifier: Apache-2.0
"""Real hands behind one protocol: which action an opening becomes. Message packages are imported only here, when used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.action import ActionClient
from rclpy.node import Node

from hil_serl_ros.optional import message_package

Result = Any
Judge = Callable[[Result], str]
"""Why the hand did not do what it was asked for, from the action's result; empty if it did."""


@dataclass(frozen=True)
class Hand:
    """What an adapter has to know of its hand.

    Attributes:
        action: Name of the action server; the Franka hand: of its node, under which the actions lie.
        open_position: What the action calls open [m or rad].
        closed_position: What it calls closed.
        joint: Joint in the driver's joint states whose position shows the opening; empty: the only one.
        joint_open: Its position when open [m or rad].
        joint_closed: Its position when closed.
        speed: Of the fingers [m/s or rad/s]; used by hands whose action has it.
        effort: Largest force [N]; 0: the action's default.
    """

    action: str
    open_position: float
    closed_position: float
    joint: str
    joint_open: float
    joint_closed: float
    speed: float
    effort: float

    def position(self, opening: float) -> float:
        """The action's position for an opening from 0 (closed) to 1 (open)."""
        return self.closed_position + opening * (self.open_position - self.closed_position)

    def share(self, joint_position: float) -> float:
        """Where a measured joint position lies between closed (0) and open (1), or beyond."""
        return (joint_position - self.joint_closed) / (self.joint_open - self.joint_closed)

    def opening(self, joint_position: float) -> float:
        """Opening, 0 to 1, of a measured joint position."""
        return min(max(self.share(joint_position), 0.0), 1.0)


@dataclass(frozen=True)
class ActionGoal:
    """What is sent to a hand.

    Attributes:
        client: Of the action.
        name: Of the action, for people.
        goal: What is asked for.
        judge: Of its result.
        patience: How many times the hand's usual time it may take; finding the fingers' limits takes longest.
    """

    client: ActionClient
    name: str
    goal: Any
    judge: Judge
    patience: float = 1.0


class GripperAdapter(Protocol):
    """Makes goals of openings.

    Attributes:
        preempts: The driver takes a new goal while one is under way.
        driver: What to start if the action server is missing, for people.
        servers: Name to client of every action that an opening may need.
    """

    preempts: bool
    driver: str
    servers: Mapping[str, ActionClient]

    def goal(self, opening: float, last: float) -> ActionGoal:
        """What to send for an opening.

        Args:
            opening: 0 closed to 1 open.
            last: Opening of the goal before, NaN for none and after one that failed.
        """

    def homing(self) -> ActionGoal | None:
        """The same for finding the fingers' limits; None for hands that need none."""


_PURPOSE = "this gripper (without one: kind mock)"
_HOMING_PATIENCE = 3.0  # of the time that a goal may take: the whole stroke, slowly, and back


class FrankaHand:
    """Franka hand by franka_gripper's actions: Move opens, Grasp closes with force around whatever is there."""

    preempts = False  # its node runs goals in threads that do not know of each other
    driver = (
        "ros2 launch franka_gripper gripper.launch.py robot_ip:=... (with a namespace where there are two)"
    )

    def __init__(self, node: Node, hand: Hand) -> None:
        """Raises ValueError where franka_msgs is missing."""
        self._types = message_package("franka_msgs.action", _PURPOSE)
        self._hand = hand
        self._clients = {
            name: ActionClient(node, getattr(self._types, name.capitalize()), f"{hand.action}/{name}")
            for name in ("move", "grasp", "homing")
        }
        self.servers: Mapping[str, ActionClient] = {
            f"{hand.action}/{name}": self._clients[name] for name in ("move", "grasp")
        }

    def goal(self, opening: float, last: float) -> ActionGoal:
        """See ``GripperAdapter``."""
        width = self._hand.position(opening)
        if opening > (0.5 if math.isnan(last) else last):
            goal = self._types.Move.Goal(width=width, speed=self._hand.speed)
            return self._named("move", goal)
        goal = self._types.Grasp.Goal(width=width, speed=self._hand.speed, force=self._hand.effort)
        # Fingers that stop at an object, however wide, are as good as fingers that meet.
        goal.epsilon.inner = goal.epsilon.outer = abs(self._hand.open_position - self._hand.closed_position)
        return self._named("grasp", goal)

    def homing(self) -> ActionGoal:
        """See ``GripperAdapter``."""
        return self._named("homing", self._types.Homing.Goal(), patience=_HOMING_PATIENCE)

    def _named(self, name: str, goal: Any, patience: float = 1.0) -> ActionGoal:
        return ActionGoal(self._clients[name], f"{self._hand.action}/{name}", goal, _franka_judge, patience)


def _franka_judge(result: Result) -> str:
    return "" if result.success else f"the hand reports: {result.error or 'no reason'}"


class GripperCommandHand:
    """Any hand with a control_msgs GripperCommand action: gripper action controller, Robotiq 2F, OnRobot, ..."""

    preempts = True
    driver = "its gripper action controller (ros2 control list_controllers)"

    def __init__(self, node: Node, hand: Hand) -> None:
        """Raises ValueError where control_msgs is missing."""
        self._type = message_package("control_msgs.action", _PURPOSE).GripperCommand
        self._hand = hand
        self._client = ActionClient(node, self._type, hand.action)
        self.servers: Mapping[str, ActionClient] = {hand.action: self._client}

    def goal(self, opening: float, last: float) -> ActionGoal:
        """See ``GripperAdapter``."""
        goal = self._type.Goal()
        goal.command.position = self._hand.position(opening)
        goal.command.max_effort = self._hand.effort
        return ActionGoal(self._client, self._hand.action, goal, _reached_or_stalled)

    def homing(self) -> None:
        """See ``GripperAdapter``."""
        return


class ParallelGripperHand:
    """Any hand with the newer control_msgs ParallelGripperCommand action (parallel_gripper_action_controller)."""

    preempts = True
    driver = "its parallel gripper action controller (ros2 control list_controllers)"

    def __init__(self, node: Node, hand: Hand) -> None:
        """Raises ValueError where control_msgs is missing or too old, or without the joint's name."""
        actions = message_package("control_msgs.action", _PURPOSE)
        if not hasattr(actions, "ParallelGripperCommand"):
            raise ValueError(
                "control_msgs is too old for ParallelGripperCommand: use action_type GripperCommand"
            )
        if not hand.joint:
            raise ValueError(
                "ParallelGripperCommand names its joint: set the parameter 'joint' of the gripper node"
            )
        self._type, self._hand = actions.ParallelGripperCommand, hand
        self._client = ActionClient(node, self._type, hand.action)
        self.servers: Mapping[str, ActionClient] = {hand.action: self._client}

    def goal(self, opening: float, last: float) -> ActionGoal:
        """See ``GripperAdapter``."""
        goal = self._type.Goal()
        goal.command.name = [self._hand.joint]
        goal.command.position = [self._hand.position(opening)]
        goal.command.effort = [self._hand.effort] if self._hand.effort > 0.0 else []
        return ActionGoal(self._client, self._hand.action, goal, _reached_or_stalled)

    def homing(self) -> None:
        """See ``GripperAdapter``."""
        return


def _reached_or_stalled(result: Result) -> str:
    """Fingers that stall at an object have grasped it."""
    return (
        ""
        if result.reached_goal or result.stalled
        else "it neither reached its goal nor stalled at an object"
    )
