# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl expert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hil_serl_bringup.graph.build import GraphError
from hil_serl_cli.results import expert
from hil_serl_runs.formats import percent
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task


@dataclass
class Expert:
    """Say what the scripted expert of a twin solves, alone, with every episode disturbed as in Sec. 4.4.

    The expert sees everything, so this says how much of a disturbed task can be solved at all: the yardstick beside a
    policy's success under the same disturbance. No ROS, no training; some seconds to minutes.
    """

    task: str = "ram_insertion"
    """Name of a task with a simulated twin, or path of a task file."""
    perturb: Literal["none", "move_target", "open_gripper"] = "open_gripper"
    """What disturbs every episode: the target moves, or every gripper is forced open for a second."""
    steps: tuple[int, ...] = (5, 10, 15, 20)
    """Control steps at which it is disturbed; each has its own episodes."""
    episodes: int = 12
    """Episodes for each of them."""
    seed: int = 0
    """Of the first initial state; the others follow."""
    output: Path | None = None
    """Folder of the results page, which then shows these numbers (docs/results)."""

    def run(self) -> int:
        spec, console = find_task(self.task), plain_console()
        kind = None if self.perturb == "none" else self.perturb
        seeds = range(self.seed, self.seed + self.episodes)
        series: list[dict[str, Any]] = []
        for step in self.steps if kind else (0,):
            try:
                series.append(expert.alone(spec, kind, step, seeds))
            except ValueError as error:
                raise GraphError(str(error)) from error
            console.print(f"{spec.name}, {_in_words(series[-1])}", highlight=False, soft_wrap=True)
        if self.output is not None:
            path = expert.keep(self.output, spec, series)
            console.print(f"Kept in {path}", highlight=False, soft_wrap=True)
        return 0


def _in_words(result: dict[str, Any]) -> str:
    when = (
        "undisturbed"
        if result["disturbance"] == "none"
        else f"{result['disturbance']} at step {result['step']}"
    )
    low, high = result["ci95"]
    return (
        f"{when}: the scripted expert solves {result['successes']} of {result['episodes']} "
        f"(95 %: {percent(low)} to {percent(high)})"
    )
