# SPDX-License-Identifier: Apache-2.0
"""Start a task's process graph: the same list of processes the command-line tool starts.

ros2 launch hil_serl_bringup task.launch.py task:=ram_insertion mode:=train operator:=spacenav speed:=1.0
"""

from collections.abc import Callable
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hil_serl_bringup.graph import GraphRequest, build_graph
from hil_serl_bringup.launch_arguments import ARGUMENTS, request_from
from hil_serl_bringup.process_spec import ProcessSpec, yaml_scalar
from hil_serl_bringup.supervisor import STOP_SEQUENCE


def node_action(process: ProcessSpec) -> Node:
    """One process of the graph as a launch_ros node."""
    # Not by `parameters`: their file has a string such as '1e1' without quotes, which rcl reads as a number.
    parameters = [
        word for key, value in process.parameters.items() for word in ("-p", f"{key}:={yaml_scalar(value)}")
    ]
    (_, sigterm_after), (_, sigkill_after), _ = STOP_SEQUENCE
    return Node(
        package=process.package,
        executable=process.executable,
        exec_name=process.name,
        name=process.name,
        namespace=process.namespace,
        ros_arguments=parameters,
        remappings=list(process.remappings.items()),
        additional_env=dict(process.environment),
        respawn=process.max_restarts > 0,
        respawn_delay=1.0,
        respawn_max_retries=process.max_restarts,
        emulate_tty=process.interactive,
        output="both",
        sigterm_timeout=str(sigterm_after),
        sigkill_timeout=str(sigkill_after),
    )


def end_of(process: ProcessSpec) -> Callable[[ProcessExited, LaunchContext], list | None]:
    """What happens when a process ends: nothing while it may come back, else the run ends and says why."""
    exits = 0

    def on_exit(event: ProcessExited, context: LaunchContext) -> list | None:
        nonlocal exits
        exits += 1
        if context.is_shutdown or exits <= process.max_restarts:
            return None
        if event.returncode == 0 and process.ends_run:
            reason = f"{process.name} finished"
            return [LogInfo(msg=f"the run ends: {reason}"), EmitEvent(event=Shutdown(reason=reason))]
        # launch ends everything, logs the message and makes `ros2 launch` exit with 1.
        raise RuntimeError(f"the run ends: {process.name} ended with exit code {event.returncode}")

    return on_exit


def start(context: LaunchContext) -> list:
    """Actions of the graph that the launch arguments ask for."""
    request: GraphRequest = request_from(
        {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    )
    actions: list = [SetEnvironmentVariable("ROS_LOG_DIR", str(Path(request.run_dir) / "logs"))]
    for process in build_graph(request):
        node = node_action(process)
        # The handler first: the node may end at once.
        actions.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=end_of(process))))
        actions.append(node)
    return actions


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    declared = [
        DeclareLaunchArgument(
            name, default_value=argument.default, description=argument.description, choices=argument.choices
        )
        for name, argument in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
