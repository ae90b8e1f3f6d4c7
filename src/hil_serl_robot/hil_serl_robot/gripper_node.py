# SPDX-License-Identifier: Apache-2.0
"""A gripper behind the suite's two topics. One node an arm, in the arm's namespace (``left``, ``right``).

Subscribes: gripper/command (std_msgs/Float64), opening from 0 closed to 1 open, repeated every tick.
Publishes: gripper/state (std_msgs/Float64), the measured opening, for the controller's ArmState; /diagnostics.
Service: gripper/home (std_srvs/Trigger), finds the fingers' limits; only hands that need it (franka), only on request.

Parameters; the defaults in brackets are those of kind franka | robotiq | control_msgs:
    kind: franka, robotiq, control_msgs or mock (required).
    action_type: GripperCommand or ParallelGripperCommand, for robotiq and control_msgs (GripperCommand).
    action: name of the action server; franka: of the gripper's node
        (franka_gripper | robotiq_gripper_controller/gripper_cmd | gripper_controller/gripper_cmd).
    open_position, closed_position: what the action calls open and closed [m, robotiq: rad]
        (0.08, 0.0 | 0.0, 0.7929 | 0.08, 0.0).
    joint_states: topic with the measured fingers (franka_gripper/joint_states | joint_states | joint_states).
    joint: whose position shows the opening (empty | robotiq_85_left_knuckle_joint | empty). Empty: the only joint of the
        topic; of several, one has to be named.
    joint_open, joint_closed: its position when open and closed (0.04, 0.0 | 0.0, 0.7929 | as open_position and
        closed_position).
    speed: of the fingers [m/s]; franka only (0.1). mock: openings per second (2.0).
    delay: mock only: from a command to the motion, as a real hand has it [s] (0).
    effort: largest force [N] (40 | 0: the action's default | 0).
    goal_time: in which a goal has to end [s]; one that does not is given up and repeated (10).
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from hil_serl_robot.grippers.driver import HandDriver
from hil_serl_robot.grippers.fingers import Fingers
from hil_serl_robot.grippers.options import DEFAULTS, make_adapter, read_hand
from hil_serl_robot.grippers.servo import MockGripper
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import ThrottledLog
from hil_serl_ros.diagnostics import Level, diagnostic_array, diagnostic_status
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters

_RATE = 30.0  # Hz, of a mock's state, and of looks whether a goal is due again or lost
_SILENCE = 1.0  # s without the measured fingers that is worth a warning


class GripperNode(Node):
    """Wires a hand, or a mock of one, to ``gripper/command`` and ``gripper/state``."""

    def __init__(self) -> None:
        super().__init__("gripper")
        read = Parameters(self)
        kind = read.string("kind", choices=(*DEFAULTS, "mock"), description="what drives the fingers")
        self._measured = math.nan
        self._told = ThrottledLog(self.get_logger().warning)
        self._state = self.create_publisher(Float64, names.GRIPPER_STATE, qos.GRIPPER_STATE)
        self._diagnostics = self.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.DIAGNOSTICS)
        self._hand: HandDriver | MockGripper
        if kind == "mock":
            speed = read.number("speed", 2.0, minimum=0.01, maximum=100.0)
            self._hand = MockGripper(speed, delay=read.number("delay", 0.0, minimum=0.0, maximum=10.0))
        else:
            hand = read_hand(read, kind)
            goal_time = read.number("goal_time", 10.0, minimum=0.5, maximum=600.0)
            adapter = make_adapter(read, self, kind, hand)
            joint_states = read.string("joint_states", DEFAULTS[kind]["joint_states"])
            self._fingers = Fingers(hand, self.resolve_topic_name(joint_states))
            self._hand = HandDriver(
                adapter, time.monotonic, self._warn, goal_time, lambda: self._fingers.opening
            )
            self.create_subscription(JointState, joint_states, self._on_joints, qos.JOINT_STATES)
            self.create_service(Trigger, names.GRIPPER_HOME, self._on_home)
        self.create_subscription(Float64, names.GRIPPER_COMMAND, self._on_command, qos.GRIPPER_COMMAND)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / _RATE, self._on_timer, clock=wall)
        self.create_timer(1.0, self._publish_diagnostics, clock=wall)

    def _on_command(self, message: Float64) -> None:
        try:
            self._hand.command(message.data)
        except ValueError as error:
            self._warn(f"{self.resolve_topic_name(names.GRIPPER_COMMAND)}: {error}, so it is ignored")

    def _on_timer(self) -> None:
        if isinstance(self._hand, MockGripper):
            self._publish_state(self._hand.step(1.0 / _RATE))
        else:
            self._hand.look()
            self._hand.send_due()

    def _on_joints(self, message: JointState) -> None:
        opening = self._fingers.measure(message.name, message.position, time.monotonic())
        if opening is not None:
            self._publish_state(opening)

    def _publish_state(self, opening: float) -> None:
        self._measured = opening
        self._state.publish(Float64(data=opening))

    def _on_home(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert isinstance(self._hand, HandDriver)
        response.message = self._hand.home() or "the hand is homing"
        response.success = response.message == "the hand is homing"
        return response

    def _publish_diagnostics(self) -> None:
        level, text = Level.OK, "ok"
        values: dict[str, Any] = {"commanded": self._hand.wanted, "measured": self._measured}
        if isinstance(self._hand, HandDriver):
            level, text = self._condition(self._hand, time.monotonic())
            values["waits_for"] = self._hand.waits_for
        if text != "ok":
            self._warn(text)
        name = f"gripper{self.get_namespace().rstrip('/')}"
        status = diagnostic_status(name, level, text, **values)
        self._diagnostics.publish(diagnostic_array(self.get_clock().now().nanoseconds, [status]))

    def _condition(self, hand: HandDriver, now: float) -> tuple[Level, str]:
        """How bad the hand's state is, and what is wrong: its action first, then its measured fingers."""
        if trouble := hand.trouble or self._fingers.silence(now, _SILENCE):
            return Level.ERROR, trouble
        done = hand.done
        frozen = done and self._fingers.frozen(done.before, done.opening, done.sent, done.ended, now)
        return (Level.WARN, frozen) if frozen else (Level.OK, "ok")

    def _warn(self, text: str) -> None:
        self._told(text)


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(GripperNode))


if __name__ == "__main__":
    main()
