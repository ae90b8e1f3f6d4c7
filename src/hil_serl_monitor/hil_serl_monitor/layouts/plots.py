# SPDX-License-Identifier: Apache-2.0
"""Which numbers are drawn together: one list for rqt, PlotJuggler and Foxglove."""

from __future__ import annotations

from dataclasses import dataclass

from hil_serl_monitor.layouts.cell import Cell
from hil_serl_ros import names


@dataclass(frozen=True)
class Series:
    """One number over time: a topic, and the path of a field in its message, parts separated by dots."""

    topic: str
    field: str

    @property
    def slashed(self) -> str:
        """As rqt_plot and PlotJuggler name it."""
        return f"{self.topic}/{self.field.replace('.', '/')}"

    @property
    def dotted(self) -> str:
        """As Foxglove names it."""
        return f"{self.topic}.{self.field}"


@dataclass(frozen=True)
class Plot:
    """Numbers that share an axis.

    ``top``: where the axis ends at first. rqt_plot, which scales by itself, cannot while a number is still NaN.
    """

    title: str
    series: tuple[Series, ...]
    top: float = 1.0


def plot(title: str, topic: str, *fields: str, top: float = 1.0) -> Plot:
    """Several fields of one message."""
    return Plot(title, tuple(Series(topic, field) for field in fields), top)


def run_plots(cell: Cell) -> list[Plot]:
    """How the run goes: rates and returns, the learner, speeds."""
    status, learner = cell.topic(names.RUN_STATUS), cell.agent_topic(names.LEARNER_STATUS)
    speeds = (Series(status, "control_rate"), Series(learner, "updates_per_second"))
    return [
        plot("Success and intervention rate", status, "success_rate", "intervention_rate"),
        plot("Critic: mean Q and loss", learner, "q_mean", "critic_loss"),
        plot("Return and cycle time [s]", status, "mean_return", "episode_return", "cycle_time", top=6.0),
        Plot("Control ticks and updates per second", speeds, top=50.0),
    ]


def arm_plots(cell: Cell) -> list[Plot]:
    """What the arms do: forces, and target against measurement along each axis."""
    plots = []
    for arm in cell.arms:
        state, word = cell.topic(names.ARM_STATE, arm), f"{arm} " if arm else ""
        forces = (f"external_wrench.force.{axis}" for axis in "xyz")
        plots.append(plot(f"{word}force on the tool [N]", state, *forces))
        for axis in "xyz":
            fields = (f"tcp_pose.position.{axis}", f"target_pose.position.{axis}")
            plots.append(plot(f"{word}{axis}: measured and reference [m]", state, *fields))
    return plots
