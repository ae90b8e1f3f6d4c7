# SPDX-License-Identifier: Apache-2.0
"""The cameras of a task alone, as the robot file names their drivers.

ros2 launch hil_serl_bringup cameras.launch.py robot:=fr3 task:=ram_insertion
"""

from dataclasses import replace
from functools import partial

from launch import LaunchDescription

from hil_serl_bringup.graph.build import Part
from hil_serl_bringup.launching.actions import description
from hil_serl_bringup.launching.arguments import ARGUMENTS, CELL_ARGUMENTS
from hil_serl_bringup.launching.processes import cell_processes


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    robot = replace(ARGUMENTS["robot"], default="mock")
    return description(partial(cell_processes, part=Part.CAMERAS), CELL_ARGUMENTS, robot=robot)
