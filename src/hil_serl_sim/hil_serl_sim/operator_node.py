# SPDX-License-Identifier: Apache-2.0
"""The scripted operator as a ROS client: it sees topics and publishes what SpaceMouse drivers publish, one an arm."""

import sys
import time
from functools import partial

import numpy as np
from geometry_msgs.msg import Twist
from rclpy.node import Node
from sensor_msgs.msg import Joy

from hil_serl_core.spec import load_task
from hil_serl_msgs.msg import ArmState, EpisodeSummary, SceneTruth
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import STEADY
from hil_serl_ros.geometry_messages import pose_to_array, twist_from_array, twist_to_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_ros.stamps import stamp_from_ns, stamp_to_ns
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.operator_session import ArmSight, OperatorSession, ScenePoses
from hil_serl_sim.tasks import make_twin

_MODES = {
    "auto": None,
    "demonstrate": OperatorMode.DEMONSTRATE,
    "supervise": OperatorMode.SUPERVISE,
    "collect": OperatorMode.COLLECT,
    "off": OperatorMode.OFF,
}


class OperatorNode(Node):
    """Wires a :class:`~hil_serl_sim.operator.ScriptedOperator` to topics.

    Parameters:
        task: path of the task file.
        partner_task: path of the backward agent's task file; empty: the cell has one task.
        seed: of the person's perception and motion.
        mode: 'auto' (as the actor announces on ``episode``), 'demonstrate', 'supervise', 'collect' or 'off'.
        lockstep: answer each ``sim/truth`` once, under its stamp.
    """

    def __init__(self) -> None:
        super().__init__("operator")
        parameters = Parameters(self)
        spec = load_task(parameters.path("task", must_exist=True))
        partner_task = parameters.string("partner_task", "")
        seed = parameters.integer("seed", 0, minimum=0)
        mode = _MODES[parameters.string("mode", "auto", choices=tuple(_MODES))]
        lockstep = parameters.boolean("lockstep", True)
        operator = ScriptedOperator(spec, make_twin(spec).guide(), seed)
        partners = []
        if partner_task:
            partner = load_task(partner_task)
            partners.append((partner, make_twin(partner).guide()))
        self._session = OperatorSession(spec, operator, mode, lockstep, partners=partners)
        self._joy, self._twist = {}, {}
        for arm in spec.arm_names:
            joy, twist = names.for_arm(names.SPACENAV_JOY, arm), names.for_arm(names.SPACENAV_TWIST, arm)
            self._joy[arm] = self.create_publisher(Joy, joy, qos.OPERATOR)
            self._twist[arm] = self.create_publisher(Twist, twist, qos.OPERATOR)
            state = names.for_arm(names.ARM_STATE, arm)
            self.create_subscription(ArmState, state, partial(self._on_arm, arm), qos.ARM_STATE)
        self.create_subscription(SceneTruth, names.SCENE_TRUTH, self._on_truth, qos.SCENE_TRUTH)
        self.create_subscription(EpisodeSummary, names.EPISODE, self._on_episode, qos.EPISODE)

    def _on_arm(self, arm: str, message: ArmState) -> None:
        sight = ArmSight(
            stamp_to_ns(message.header.stamp),
            pose_to_array(message.tcp_pose),
            twist_to_array(message.tcp_twist),
            message.gripper_position,
        )
        self._session.see_arm(arm, sight)
        self._answer()

    def _on_truth(self, message: SceneTruth) -> None:
        poses = {name: pose_to_array(pose) for name, pose in zip(message.names, message.poses, strict=True)}
        goals = dict(zip(message.goals, message.reached, strict=True))
        stamp = stamp_to_ns(message.header.stamp)
        scene = ScenePoses(stamp, message.resets, message.success, message.failure, poses, goals)
        self._session.see_scene(scene, time.monotonic())
        self._answer()

    def _on_episode(self, message: EpisodeSummary) -> None:
        if not message.started:
            return
        try:
            self._session.announce(message.mode, stamp_to_ns(message.header.stamp), message.task)
        except ValueError as error:
            self.get_logger().warning(
                str(error), throttle_duration_sec=10.0, throttle_time_source_type=STEADY
            )
            return
        self._answer()

    def _answer(self) -> None:
        answer = self._session.answer(time.monotonic())
        if answer is None:
            return
        stamp, devices = answer
        for arm, device in devices.items():
            joy = Joy(axes=device.axes.astype(np.float32).tolist(), buttons=list(device.buttons))
            joy.header.stamp = stamp_from_ns(stamp)
            joy.header.frame_id = "spacenav"
            self._joy[arm].publish(joy)
            self._twist[arm].publish(twist_from_array(device.axes))


def main(args: list[str] | None = None) -> int:
    """Entry point."""
    return run_node(OperatorNode, args=args)


if __name__ == "__main__":
    sys.exit(main())
