# SPDX-License-Identifier: Apache-2.0
"""The process graph as launch actions; what all launch files of the suite share. Needs `launch` and `launch_ros`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hil_serl_bringup.graph.claims import reserve_launched
from hil_serl_bringup.graph.executables import command_of
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_bringup.launching.arguments import ARGUMENTS, Argument, check_names, misspelt
from hil_serl_bringup.launching.logs import ProcessLog
from hil_serl_bringup.supervisor import STOP_SEQUENCE
from hil_serl_ros.domain import Reservation

Made = tuple[Sequence[ProcessSpec], str]
"""Processes, and the folder of their logs (empty: launch's own alone)."""


def description(
    make: Callable[[Mapping[str, str]], Made], names: Iterable[str], **other: Argument
) -> LaunchDescription:
    """A launch description that starts what `make` returns for the launch arguments' values.

    Args:
        make: Argument name -> text, to processes and log folder.
        names: Arguments of the suite that it takes.
        other: Further arguments, or ones with another default or description.
    """
    arguments = {**{name: ARGUMENTS[name] for name in names}, **other}
    held: list[Reservation | None] = []  # as long as the description, that is until launch's process ends

    def start(context: LaunchContext) -> list[Action]:
        doubts = _doubts(context, arguments)
        processes, logs = make({name: LaunchConfiguration(name).perform(context) for name in arguments})
        held.append(reserve_launched(processes))
        return [*doubts, *actions_of(processes, Path(logs) if logs else None)]

    declared = [
        DeclareLaunchArgument(
            name, default_value=argument.default, description=argument.description, choices=argument.choices
        )
        for name, argument in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def _doubts(context: LaunchContext, known: Mapping[str, Argument]) -> list[Action]:
    """Refuse what the command line misspells; of what a launch file above this one has set, only say what looks wrong.

    Raises:
        ArgumentError: `ros2 launch` runs this very file, and was given an argument that it has not.
    """
    file = Path(str(context.get_locals_as_dict().get("current_launch_file_path", ""))).name
    if file and file in (Path(word).name for word in sys.argv):
        check_names(context.argv, list(known))
        return []
    near = misspelt(context.launch_configurations, list(known))
    return [
        LogInfo(msg=f"{file or 'this launch file'} has no argument '{name}'; was '{meant}' meant?")
        for name, meant in near.items()
    ]


def actions_of(processes: Sequence[ProcessSpec], logs: Path | None = None) -> list[Action]:
    """Actions that start processes in order, and end everything with the reason when one of them ends the run.

    Args:
        processes: The processes.
        logs: Folder for `<process>.log`, besides what launch keeps itself.

    Raises:
        ExecutableNotFound: A program or package is missing; nothing is started then.
    """
    commands = [command_of(process) for process in processes]
    actions: list[Action] = []
    for process, command in zip(processes, commands, strict=True):
        action = action_of(process, command)
        # The handler first: the process may end at once.
        actions.append(RegisterEventHandler(OnProcessExit(target_action=action, on_exit=end_of(process))))
        if logs is not None:
            log = ProcessLog(logs / f"{process.name}.log", f"{process.package}/{process.executable}")
            actions += _kept(action, log)
        actions.append(action)
    return actions


def _kept(action: ExecuteProcess, log: ProcessLog) -> list[Action]:
    """Handlers that write down what a process prints."""

    def on_start(event: ProcessStarted, context: LaunchContext) -> None:
        log.start()

    def on_output(event: ProcessIO) -> None:
        log.write(event.text)

    return [
        RegisterEventHandler(OnProcessStart(target_action=action, on_start=on_start)),
        RegisterEventHandler(OnProcessIO(target_action=action, on_stdout=on_output, on_stderr=on_output)),
    ]


def action_of(process: ProcessSpec, command: Sequence[str]) -> ExecuteProcess:
    """One process of the graph as a launch_ros node, or as a plain process where it takes no ROS arguments."""
    (_, sigterm_after), (_, sigkill_after), _ = STOP_SEQUENCE
    common: dict[str, Any] = {
        "additional_env": dict(process.environment),
        "respawn": process.max_restarts > 0,
        "respawn_delay": 1.0,
        "respawn_max_retries": process.max_restarts,
        "emulate_tty": process.interactive,
        "output": "both",
        "sigterm_timeout": str(sigterm_after),
        "sigkill_timeout": str(sigkill_after),
    }
    if not process.ros:
        return ExecuteProcess(cmd=list(command), name=process.name, **common)
    return Node(
        package=process.package,
        executable=process.executable,
        exec_name=process.name,
        name=process.node_name or None,
        namespace=process.namespace,
        arguments=list(process.arguments),
        # Not by `parameters`: their file has a string such as '1e1' without quotes, which rcl reads as a number.
        ros_arguments=process.parameter_arguments(),
        remappings=list(process.remappings.items()),
        **common,
    )


def end_of(process: ProcessSpec) -> Callable[[ProcessExited, LaunchContext], list[Action] | None]:
    """What happens when a process ends: nothing while it may come back, else the run ends and says why."""
    exits = 0

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        nonlocal exits
        exits += 1
        if context.is_shutdown or process.optional or exits <= process.max_restarts:
            return None
        if event.returncode == 0 and process.one_shot:
            return None
        if event.returncode == 0 and process.ends_run:
            reason = f"{process.name} finished"
            return [LogInfo(msg=f"the run ends: {reason}"), EmitEvent(event=Shutdown(reason=reason))]
        # launch ends everything, logs the message and makes `ros2 launch` exit with 1.
        raise RuntimeError(
            f"the run ends: {process.name} ({process.package}/{process.executable}) ended with exit code {event.returncode}"
        )

    return on_exit
