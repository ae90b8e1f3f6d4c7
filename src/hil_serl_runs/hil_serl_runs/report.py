# SPDX-License-Identifier: Apache-2.0
"""Results of a run: summary.json, the learning-curve picture and the table for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hil_serl_runs.formats import NOTHING, percent, seconds
from hil_serl_runs.statistics import WINDOW, Episode, Rates, counted, rates, rolling

#: Colours that are told apart with any kind of colour vision (Okabe and Ito).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#666666"


@dataclass(frozen=True)
class Results:
    """What the phases of a demo produced.

    Attributes:
        demos: Episodes of the demonstrations.
        training: Episodes of the training.
        evaluation: Autonomous episodes of the final policy.
        bc: Autonomous episodes of behaviour cloning on the same demonstrations, from the same initial states.
        training_s: Wall-clock seconds of the training phase.
        env_steps: Steps of the training episodes.
        updates: Gradient updates.
        stopped_by: Why training ended.
    """

    demos: Sequence[Episode]
    training: Sequence[Episode]
    evaluation: Sequence[Episode]
    bc: Sequence[Episode]
    training_s: float = 0.0
    env_steps: int = 0
    updates: int = 0
    stopped_by: str = ""


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % confidence interval of a success probability (Wilson); (NaN, NaN) without trials."""
    if trials == 0:
        return (math.nan, math.nan)
    p, n = successes / trials, trials
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (max(0.0, centre - half), min(1.0, centre + half))


def same_starts(first: Sequence[Episode], second: Sequence[Episode]) -> bool:
    """Whether two evaluations ran the same episode numbers from the same initial states, as far as known."""
    one, other = ({e.episode: e.seed for e in counted(episodes)} for episodes in (first, second))
    return one.keys() == other.keys() and all(
        seed == other[number] or -1 in (seed, other[number]) for number, seed in one.items()
    )


def demonstrations_in_words(recorded: Rates) -> str:
    """How many demonstrations there are, for people."""
    length = "" if math.isnan(recorded.cycle_steps) else f", {recorded.cycle_steps:.1f} steps each"
    return f"{recorded.episodes} demonstration{'s' if recorded.episodes != 1 else ''}{length}."


def summarise(results: Results, **facts: Any) -> dict[str, Any]:
    """Contents of summary.json.

    `cycle_time_s` and `demo_cycle_time_s` are mean durations of solved episodes [s of ROS time];
    `intervention_rate` is intervened steps over all steps of the last 20 training episodes; NaN where
    nothing was measured.

    Args:
        results: The phases.
        facts: Further entries, such as seed and task.
    """
    final, demo, bc = rates(results.evaluation), rates(results.demos), rates(results.bc)
    training = counted(results.training)
    solved = sum(e.success for e in counted(results.evaluation))
    low, high = wilson(solved, final.episodes)
    return {
        "success_rate": final.success,
        "success_rate_ci95": [low, high],
        "episodes": final.episodes,
        "training_s": results.training_s,
        "env_steps": results.env_steps,
        "updates": results.updates,
        "cycle_time_s": final.cycle_time,
        "intervention_rate": rates(training[-WINDOW:]).intervention,
        "intervention_rate_whole_training": rates(training).intervention,
        "training_episodes": len(training),
        "training_stopped_by": results.stopped_by,
        "demo_cycle_time_s": demo.cycle_time,
        "demo_episodes": demo.episodes,
        "bc_success_rate": bc.success,
        "bc_cycle_time_s": bc.cycle_time,
        "bc_episodes": bc.episodes,
        "bc_same_initial_states": same_starts(results.evaluation, results.bc),
        **facts,
    }


def table(summary: Mapping[str, Any], demos: Rates, evaluation: Rates, bc: Rates) -> Table:
    """The policy against the demonstrations and behaviour cloning, for the terminal."""
    minutes = summary["training_s"] / 60
    result = Table(
        title=f"{summary.get('task', '')}: after {minutes:.1f} min of training", title_justify="left"
    )
    result.add_column("")
    for heading in ("episodes", "success (95 %)", "cycle time", "steps"):
        result.add_column(heading, justify="right")
    rows = (("demonstrations", demos), ("behaviour cloning on them", bc), ("policy, autonomous", evaluation))
    for name, rate in rows:
        low, high = wilson(round(rate.success * rate.episodes) if rate.episodes else 0, rate.episodes)
        interval = "" if math.isnan(low) else f" ({100 * low:.0f}–{100 * high:.0f})"
        steps = NOTHING if math.isnan(rate.cycle_steps) else f"{rate.cycle_steps:.1f}"
        style = "bold green" if rate is evaluation else ""
        cells = (str(rate.episodes), percent(rate.success) + interval, seconds(rate.cycle_time), steps)
        result.add_row(name, *cells, style=style)
    return result


@dataclass(frozen=True)
class _Curve:
    heading: str
    values: list[float]
    colour: str
    unit: str
    references: tuple[tuple[str, float, str], ...] = ()


def draw_curves(results: Results, path: Path, title: str = "") -> None:
    """Learning curves as in the paper's Fig. 4: success, intervention rate and cycle time.

    Each is a mean over 20 episodes, over environment steps, with the wall-clock minutes on the upper axis.

    Args:
        results: The phases; evaluation and BC become reference lines.
        path: PNG to write.
        title: Heading.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    training = counted(results.training)
    series = rolling(training)
    demo, final, bc = rates(results.demos), rates(results.evaluation), rates(results.bc)
    curves = (
        _Curve(
            "success rate",
            [100 * r.success for r in series],
            GREEN,
            "%",
            (
                ("final policy, autonomous", 100 * final.success, BLUE),
                ("behaviour cloning", 100 * bc.success, ORANGE),
            ),
        ),
        _Curve("intervention rate", [100 * r.intervention for r in series], ORANGE, "%"),
        _Curve(
            "cycle time",
            [r.cycle_time for r in series],
            BLUE,
            "s",
            (
                ("demonstrations", demo.cycle_time, GREY),
                ("final policy, autonomous", final.cycle_time, GREEN),
            ),
        ),
    )
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, curve in zip(figure.subplots(1, 3), curves, strict=True):
        _draw_curve(axes, curve, training)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)


def _draw_curve(axes: Any, curve: _Curve, episodes: Sequence[Episode]) -> None:
    steps = [e.env_steps for e in episodes]
    minutes = [e.wall / 60 for e in episodes]
    axes.plot(steps, curve.values, color=curve.colour, linewidth=2)
    for label, value, colour in curve.references:
        if math.isfinite(value):
            axes.axhline(
                value, color=colour, linestyle="--", linewidth=1, label=f"{label}: {value:.3g} {curve.unit}"
            )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, loc="best")
    axes.set_title(f"{curve.heading} [{curve.unit}]", fontsize=10)
    axes.set_xlabel(f"environment steps (mean over {WINDOW} episodes)", fontsize=9)
    if curve.unit == "%":
        axes.set_ylim(-3, 103)
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(steps) > 1:  # where the minutes fall on the step axis
        upper = axes.secondary_xaxis("top")
        last = minutes[-1]
        marks = list(range(int(last) + 1)) if last >= 2 else [round(last * k / 3, 1) for k in range(4)]
        upper.set_xticks(
            [_interpolate(m, minutes, steps) for m in marks], [f"{m:g}" for m in marks], fontsize=7
        )
        upper.set_xlabel("minutes", fontsize=8)


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[int]) -> float:
    import numpy as np

    return float(np.interp(x, [0.0, *xs], [0, *ys]))
