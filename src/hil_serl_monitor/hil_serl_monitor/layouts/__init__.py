# SPDX-License-Identifier: Apache-2.0
"""Layouts of RViz, rqt, PlotJuggler and Foxglove, made for a task: its arms, cameras, frames and namespace.

Those of ram_insertion lie ready in this package's share folder. Topics and fields are those of `hil_serl_ros.names` and
hil_serl_msgs; a test compares every one.
"""

from __future__ import annotations

from pathlib import Path

from hil_serl_monitor.layouts import foxglove, plotjuggler, rqt, rviz
from hil_serl_monitor.layouts.cell import Cell

__all__ = ["FOXGLOVE_LIVE", "FOXGLOVE_RUN", "PLOTJUGGLER", "RQT", "RVIZ", "Cell", "layouts", "write_layouts"]

RVIZ = "rviz/hil_serl.rviz"
RQT = "rqt/hil_serl.perspective"
PLOTJUGGLER = "plotjuggler/hil_serl.xml"
FOXGLOVE_LIVE = "foxglove/live.json"
FOXGLOVE_RUN = "foxglove/run.json"


def layouts(cell: Cell) -> dict[str, str]:
    """Relative path -> content, of every layout."""
    return {
        RVIZ: rviz.layout(cell),
        RQT: rqt.layout(cell),
        PLOTJUGGLER: plotjuggler.layout(cell),
        FOXGLOVE_LIVE: foxglove.live(cell),
        FOXGLOVE_RUN: foxglove.run(cell),
    }


def write_layouts(cell: Cell, folder: Path) -> list[Path]:
    """Write every layout under a folder; those of an earlier time are replaced.

    Raises:
        OSError: The folder cannot be written.
    """
    written = []
    for name, content in layouts(cell).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
