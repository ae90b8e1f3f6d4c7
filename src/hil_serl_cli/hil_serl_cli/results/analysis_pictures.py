# SPDX-License-Identifier: Apache-2.0
"""Pictures of the analysis: heat maps over training (Fig. 6), policy over time (Fig. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_cli.results.analysis import Trajectory, Window, grid
from hil_serl_core.spec import TaskSpec

AXES = "xyz"
_CELLS = 40


def draw_heat_maps(windows: Sequence[Window], path: Path, axes: str = "yz", title: str = "") -> None:
    """Visitation, variance of Q and Q over two axes of the tcp, one column a checkpoint, as in Fig. 6.

    Args:
        windows: One a checkpoint.
        path: PNG to write.
        axes: Two of x, y, z, base frame: abscissa and ordinate.
        title: Heading.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first, second = (AXES.index(axis) for axis in axes)
    everything = np.concatenate([window.positions for window in windows])
    edges = (_edges(everything[:, first]), _edges(everything[:, second]))
    rows: list[tuple[str, str, list[np.ndarray | None]]] = [("visits", "viridis", [None] * len(windows))]
    if any(np.isfinite(window.values).any() for window in windows):
        rows.append(("variance of Q", "magma", [window.variances for window in windows]))
        rows.append(("Q", "cividis", [window.values for window in windows]))
    figure = Figure(figsize=(3.1 * len(windows) + 0.8, 2.7 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), len(windows), squeeze=False, sharex=True, sharey=True)
    for row, (name, colours, values) in zip(panels, rows, strict=True):
        maps = [
            grid(window.positions[:, first], window.positions[:, second], value, edges)
            for window, value in zip(windows, values, strict=True)
        ]
        _draw_row(figure, row, maps, edges, name, colours)
    for window, panel in zip(windows, panels[0], strict=True):
        panel.set_title(f"{window.trained_step:,} transitions", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel(f"{axes[0]} [m]", fontsize=8)
    for row in panels:
        row[0].set_ylabel(f"{axes[1]} [m]", fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def _edges(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    margin = max(1e-3, 0.02 * (high - low))
    return np.linspace(low - margin, high + margin, _CELLS + 1)


def _draw_row(
    figure: Any,
    row: Sequence[Any],
    maps: Sequence[np.ndarray],
    edges: tuple[np.ndarray, np.ndarray],
    name: str,
    colours: str,
) -> None:
    """One quantity at all checkpoints, on one colour scale."""
    seen = np.concatenate([values[np.isfinite(values)] for values in maps])
    low, high = (float(seen.min()), float(np.percentile(seen, 99))) if len(seen) else (0.0, 1.0)
    drawn = None
    for panel, values in zip(row, maps, strict=True):
        drawn = panel.pcolormesh(
            edges[0], edges[1], values, cmap=colours, vmin=low, vmax=max(high, low + 1e-9)
        )
        panel.tick_params(labelsize=7)
        panel.set_facecolor("#f4f4f4")
    figure.colorbar(drawn, ax=list(row), label=name, shrink=0.9)


def action_names(spec: TaskSpec) -> list[str]:
    """Names of the continuous components of an action, arm by arm."""
    parts = (
        list(spec.action.wrench_axes)
        if spec.action.kind == "wrench"
        else ["x", "y", "z", "roll", "pitch", "yaw"]
    )
    return [f"{arm} {part}".strip() for arm in spec.arm_names for part in parts]


def draw_trajectories(
    trajectories: Sequence[Trajectory], names: Sequence[str], path: Path, title: str = ""
) -> None:
    """Mean and standard deviation of every component of the policy over an episode, as in Fig. 7.

    Args:
        trajectories: One line each.
        names: Of the components.
        path: PNG to write.
        title: Heading.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(11, 2.2 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for component, (name, panel) in enumerate(zip(names, panels, strict=False)):
        for trajectory in trajectories:
            mean, std = trajectory.mean[:, component], trajectory.std[:, component]
            time = np.arange(len(mean))
            outcome = "solved" if trajectory.success else "not solved"
            (line,) = panel.plot(time, mean, linewidth=1.4, label=f"episode {trajectory.episode}, {outcome}")
            panel.fill_between(time, mean - std, mean + std, alpha=0.2, color=line.get_color(), linewidth=0)
        panel.set_title(name, fontsize=9)
        panel.set_ylim(-1.6, 1.6)
        panel.grid(alpha=0.25)
        panel.tick_params(labelsize=7)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(names) - columns) : len(names)]:
        panel.set_xlabel("step", fontsize=8)
    panels[0].legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)
