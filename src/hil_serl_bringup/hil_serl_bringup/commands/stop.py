# SPDX-License-Identifier: Apache-2.0
"""Commands that stop, pause and recover the robot of a run, where there is no ros2cli."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from hil_serl_ros import names

_MOTION = 300.0  # s, for answers that come when the arms are there
_PATIENCE = 5.0  # s to find the actor, and again for its answer


def call_trigger(name: str, namespace: str = "", patience: float = _PATIENCE) -> tuple[bool, str]:
    """Call a std_srvs/Trigger service of the actor; arguments, result and errors as of ``call_service``."""
    from std_srvs.srv import Trigger

    return call_service(Trigger, Trigger.Request(), name, namespace, patience=patience)


def call_service(
    kind: Any,
    request: Any,
    name: str,
    namespace: str = "",
    *,
    who: str = "actor",
    patience: float = _PATIENCE,
    answer: float | None = None,
) -> tuple[bool, str]:
    """Call a service of a run that answers with success and message.

    Args:
        kind: Its type.
        request: What to ask.
        name: Relative name of the service.
        namespace: ROS namespace of the run.
        who: Who offers it, for people.
        patience: Longest wait for the service [s].
        answer: Longest wait for its answer [s]; None: as ``patience``.

    Returns:
        Its success and its message.

    Raises:
        ConnectionError: Nobody offers it, or nobody answers.
    """
    from hil_serl_ros.tool_node import ToolNode

    answer = patience if answer is None else answer
    with ToolNode("hil_serl_cli", namespace) as tool:
        node = tool.node
        client, full = node.create_client(kind, name), node.resolve_service_name(name)
        if not client.wait_for_service(timeout_sec=patience):
            raise ConnectionError(
                f"no {who} offers '{full}' in ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID', '0')}: set "
                "ROS_DOMAIN_ID as the run shows it (and --namespace, if the run has one); to stop the robot whatever "
                "happens, use its emergency stop"
            )
        future = client.call_async(request)
        tool.spin(answer, future.done)
        if not future.done():
            raise ConnectionError(f"'{full}' did not answer for {answer:.0f} s; is the {who} busy or dead?")
        reply = future.result()
        return bool(reply.success), str(reply.message)


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


def _pause(paused: bool, namespace: str) -> int:
    from std_srvs.srv import SetBool

    success, message = call_service(SetBool, SetBool.Request(data=paused), names.PAUSE, namespace)
    return _report((success, f"the actor is {message}"))


@dataclass
class Pause:
    """End the running episode without counting it, and hold the robot until 'hil-serl unpause'."""

    namespace: str = ""
    """ROS namespace of the run."""

    def run(self) -> int:
        return _pause(True, self.namespace)


@dataclass
class Unpause:
    """Let a paused run go on: the robot moves to the start of the next episode. Make sure that nobody is in its reach."""

    namespace: str = ""
    """ROS namespace of the run."""

    def run(self) -> int:
        return _pause(False, self.namespace)


@dataclass
class Recover:
    """Recover a robot after an error or a fault: its own error recovery, its controller, the latched fault.

    Look what caused it and make the cell safe first. Nothing moves: a run is paused, go on with 'hil-serl unpause'.
    """

    namespace: str = ""
    """ROS namespace of the cell."""

    def run(self) -> int:
        return _cell_trigger(names.RECOVER, self.namespace)


@dataclass
class JointReset:
    """Take the arms to the joint pose of the robot file, before a long run. They move; pause a run first."""

    namespace: str = ""
    """ROS namespace of the cell."""

    def run(self) -> int:
        return _cell_trigger(names.JOINT_RESET, self.namespace)


def _cell_trigger(name: str, namespace: str) -> int:
    from std_srvs.srv import Trigger

    return _report(call_service(Trigger, Trigger.Request(), name, namespace, who="cell_node", answer=_MOTION))
