# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl teleop-check`: wires the topics of the operator's devices to `DeviceCheck`s and shows them."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.live import Live

from hil_serl_actor.teleop.check import DeviceCheck
from hil_serl_actor.teleop.devices import DEVICES
from hil_serl_actor.teleop.keyboard import HELP
from hil_serl_bringup.graph.build import GraphRequest, Operator, build_graph
from hil_serl_bringup.graph.executables import ExecutableNotFound
from hil_serl_bringup.monitor.teleop_view import render
from hil_serl_bringup.resources import find_task_file, tasks, twins
from hil_serl_bringup.runs.supervisor import Supervisor, interrupt_on_signals
from hil_serl_bringup.terminal import plain_console
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_ros import names, qos

_DISCOVERY = 1.5  # s until a driver that runs has been found
_REFRESH = 0.05  # s between two pictures on a terminal
_PLAIN_PERIOD = 5.0  # s between two without one

_DRIVERS = {
    "spacenav": "ros2 run spacenav spacenav_node   (apt install ros-jazzy-spacenav spacenavd; spacenavd has to run)",
    "joy": "ros2 run joy joy_node   (apt install ros-jazzy-joy; your user in the group 'input')",
    "keyboard": "hil-serl teleop-check --operator keyboard   (in a terminal: it starts the keyboard's node itself)",
}


def how_to_start(operator: str, checks: list[DeviceCheck]) -> str:
    """What to type so that the driver of a device runs and publishes where the task expects it."""
    lines = [f"start it with: {_DRIVERS[operator]}"]
    if operator != "keyboard":
        base = DEVICES[operator].topic
        lines += [
            f"for this topic add: --ros-args -r {base}:={check.topic}"
            for check in checks
            if check.topic != base
        ]
    lines.append(f"in the same ROS domain as here (ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID', '0')})")
    return "\n".join(lines)


class TeleopListener:
    """A node of its own context that feeds the checks of a task's devices; it spins only inside `spin`.

    Attributes:
        checks: One for each device.
        seen: When the last `spin` ended (monotonic, s).
        usable: Whether every device was usable then; Ctrl-C ends a driver of this terminal too, which is no fault.
    """

    def __init__(self, spec: TaskSpec, operator: str, switched: bool = False, namespace: str = "") -> None:
        from sensor_msgs.msg import Joy

        from hil_serl_ros.tool_node import ToolNode

        device = DEVICES[operator]
        self._tool = ToolNode("teleop_check", namespace)
        self._node = self._tool.node
        self.checks: list[DeviceCheck] = []
        self.seen, self.usable = time.monotonic(), False
        for arm in spec.arm_names[:1] if switched else spec.arm_names:
            topic = names.for_arm(device.topic, "" if switched else arm)
            check = DeviceCheck(spec, device, topic, arm)
            self._node.create_subscription(Joy, topic, partial(self._on_joy, check), qos.OPERATOR)
            self.checks.append(check)

    def _on_joy(self, check: DeviceCheck, message: Any) -> None:
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        ros_now = self._node.get_clock().now().nanoseconds * 1e-9
        check.hear(stamp, message.axes, message.buttons, time.monotonic(), ros_now)

    def spin(self, seconds: float) -> None:
        """Handle messages for about `seconds`, then look who publishes."""
        self._tool.spin(seconds)
        for check in self.checks:
            check.publishers = self._node.count_publishers(check.topic)
        self.seen = time.monotonic()
        self.usable = not any(check.problems(self.seen) for check in self.checks)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._tool.close()


@dataclass
class TeleopCheck:
    """Try the operator's device before it moves a robot: its axes before and after the task's mapping, and its buttons.

    Nothing is commanded. A driver that does not run is started if it is there. Ctrl-C ends it; the exit code says whether
    every device was usable (0) or not (1).
    """

    operator: Literal["spacenav", "joy", "keyboard"] = "spacenav"
    """Which device."""
    task: str = "ram_insertion"
    """Name of a task or path of a task file: its axis map, dead-band, scale and buttons."""
    switched: bool = False
    """One device for two arms, moved by the task's switch button."""
    namespace: str = ""
    """ROS namespace of the run."""
    start: bool = True
    """Start the driver when nobody publishes the device's topic."""
    seconds: float = math.inf
    """End after so long."""

    def run(self) -> int:
        file = find_task_file(self.task, simulated=self.task in twins() and self.task not in tasks())
        listener = TeleopListener(load_task(file), self.operator, self.switched, self.namespace)
        try:
            listener.spin(_DISCOVERY)
            with interrupt_on_signals(), self._driver(listener.checks, file) as (note, poll):
                self._show(listener, note, poll)
        except KeyboardInterrupt:
            pass  # the way to end it
        finally:
            listener.close()
        return int(not listener.usable)

    @contextlib.contextmanager
    def _driver(self, checks: list[DeviceCheck], task: Path) -> Iterator[tuple[str, Callable[[], object]]]:
        """The driver as a child process, if nobody publishes and one driver serves the task.

        Yields:
            What was done, for people, and what looks after the child (raises ProcessFailure).
        """
        one = self.operator == "keyboard" or (
            len(checks) == 1 and checks[0].topic == DEVICES[self.operator].topic
        )
        if not self.start or not one or any(check.publishers for check in checks):
            yield "", lambda: None
            return
        with tempfile.TemporaryDirectory(prefix="hil-serl-teleop-") as folder:
            request = GraphRequest(
                str(task),
                Mode.RECORD_DEMOS,
                Path(folder),
                operator=Operator(self.operator),
                simulated=False,
                namespace=self.namespace,
            )
            processes = [process for process in build_graph(request) if process.name == self.operator]
            supervisor = Supervisor(processes, Path(folder))
            note = f"started {processes[0].package}/{processes[0].executable} for this test"
            note += f"; {HELP}" if self.operator == "keyboard" else ""
            try:
                supervisor.start()
            except ExecutableNotFound as error:
                note = str(error)
            try:
                yield note, supervisor.poll
            finally:
                supervisor.stop()

    def _show(self, listener: TeleopListener, note: str, poll: Callable[[], object]) -> None:
        console, end = plain_console(), time.monotonic() + self.seconds
        start = how_to_start(self.operator, listener.checks)

        def picture() -> Any:
            return render(listener.checks, start, listener.seen, note)

        if not console.is_terminal:
            while (left := end - time.monotonic()) > 0:
                listener.spin(min(left, _PLAIN_PERIOD))
                poll()
                console.print(picture())
            return
        try:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while time.monotonic() < end:
                    listener.spin(_REFRESH)
                    poll()
                    live.update(picture(), refresh=True)
        finally:
            console.print(picture())  # stays on the screen
