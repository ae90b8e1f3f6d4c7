# SPDX-License-Identifier: Apache-2.0
"""`hil-serl teleop-check` against published messages, and what it shows."""

import io
import threading

import pytest
import rclpy
from rich.console import Console
from sensor_msgs.msg import Joy

from hil_serl_cli.commands.teleop import TeleopCheck, TeleopListener, how_to_start
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import wait_for
from hil_serl_monitor.teleop_view import HALF, bar, render
from hil_serl_ros import qos
from hil_serl_tasks.finder import find_task_file
from hil_serl_teleop.check import DeviceCheck
from hil_serl_teleop.devices import DEVICES, device_of


def draw(checks, operator="spacenav", now=0.0, width=100):
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(render(checks, how_to_start(operator, checks), now, "a note"))
    return console.export_text()


def test_bars_span_the_range_and_show_what_is_not_zero():
    assert bar(0.0) == "·" * HALF + "│" + "·" * HALF
    assert bar(1.0) == "·" * HALF + "│" + "█" * HALF
    assert bar(-0.01) == "·" * (HALF - 1) + "█│" + "·" * HALF
    assert {len(bar(value)) for value in (-2.0, -0.3, 0.0, 0.7, 5.0)} == {2 * HALF + 1}


def test_a_missing_driver_is_named_with_what_to_type():
    spec = load_task(find_task_file("object_handover"))
    checks = [DeviceCheck(spec, DEVICES["joy"], f"{arm}/joy", arm) for arm in ("left", "right")]
    text = draw(checks, "joy", width=140)
    assert "nobody publishes 'left/joy'" in text
    assert "ros2 run joy joy_node" in text
    assert "-r joy:=right/joy" in text
    assert "ROS_DOMAIN_ID" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_picture_has_axes_buttons_rate_and_verdict(width):
    spec = load_task(find_task_file("usb_insertion"))
    check = DeviceCheck(spec, DEVICES["spacenav"], "spacenav/joy", "")
    check.publishers = 1
    for k in range(40):
        axes = [0.0] * 6
        axes[k % 6] = -1.0 if k % 12 < 6 else 1.0
        check.hear(0.05 * k, axes, (k % 2, 1 - k % 2), 0.05 * k - 1.95, 0.05 * k)
    check.hear(2.0, (0.0, 0.0, -1.0, 0.0, 0.0, 0.0), (1, 0), 0.05, 2.0)
    text = draw([check], now=0.05, width=width)
    for expected in (
        "20 messages/s",
        "0.00 s ago",
        "mm/step",
        "yaw",
        "close the gripper",
        "a note",
        "✓ usable",
    ):
        assert expected in text, expected
    assert "the operator would drive" in text
    assert all(len(line) <= width for line in text.splitlines())


def test_what_was_not_tried_yet_is_asked_for():
    spec = load_task(find_task_file("usb_insertion"))
    check = DeviceCheck(spec, DEVICES["spacenav"], "spacenav/joy", "")
    check.publishers = 1
    for k in range(3000):  # a driver whose device is unplugged
        check.hear(0.001 * k, (0.0,) * 6, (0, 0), 0.001 * k - 2.999, 0.001 * k)
    text = draw([check])
    assert "✓ usable" not in text
    assert "→ move +/-x (axis 1)" in text
    assert "→ press button 0 (close the gripper)" in text


def test_published_messages_reach_both_devices():
    spec = load_task(find_task_file("object_handover"))
    listener = TeleopListener(spec, "spacenav", namespace="teleop_test")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("device", context=context, namespace="teleop_test", use_global_arguments=False)
    try:
        left = node.create_publisher(Joy, "left/spacenav/joy", qos.OPERATOR)

        def send():
            message = Joy(axes=[0.0, 0.5, 0.0, 0.0, 0.0, 0.0], buttons=[0, 1])
            message.header.stamp = node.get_clock().now().to_msg()
            left.publish(message)
            listener.spin(0.05)

        wait_for(lambda: listener.checks[0].received > 5, "the left device", send)
        heard, silent = listener.checks
        assert heard.axes()[1].raw == 0.5
        assert heard.axes()[1].action > 0.0
        assert heard.publishers == 1
        assert [button.down for button in heard.buttons()][:2] == [False, True]
        assert "nobody publishes 'right/spacenav/joy'" in silent.problems(0.0)[0]
    finally:
        node.destroy_node()
        context.try_shutdown()
        listener.close()


def test_the_command_says_that_the_device_is_missing_and_ends_with_1(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    command = TeleopCheck(task="usb_insertion", namespace="nobody_here", start=False, seconds=0.2)
    assert command.run() == 1
    assert "nobody publishes 'spacenav/joy'" in capsys.readouterr().out


class Publisher:
    """A driver that lives in this process and sends what it is told, at about 1 kHz."""

    def __init__(self, topic, axes, namespace):
        self.context, self.axes = rclpy.Context(), axes
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(
            "driver", context=self.context, namespace=namespace, use_global_arguments=False
        )
        self.publisher = self.node.create_publisher(Joy, topic, qos.OPERATOR)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.001):
            message = Joy(axes=self.axes, buttons=[0, 0])
            message.header.stamp = self.node.get_clock().now().to_msg()
            self.publisher.publish(message)

    def close(self):
        self.over.set()
        self.thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.mark.parametrize(("operator", "axes", "says"), [
    ("spacenav", [0.0] * 6, "move +/-x"),
    ("joy", [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], "it looks like xbox_bluetooth"),
])  # fmt: skip
def test_a_driver_without_a_device_and_a_pad_of_another_layout_are_not_usable(
    operator, axes, says, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "250")
    driver = Publisher(DEVICES[operator].topic, axes, "dead_device")
    try:
        for seconds in (6.0, 60.0, 300.0):  # a busy machine needs longer until it has heard enough
            command = TeleopCheck(
                operator, "usb_insertion", namespace="dead_device", start=False, seconds=seconds
            )
            assert command.run() == 1
            shown = capsys.readouterr().out
            if says in shown:
                break
    finally:
        driver.close()
    assert says in shown
    assert "✓ usable" not in shown


def test_the_robot_files_layout_and_driver_are_used(tmp_path):
    path = tmp_path / "cell.yaml"
    path.write_text("name: cell\ndescription: d\njoy: {single: {layout: game_controller}}\n")
    command = TeleopCheck("joy", "usb_insertion", robot=str(path))
    devices = command._devices()
    assert devices[""].layout == "game_controller"
    spec = load_task(find_task_file("usb_insertion"))
    check = DeviceCheck(spec, device_of("joy", "game_controller"), "joy", "")
    assert "ros2 run joy game_controller_node" in how_to_start("joy", [check])
