# SPDX-License-Identifier: Apache-2.0
"""A run of a task with two arms; like task.launch.py, with topics of the arms under left/ and right/.

ros2 launch hil_serl_bringup bimanual.launch.py task:=object_handover robot:=bimanual_fr3 operator:=spacenav
"""

from dataclasses import replace

from launch import LaunchDescription

from hil_serl_bringup.launching.actions import description
from hil_serl_bringup.launching.arguments import ARGUMENTS
from hil_serl_bringup.launching.processes import two_arm_processes


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    task = replace(ARGUMENTS["task"], default="object_handover")
    return description(two_arm_processes, ARGUMENTS, task=task)
