# SPDX-License-Identifier: Apache-2.0
"""A simulated cell alone: it publishes and serves what a real one does.

ros2 launch hil_serl_bringup sim.launch.py task:=usb_insertion display:=true
"""

from functools import partial

from launch import LaunchDescription

from hil_serl_bringup.graph.build import Part
from hil_serl_bringup.launching.actions import description
from hil_serl_bringup.launching.arguments import CELL_ARGUMENTS
from hil_serl_bringup.launching.processes import cell_processes


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return description(partial(cell_processes, part=Part.SIM), [*CELL_ARGUMENTS, "speed", "seed", "display"])
