# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl layouts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task


@dataclass
class Layouts:
    """Make layouts of RViz, rqt, PlotJuggler and Foxglove for a task: its cameras, arms, frames and namespace."""

    task: str = "ram_insertion"
    """Name of a task, or path of a task file."""
    output: Path = Path("layouts")
    """Folder that gets them."""
    namespace: str = ""
    """ROS namespace of the run."""
    twin: bool = False
    """The task's twin instead of the real cell."""
    agent: Literal["", "forward", "backward"] = ""
    """Which of the two agents of forward-backward training to show."""
    compressed: bool = False
    """Show the cameras' compressed topics: over a network, or where drivers publish nothing else."""

    def run(self) -> int:
        """Write the files and say how to open each."""
        from hil_serl_monitor.layouts import (
            FOXGLOVE_LIVE,
            FOXGLOVE_RUN,
            PLOTJUGGLER,
            RQT,
            RVIZ,
            Cell,
            write_layouts,
        )

        task = find_task(self.task, simulated=self.twin)
        cameras = [camera.name for camera in task.cameras] if self.compressed else []
        cell = Cell.of(task, self.namespace, cameras, self.agent)
        write_layouts(cell, self.output)
        console = plain_console()
        for line in (
            f"rviz2 -d {self.output / RVIZ}",
            f"rqt --perspective-file {self.output / RQT}",
            f"ros2 run plotjuggler plotjuggler --layout {self.output / PLOTJUGGLER}",
            f"Foxglove, Import from file: {self.output / FOXGLOVE_LIVE} (running cell), "
            f"{self.output / FOXGLOVE_RUN} (bags of steps)",
        ):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        return 0
