# SPDX-License-Identifier: Apache-2.0
"""`hil-serl teleop-check` against published messages, and what it shows."""

import io

import pytest
from rich.console import Console

from hil_serl_actor.teleop.check import DeviceCheck
from hil_serl_actor.teleop.devices import DEVICES
from hil_serl_bringup.commands.teleop import TeleopCheck, TeleopListener, how_to_start
from hil_serl_bringup.monitor.teleop_view import HALF, bar, render
from hil_serl_bringup.resources import find_task_file
from hil_serl_core.spec import load_task


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
        check.hear(0.05 * k, (0.0, 0.0, -1.0, 0.0, 0.0, 0.0), (1, 0), 0.05 * k - 1.95, 0.05 * k)
    text = draw([check], width=width)
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


@pytest.mark.timeout(120)
def test_published_messages_reach_both_devices():
    import rclpy
    from sensor_msgs.msg import Joy

    from hil_serl_ros import qos

    spec = load_task(find_task_file("object_handover"))
    listener = TeleopListener(spec, "spacenav", namespace="teleop_test")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("device", context=context, namespace="teleop_test", use_global_arguments=False)
    try:
        left = node.create_publisher(Joy, "left/spacenav/joy", qos.OPERATOR)
        for _ in range(200):
            message = Joy(axes=[0.0, 0.5, 0.0, 0.0, 0.0, 0.0], buttons=[0, 1])
            message.header.stamp = node.get_clock().now().to_msg()
            left.publish(message)
            listener.spin(0.05)
            if listener.checks[0].received > 5:
                break
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


@pytest.mark.timeout(120)
def test_the_command_says_that_the_device_is_missing_and_ends_with_1(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    command = TeleopCheck(task="usb_insertion", namespace="nobody_here", start=False, seconds=0.2)
    assert command.run() == 1
    assert "nobody publishes 'spacenav/joy'" in capsys.readouterr().out
