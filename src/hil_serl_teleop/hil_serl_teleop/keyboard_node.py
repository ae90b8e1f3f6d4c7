# SPDX-License-Identifier: Apache-2.0
"""ROS node that makes the terminal's keyboard an operator device; with two arms, one key moves it to the other arm."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from hil_serl_core.spec import load_task
from hil_serl_msgs.srv import LabelEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_teleop.keyboard import HELP, SWITCH_ARM, KeyboardDevice, Verdict

_RATE = 30.0  # Hz
_LABELS = {
    Verdict.SUCCESS: LabelEpisode.Request.SUCCESS,
    Verdict.FAILURE: LabelEpisode.Request.FAILURE,
    Verdict.DISCARD: LabelEpisode.Request.DISCARD,
}


class KeyboardNode(Node):
    """Publishes the keyboard's axes and buttons at 30 Hz, stamped with ROS time; verdicts go to the actor's services.

    Parameters:
        task: path of the task file, for its arms.
    """

    def __init__(self) -> None:
        super().__init__("keyboard_teleop")
        try:
            self._terminal = os.open("/dev/tty", os.O_RDONLY)
        except OSError as error:
            raise OSError(
                f"keyboard teleoperation needs a terminal ({error.strerror}); start it in one, or choose another operator"
            ) from error
        self._saved = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal)
        spec = load_task(Parameters(self).path("task", must_exist=True, description="task file"))
        deadman = spec.intervention.deadman_button
        self._devices = {arm: KeyboardDevice(deadman=deadman) for arm in spec.arm_names}
        self._driven = spec.arm_names[0]
        self._devices_out = {
            arm: self.create_publisher(Joy, names.for_arm(names.SPACENAV_JOY, arm), qos.OPERATOR)
            for arm in spec.arm_names
        }
        self._label = self.create_client(LabelEpisode, names.LABEL_EPISODE)
        self._triggers = {
            Verdict.SCENE_IS_RESET: self.create_client(Trigger, names.CONFIRM_RESET),
            Verdict.STOP: self.create_client(Trigger, names.STOP),
            Verdict.CLEAR_STOP: self.create_client(Trigger, names.CLEAR_STOP),
        }
        self.create_timer(1.0 / _RATE, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(HELP)

    def _on_timer(self) -> None:
        now = time.monotonic()
        while select.select([self._terminal], [], [], 0.0)[0]:
            for key in os.read(self._terminal, 64).decode("ascii", errors="replace"):
                self._press(key, now)
        stamp = self.get_clock().now().to_msg()
        for arm, publisher in self._devices_out.items():
            device = self._devices[arm]
            message = Joy(axes=device.axes(now).tolist(), buttons=device.buttons(now))
            message.header.stamp = stamp
            publisher.publish(message)

    def _press(self, key: str, now: float) -> None:
        if key == SWITCH_ARM:
            self._devices[self._driven].press(" ", now)
            arms = list(self._devices)
            self._driven = arms[(arms.index(self._driven) + 1) % len(arms)]
        elif key in {verdict.value for verdict in Verdict}:
            self._judge(Verdict(key))
        else:
            self._devices[self._driven].press(key, now)

    def _judge(self, verdict: Verdict) -> None:
        client = self._triggers.get(verdict, self._label)
        if not client.service_is_ready():
            self.get_logger().warning(f"no service '{client.srv_name}': is the actor running?")
            return
        if verdict in self._triggers:
            future = client.call_async(Trigger.Request())
        else:
            future = client.call_async(LabelEpisode.Request(label=_LABELS[verdict]))
        future.add_done_callback(
            lambda done: self.get_logger().info(f"{verdict.name.lower()}: {done.result().message}")
        )

    def destroy_node(self) -> None:
        """Give the terminal back as it was."""
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._saved)
        os.close(self._terminal)
        super().destroy_node()


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(KeyboardNode))


if __name__ == "__main__":
    main()
