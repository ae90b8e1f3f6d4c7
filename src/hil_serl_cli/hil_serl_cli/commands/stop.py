# SPDX-License-Identifier: Apache-2.0
"""Commands that stop, pause and recover the robot of a run, where there is no ros2cli.

A stop depends on nothing that it does not need: no home and no temporary folder, no file that it writes, no task file, no
PyTorch and no terminal that can show its answer. It reaches a run of another account on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hil_serl_ros
from hil_serl_ros import names
from hil_serl_ros.domain import DomainBusyError, claims_on_this_machine, domain_asked_for

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
        DomainBusyError: ROS_DOMAIN_ID is no ROS domain.
    """
    from hil_serl_ros.tool_node import ToolNode

    domain_asked_for()  # said in words here; the middleware would end the process
    answer = patience if answer is None else answer
    with _across_accounts(), ToolNode("hil_serl_cli", namespace) as tool:
        node = tool.node
        client, full = node.create_client(kind, name), node.resolve_service_name(name)
        if not client.wait_for_service(timeout_sec=patience):
            raise ConnectionError(
                f"no {who} offers '{full}' in ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID', '0')}: set "
                f"ROS_DOMAIN_ID as the run shows it (and --namespace, if the run has one{_runs_here()}); to stop the robot "
                "whatever happens, use its emergency stop"
            )
        future = client.call_async(request)
        tool.spin(answer, future.done)
        if not future.done():
            raise ConnectionError(f"'{full}' did not answer for {answer:.0f} s; is the {who} busy or dead?")
        reply = future.result()
        return bool(reply.success), str(reply.message)


@contextlib.contextmanager
def _across_accounts() -> Iterator[None]:
    """Settings of Fast DDS with which a request reaches a node of another account, too.

    By default it writes into shared memory, which belongs to the account of the node, and is lost there without a word.
    Whoever chose profiles or transports keeps them.
    """
    chosen = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
    scope = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    if any(os.environ.get(variable) for variable in chosen):
        yield
        return
    if os.environ.get(scope, "").upper() == "LOCALHOST":  # for which rmw_fastrtps makes transports of its own
        profile = str(Path(hil_serl_ros.__file__).with_name("local_udp.xml"))
        settings = {chosen[0]: profile, scope: "SYSTEM_DEFAULT"}
    else:
        settings = {chosen[2]: "UDPv4"}
    kept = {variable: os.environ.get(variable) for variable in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for variable, value in kept.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value


def _runs_here() -> str:
    """Domains and namespaces of the actors on this machine, for people."""
    claims = [claim for claim in claims_on_this_machine() if claim.name.startswith("actor /")]
    here = ", ".join(
        f"ROS_DOMAIN_ID={c.domain} {c.name.removeprefix('actor ')}".removesuffix(" /") for c in claims
    )
    return f"; runs on this machine: {here}" if here else ""


def _report(answer: tuple[bool, str]) -> int:
    success, message = answer
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a terminal that is gone
        print(message, flush=True)
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


def main(words: Sequence[str]) -> int:
    """The command 'stop' alone: the tool's other commands, and what they need, are not even looked at.

    Returns:
        Exit code: 0 it holds, 1 it was refused or could not be asked for, 2 nobody was found.
    """
    parser = argparse.ArgumentParser(prog="hil-serl stop", description=Stop.__doc__)
    parser.add_argument("--namespace", default="", help="ROS namespace of the run")
    namespace = parser.parse_args(list(words)).namespace
    try:
        return Stop(namespace).run()
    except (ConnectionError, DomainBusyError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except Exception as error:
        print(
            f"error: the stop could not be sent: {error}. Use the robot's emergency stop.",
            file=sys.stderr,
            flush=True,
        )
        return 1
