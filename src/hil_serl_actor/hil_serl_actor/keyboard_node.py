# SPDX-License-Identifier: Apache-2.0
"""ROS node that makes the terminal's keyboard an operator device (``spacenav/joy``)."""

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

from hil_serl_actor.keyboard import HELP, KeyboardDevice
from hil_serl_ros import names, qos
from hil_serl_ros.node_main import run_node

_RATE = 30.0  # Hz


class KeyboardNode(Node):
    """Publishes the keyboard's axes at 30 Hz, stamped with ROS time."""

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
        self._device = KeyboardDevice()
        self._publisher = self.create_publisher(Joy, names.SPACENAV_JOY, qos.OPERATOR)
        self.create_timer(1.0 / _RATE, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(HELP)

    def _on_timer(self) -> None:
        now = time.monotonic()
        while select.select([self._terminal], [], [], 0.0)[0]:
            for key in os.read(self._terminal, 64).decode("ascii", errors="replace"):
                self._device.press(key, now)
        message = Joy(axes=self._device.axes(now).tolist(), buttons=[0, 0])
        message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(message)

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
