# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl teleop-check`: wires the topics of the operator's devices to `DeviceCheck`s and shows them."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.live import Live

from hil_serl_bringup.graph.build import GraphRequest, Operator, build_graph
from hil_serl_bringup.graph.executables import ExecutableNotFound
from hil_serl_bringup.graph.robot_model import OperatorDevice
from hil_serl_bringup.graph.robot_processes import Cell, devices_of
from hil_serl_bringup.graph.robots import find_robot
from hil_serl_bringup.supervisor import Supervisor, interrupt_on_signals
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_monitor.teleop_view import render
from hil_serl_ros import names, qos
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task_file, tasks, twins
from hil_serl_teleop.check import DeviceCheck
from hil_serl_teleop.devices import DEVICES, device_of
from hil_serl_teleop.keyboard import HELP
from hil_serl_teleop.layouts import PAD_LAYOUTS, layout_to_text

_DISCOVERY = 1.5  # s until a driver that runs has been found
_LOOK = 0.02  # s between two looks at what has come
_REFRESH = 0.05  # s between two pictures on a terminal
_PLAIN_PERIOD = 5.0  # s between two without one

_DRIVERS = {
    "spacenav": "ros2 run spacenav spacenav_node   (apt install ros-jazzy-spacenav spacenavd; spacenavd has to run)",
    "joy": "ros2 run joy joy_node   (apt install ros-jazzy-joy; your user in the group 'input')",
    "keyboard": "hil-serl teleop-check --operator keyboard   (in a terminal: it starts the keyboard's node itself)",
}


def how_to_start(operator: str, checks: list[DeviceCheck]) -> str:
    """What to type so that the driver of a device runs and publishes where the task expects it."""
    driver = _DRIVERS[operator]
    if any(check.layout == PAD_LAYOUTS["game_controller"] for check in checks):
        driver = driver.replace("joy_node", "game_controller_node")
    lines = [f"start it with: {driver}"]
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

    def __init__(
        self,
        spec: TaskSpec,
        operator: str,
        switched: bool = False,
        namespace: str = "",
        layouts: Mapping[str, str] | None = None,
    ) -> None:
        """``layouts``: of the device of each arm (of a single or switched one: ""), where it is not the usual one."""
        from sensor_msgs.msg import Joy

        from hil_serl_ros.polled import PolledSubscription
        from hil_serl_ros.tool_node import ToolNode

        self._tool = ToolNode("teleop_check", namespace)
        self._node = self._tool.node
        self.checks: list[DeviceCheck] = []
        self._subscriptions: list[PolledSubscription] = []
        self.seen, self.usable = time.monotonic(), False
        for arm in spec.arm_names[:1] if switched else spec.arm_names:
            own = "" if switched else arm
            device = device_of(operator, (layouts or {}).get(own, ""))
            topic = names.for_arm(device.topic, own)
            self.checks.append(DeviceCheck(spec, device, topic, arm))
            self._subscriptions.append(PolledSubscription(self._node, Joy, topic, qos.OPERATOR_HEARD))

    def _on_joy(self, check: DeviceCheck, message: Any) -> None:
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        ros_now = self._node.get_clock().now().nanoseconds * 1e-9
        check.hear(stamp, message.axes, message.buttons, time.monotonic(), ros_now)

    def spin(self, seconds: float) -> None:
        """Handle messages for about `seconds`, then look who publishes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._tool.spin(min(left, _LOOK))
            for check, subscription in zip(self.checks, self._subscriptions, strict=True):
                for message in subscription.take():
                    self._on_joy(check, message)
        for check in self.checks:
            check.publishers = self._node.count_publishers(check.topic)
        self.seen = time.monotonic()
        self.usable = all(check.usable(self.seen) for check in self.checks)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._tool.close()


@dataclass
class TeleopCheck:
    """Try the operator's device before it moves a robot: move every axis both ways, press every button, let go.

    Shown are the axes before and after the task's mapping, the buttons, and what was not tried yet. Nothing is commanded. A
    driver that does not run is started if it is there. Ctrl-C ends it; the exit code says whether every device was seen to
    work (0) or not (1).
    """

    operator: Literal["spacenav", "joy", "keyboard"] = "spacenav"
    """Which device."""
    task: str = "ram_insertion"
    """Name of a task or path of a task file: its axis map, dead-band, scale and buttons."""
    robot: str = ""
    """Robot file by name or path, for its devices: their layouts, and the parameters of their drivers."""
    layout: str = ""
    """Another layout of the device to try: xbox, xbox_bluetooth, game_controller."""
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
        spec, devices = load_task(file), self._devices()
        layouts = {arm: layout_to_text(device.layout) for arm, device in devices.items()}
        if self.layout:
            layouts = dict.fromkeys(("", *spec.arm_names), self.layout)
        listener = TeleopListener(spec, self.operator, self.switched, self.namespace, layouts)
        try:
            listener.spin(_DISCOVERY)
            with interrupt_on_signals(), self._driver(listener.checks, file, devices) as (note, poll):
                self._show(listener, note, poll)
        except KeyboardInterrupt:
            pass  # the way to end it
        finally:
            listener.close()
        return int(not listener.usable)

    def _devices(self) -> dict[str, OperatorDevice]:
        """Arm to what the robot file says of its device."""
        return devices_of(find_robot(self.robot)).get(self.operator, {}) if self.robot else {}

    @contextlib.contextmanager
    def _driver(
        self, checks: list[DeviceCheck], task: Path, devices: Mapping[str, OperatorDevice]
    ) -> Iterator[tuple[str, Callable[[], object]]]:
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
                cell=Cell(devices={self.operator: devices}),
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
