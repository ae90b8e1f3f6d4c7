# SPDX-License-Identifier: Apache-2.0
"""Draws SERL's Fig. 3 from the simulator: what reference limiting does in contact and in free space.

Left, the tool is commanded into a hard surface: the limited target stays within the clip of the measured
pose, so the force is bounded. Right, a step in free space, ten times the clip: the limited target runs ahead
of the arm.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import TaskFileError, load_task
from hil_serl_sim.gl import choose_backend

PERIOD = 0.1  # [s] between commands


@dataclass(frozen=True)
class Trace:
    """Motion along z of the base frame, one sample per tick.

    Attributes:
        time: (N,) [s].
        commanded: (N,) target as sent by the policy [m].
        smoothed: (N,) after the low-pass [m].
        limited: (N,) after the reference limit; what the spring is attached to [m].
        measured: (N,) [m].
        force: (N,) external force along z, mean over the last 20 ms [N].
    """

    time: np.ndarray
    commanded: np.ndarray
    smoothed: np.ndarray
    limited: np.ndarray
    measured: np.ndarray
    force: np.ndarray


def record(cell, commands: Sequence[float]) -> Trace:
    """Follow commands of height, one per control period, from where the arm stands.

    Args:
        cell: a simulated cell, at rest.
        commands: height of the target relative to the present tcp [m].
    """
    start = cell.arm_state().pose
    rows = []
    for command in commands:
        target = start.copy()
        target[2] += command
        for tick in range(cell.period_ticks):
            cell.advance({"": ArmCommand(pose=target)} if tick == 0 else None, 1)
            law = cell.arms[""].controller.state()
            force = cell.arm_state().wrench[2]
            rows.append(
                (cell.time, law.commanded[2], law.smoothed[2], law.limited[2], law.measured[2], force)
            )
    time, *heights, force = np.array(rows).T
    window = cell.arms[""].WRENCH_TICKS
    averaged = np.convolve(force, np.full(window, 1.0 / window))[: len(force)]
    commanded, smoothed, limited, measured = heights
    return Trace(time - time[0], commanded, smoothed, limited, measured, averaged)


def contact_trace(cell) -> Trace:
    """Down onto the board beside the slot, further and further into it, and up again."""
    cell.reset(0)
    _go_to(cell, np.array([0.07, 0.06, 0.0]))
    return record(
        cell, [*np.linspace(0.0, -0.12, 13), *[-0.12] * 7, *np.linspace(-0.12, -0.05, 8), *[-0.05] * 4]
    )


def free_trace(cell) -> Trace:
    """One step up and one down, ten times as large as the clip, far from everything: also from the task's box."""
    cell.reset(0)
    position = cell.arm_state().pose[:3]
    cell.arms[""].controller.set(workspace_low=position - 0.5, workspace_high=position + 0.5)
    _go_to(cell, np.array([0.0, 0.0, 0.05]))
    return record(cell, [*[0.0] * 3, *[0.08] * 14, *[0.0] * 14])


def _go_to(cell, offset: np.ndarray) -> None:
    """Move to an offset from the nominal reset position and come to rest."""
    goal = cell.initial.tcp_poses[""].copy()
    goal[:3] = np.asarray(cell.spec.reset.nominal_position) + offset
    for _ in range(25):
        cell.advance({"": ArmCommand(pose=goal)})


def draw(contact: Trace, free: Trace, path: Path) -> None:
    """Write the figure as a picture file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2, sharex="col", height_ratios=[3, 1])
    for column, (trace, title) in enumerate([(contact, "Into contact"), (free, "Free space")]):
        axes = grid[0, column]
        for values, label, colour in (
            (trace.commanded, "commanded target", "tab:orange"),
            (trace.smoothed, "smoothed target", "tab:red"),
            (trace.limited, "limited target", "tab:blue"),
            (trace.measured, "measured pose", "tab:green"),
        ):
            axes.plot(trace.time, 1000.0 * values, label=label, color=colour, linewidth=1.6)
        axes.set_title(title)
        axes.set_ylabel("tcp height z [mm]")
        axes.grid(alpha=0.3)
        force = grid[1, column]
        force.plot(trace.time, trace.force, color="0.3")
        force.set_ylabel("contact force [N]")
        force.set_xlabel("time [s]")
        force.grid(alpha=0.3)
    grid[0, 0].legend(loc="upper right")
    figure.savefig(path, dpi=120)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point: ``fig3 --task TASK.yaml --output fig3.png``."""
    parser = argparse.ArgumentParser(prog="fig3", description=__doc__.split("\n")[0])
    parser.add_argument("--task", required=True, type=Path, help="task file (YAML) of a task with a twin")
    parser.add_argument(
        "--output", type=Path, default=Path("fig3.png"), help="picture to write (default: %(default)s)"
    )
    options = parser.parse_args(args)
    try:
        spec = load_task(options.task)
        choose_backend()
        from hil_serl_sim.cell import Cell  # imports mujoco, which reads the choice

        cell = Cell(spec, seed=0)
        contact, free = contact_trace(cell), free_trace(cell)
        draw(contact, free, options.output)
    except (TaskFileError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"largest contact force {np.abs(contact.force).max():.1f} N; figure: {options.output.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
