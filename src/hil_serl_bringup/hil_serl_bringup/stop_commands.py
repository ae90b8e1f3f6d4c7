# SPDX-License-Identifier: Apache-2.0
"""Commands that stop the robot of a run and clear the stop, where there is no ros2cli."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from rich.console import Console

from hil_serl_ros import names

_PATIENCE = 5.0  # s to find the actor, and again for its answer


def call_trigger(name: str, namespace: str = "", patience: float = _PATIENCE) -> tuple[bool, str]:
    """Call a std_srvs/Trigger service of the actor.

    Args:
        name: Relative name of the service.
        namespace: ROS namespace of the run.
        patience: Longest wait for the service, and for its answer [s].

    Returns:
        Its success and its message.

    Raises:
        ConnectionError: Nobody offers it, or nobody answers.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from std_srvs.srv import Trigger

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("hil_serl_cli", context=context, namespace=namespace, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        client = node.create_client(Trigger, name)
        if not client.wait_for_service(timeout_sec=patience):
            raise ConnectionError(
                f"no actor offers '{client.srv_name}' in ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID', '0')}: set "
                "ROS_DOMAIN_ID as the run shows it (and --namespace, if the run has one); to stop the robot whatever "
                "happens, use its emergency stop"
            )
        future = client.call_async(Trigger.Request())
        deadline = time.monotonic() + patience
        while not future.done() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        if not future.done():
            raise ConnectionError(
                f"'{client.srv_name}' did not answer for {patience:.0f} s; is the actor busy or dead?"
            )
        reply = future.result()
        return bool(reply.success), str(reply.message)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _report(answer: tuple[bool, str]) -> int:
    success, message = answer
    Console().print(message, style="" if success else "red", markup=False, highlight=False, soft_wrap=True)
    return 0 if success else 1


@dataclass
class Stop:
    """Stop the robot of a run at once: it holds where it is until 'hil-serl clear-stop'. No certified safety function.

    Set ROS_DOMAIN_ID as the run shows it.
    """

    namespace: str = ""
    """ROS namespace of the run."""

    def run(self) -> int:
        return _report(call_trigger(names.STOP, self.namespace))


@dataclass
class ClearStop:
    """Let a stopped robot go on, with a reset of the cell. Make sure that nobody is in its reach."""

    namespace: str = ""
    """ROS namespace of the run."""

    def run(self) -> int:
        return _report(call_trigger(names.CLEAR_STOP, self.namespace))
