# SPDX-License-Identifier: Apache-2.0
"""Commands that stop, pause and recover a run, against services played by the test."""

import threading

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from hil_serl_cli.commands.stop import ClearStop, JointReset, Pause, Recover, Stop, Unpause, call_service
from hil_serl_ros import names


@pytest.fixture(scope="module")
def asked():
    """What was asked of the services of a run in the namespace ``cell``."""
    asked = []

    def answer(name, success):
        def serve(request, response):
            asked.append((name, getattr(request, "data", None)))
            response.success, response.message = success, f"{name} was asked for"
            return response

        return serve

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("run", context=context, namespace="cell", use_global_arguments=False)
    for name in (names.STOP, names.CLEAR_STOP, names.RECOVER):
        node.create_service(Trigger, name, answer(name, True))
    node.create_service(Trigger, names.JOINT_RESET, answer(names.JOINT_RESET, False))
    node.create_service(SetBool, names.PAUSE, answer(names.PAUSE, True))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield asked
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize(
    ("command", "service", "data", "code"),
    [
        (Stop, names.STOP, None, 0),
        (ClearStop, names.CLEAR_STOP, None, 0),
        (Pause, names.PAUSE, True, 0),
        (Unpause, names.PAUSE, False, 0),
        (Recover, names.RECOVER, None, 0),
        (JointReset, names.JOINT_RESET, None, 1),
    ],
)
def test_a_command_asks_its_service_and_shows_the_answer(asked, capsys, command, service, data, code):
    asked.clear()
    assert command(namespace="cell").run() == code
    assert asked == [(service, data)]
    assert f"{service} was asked for" in capsys.readouterr().out


def test_nobody_there_is_said_with_the_remedy():
    with pytest.raises(ConnectionError, match=r"no cell_node offers '/nowhere/recover'.*set ROS_DOMAIN_ID"):
        call_service(Trigger, Trigger.Request(), names.RECOVER, "nowhere", who="cell_node", patience=0.2)
