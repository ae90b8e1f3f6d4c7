# SPDX-License-Identifier: Apache-2.0
"""Arms, grippers and the node that resets the cell, without cameras and without a run.

ros2 launch hil_serl_bringup robot.launch.py robot:=fr3 task:=ram_insertion
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
    return description(partial(cell_processes, part=Part.ROBOT), CELL_ARGUMENTS, robot=robot)
