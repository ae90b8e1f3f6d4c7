# SPDX-License-Identifier: Apache-2.0
"""A run of a task: the same processes that the command-line tool starts.

ros2 launch hil_serl_bringup task.launch.py task:=ram_insertion mode:=train robot:=fr3 operator:=spacenav
"""

from launch import LaunchDescription

from hil_serl_bringup.launching.actions import description
from hil_serl_bringup.launching.arguments import ARGUMENTS
from hil_serl_bringup.launching.processes import run_processes


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return description(run_processes, ARGUMENTS)
