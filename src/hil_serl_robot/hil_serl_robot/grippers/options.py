# SPDX-License-Identifier: Apache-2.0
"""Parameters of the gripper node: which hand, and what its action and its joint states call open and closed."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from hil_serl_robot.grippers.adapters import (
    FrankaHand,
    GripperAdapter,
    GripperCommandHand,
    Hand,
    ParallelGripperHand,
)
from hil_serl_ros.parameters import ParameterError, Parameters

DEFAULTS: dict[str, dict[str, Any]] = {
    "franka": {
        "action": "franka_gripper",
        "positions": (0.08, 0.0),
        "joint_states": "franka_gripper/joint_states",
        "joint": "",
        "joints": (0.04, 0.0),
        "effort": 40.0,
    },
    "robotiq": {
        "action": "robotiq_gripper_controller/gripper_cmd",
        "positions": (0.0, 0.7929),
        "joint_states": "joint_states",
        "joint": "robotiq_85_left_knuckle_joint",
        "joints": (0.0, 0.7929),
        "effort": 0.0,
    },
    "control_msgs": {
        "action": "gripper_controller/gripper_cmd",
        "positions": (0.08, 0.0),
        "joint_states": "joint_states",
        "joint": "",
        "joints": None,
        "effort": 0.0,
    },
}
"""Of each kind of hand; ``positions`` and ``joints``: open, closed."""


def read_hand(read: Parameters, kind: str) -> Hand:
    """A hand's parameters; raises ParameterError, also where open and closed are the same."""
    default = DEFAULTS[kind]
    open_position = read.number("open_position", default["positions"][0])
    closed_position = read.number("closed_position", default["positions"][1])
    joints = default["joints"] or (open_position, closed_position)
    hand = Hand(
        action=read.string("action", default["action"]),
        open_position=open_position,
        closed_position=closed_position,
        joint=read.string("joint", default["joint"]),
        joint_open=read.number("joint_open", joints[0]),
        joint_closed=read.number("joint_closed", joints[1]),
        speed=read.number("speed", 0.1, minimum=0.001, maximum=5.0),
        effort=read.number("effort", default["effort"], minimum=0.0, maximum=500.0),
    )
    if hand.open_position == hand.closed_position or hand.joint_open == hand.joint_closed:
        raise ParameterError(
            f"open_position {hand.open_position} and closed_position {hand.closed_position} have to differ, as have "
            f"joint_open {hand.joint_open} and joint_closed {hand.joint_closed}"
        )
    return hand


def make_adapter(read: Parameters, node: Node, kind: str, hand: Hand) -> GripperAdapter:
    """The adapter of a kind of hand; raises ValueError where a message package is missing."""
    if kind == "franka":
        return FrankaHand(node, hand)
    choices = ("GripperCommand", "ParallelGripperCommand")
    if read.string("action_type", choices[0], choices=choices) == choices[0]:
        return GripperCommandHand(node, hand)
    return ParallelGripperHand(node, hand)
