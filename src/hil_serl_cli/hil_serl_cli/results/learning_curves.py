# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the results page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hil_serl_runs.report import BLUE, GREEN, GREY, ORANGE

_COLOURS = (GREEN, ORANGE, BLUE, GREY, "#CC79A7", "#D55E00")


def draw_task(task: str, cells: Sequence[Mapping[str, Any]], methods: Sequence[str], path: Path) -> None:
    """Learning curves of all methods of a task as in Fig. 4: success, intervention rate, cycle time.

    Args:
        task: Heading.
        cells: Its finished cells; every seed is a line.
        methods: Order of the colours.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("success", "success rate [%]", 100), ("intervention", "intervention rate [%]", 100))
    for axes, (key, title, factor) in zip(
        figure.subplots(1, 3), (*panels, ("cycle_time", "cycle time [s]", 1)), strict=True
    ):
        for method, colour in zip(methods, _COLOURS, strict=False):
            _draw_method(axes, [c for c in cells if c["method"] == method], key, factor, method, colour)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("environment steps (mean over 20 episodes)", fontsize=9)
        axes.set_ylim(*((-3, 103) if factor == 100 else (0, None)))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    figure.suptitle(task, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_method(
    axes: Any, cells: Sequence[Mapping[str, Any]], key: str, factor: float, method: str, colour: str
) -> None:
    labelled = False
    for cell in cells:
        curve = cell["curve"]
        values = [math.nan if value is None else factor * value for value in curve[key]]
        if values:  # a method without online data has no curve
            axes.plot(
                curve["env_steps"],
                values,
                color=colour,
                linewidth=1.8,
                label=None if labelled else method,
            )
            labelled = True
        elif key == "success":
            axes.axhline(
                factor * (cell["agents"][0]["success"] or 0.0),
                color=colour,
                linestyle="--",
                linewidth=1,
                label=None if labelled else f"{method}, autonomous",
            )
            labelled = True
