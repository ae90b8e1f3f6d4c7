# SPDX-License-Identifier: Apache-2.0
"""What an operator's device costs and what of it is never lost, with messages a thousand times a second."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import Joy

from hil_serl_actor.senses.device_input import DeviceInput
from hil_serl_actor.senses.inputs import Operators
from hil_serl_core.testing.waiting import wait_for
from hil_serl_ros import qos
from hil_serl_ros.polled import PolledSubscription
from hil_serl_teleop.devices import DEVICES

RATE = 1000  # messages a second
TICKS = 10  # a second


def message(k, button=0):
    """Axes and buttons of message ``k``, as rclpy gives them; a hand trembles."""
    return array("f", [0.5 + 1e-4 * (k % 7), 0, 0, 0, 0, 0]), array("i", [button, 0])


def test_all_but_the_newest_input_costs_no_decoding(spec):
    device, seen = DeviceInput(spec, DEVICES["spacenav"]), []
    for k in range(3 * RATE):
        device.put(k / RATE, *message(k))
        if k % (RATE // TICKS) == RATE // TICKS - 1:
            seen.append(device.look(k / RATE))
    assert device.received == 3 * RATE
    assert device.decoded == 3 * TICKS
    assert device.decoded / device.received <= TICKS / RATE
    assert [value.stamp for value in seen] == [
        pytest.approx((100 * (n + 1) - 1) / RATE) for n in range(3 * TICKS)
    ]
    assert device.look(3.0) is None, "nothing new"


def test_a_press_that_is_over_before_the_next_tick_is_not_lost(spec):
    device, operators, looked = DeviceInput(spec, DEVICES["spacenav"]), Operators(spec), 0
    for k in range(RATE // TICKS):
        if device.put(k / RATE, *message(k, button=int(k == 40))):  # 1 ms
            operators.put(device.look(k / RATE), "")
            looked += 1
    assert looked == 3, "the first message, and both edges"
    operators.put(device.look(0.1), "")
    value = operators.take()[""]
    assert value.buttons == (True, False)
    assert value.stamp == pytest.approx(0.099), "the axes are the newest ones"
    assert operators.take()[""].buttons == (False, False)


def test_a_stop_button_of_a_device_whose_axes_cannot_be_used_is_still_seen(spec):
    device = DeviceInput(spec, DEVICES["spacenav"])
    assert device.put(0.0, array("f", [0.0]), array("i", [0, 0, 1]))
    with pytest.raises(ValueError, match="carries 1 axes"):
        device.look(0.0)
    assert device.pressed(2)
    assert not device.pressed(None)
    assert not device.pressed(7)


def test_a_polled_subscription_wakes_nobody_and_keeps_what_came():
    rclpy.init()
    node, sender = (rclpy.create_node(name, use_global_arguments=False) for name in ("reader", "driver"))
    try:
        polled = PolledSubscription(node, Joy, "joy", qos.OPERATOR_HEARD)
        publisher = sender.create_publisher(Joy, "joy", 10)
        woken = []
        node.create_timer(0.05, lambda: woken.append(time.monotonic()))
        wait_for(publisher.get_subscription_count, "the subscription")
        for k in range(100):
            publisher.publish(Joy(axes=[float(k)], buttons=[int(k == 50)]))
            time.sleep(0.001)
        spins = 0
        while len(woken) < 4:
            rclpy.spin_once(node, timeout_sec=1.0)
            spins += 1
        assert spins < 100, (
            "once for each of the timer's calls and a few of the node's own, not for each message"
        )
        heard = [*polled.take()]
        assert [m.axes[0] for m in heard] == list(np.arange(100.0))
        assert sum(m.buttons[0] for m in heard) == 1
        assert [*polled.take()] == []
    finally:
        node.destroy_node()
        sender.destroy_node()
        rclpy.try_shutdown()
