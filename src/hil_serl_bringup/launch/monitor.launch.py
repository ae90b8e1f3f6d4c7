# SPDX-License-Identifier: Apache-2.0
"""Windows on a run that goes on, here or on another machine.

ros2 launch hil_serl_bringup monitor.launch.py task:=ram_insertion robot:=fr3 rqt:=true
"""

from launch import LaunchDescription

from hil_serl_bringup.launching.actions import description
from hil_serl_bringup.launching.arguments import CELL_ARGUMENTS, WINDOWS
from hil_serl_bringup.launching.processes import viewer_processes


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return description(viewer_processes, CELL_ARGUMENTS, **WINDOWS)
