# SPDX-License-Identifier: Apache-2.0
"""Start a task's process graph: the same list of processes the command-line tool starts.

ros2 launch hil_serl_bringup task.launch.py task:=ram_insertion mode:=train operator:=spacenav speed:=1.0
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hil_serl_bringup.graph import GraphRequest, ProcessSpec, build_graph
from hil_serl_bringup.launch_arguments import ARGUMENTS, request_from


def node_action(process: ProcessSpec) -> Node:
    """One process of the graph as a launch_ros node."""
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[dict(process.parameters)],
        remappings=list(process.remappings.items()),
        additional_env=dict(process.environment),
        respawn=process.max_restarts > 0,
        respawn_delay=1.0,
        respawn_max_retries=process.max_restarts,
        emulate_tty=process.interactive,
        output="both",
    )


def start(context: LaunchContext) -> list:
    """Actions of the graph that the launch arguments ask for."""
    request: GraphRequest = request_from(
        {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    )
    actions: list = [SetEnvironmentVariable("ROS_LOG_DIR", str(Path(request.run_dir) / "logs"))]
    for process in build_graph(request):
        node = node_action(process)
        actions.append(node)
        if process.max_restarts == 0:  # the end of any node that may not come back ends the run
            shutdown = EmitEvent(event=Shutdown(reason=f"{process.name} ended"))
            actions.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[shutdown])))
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
