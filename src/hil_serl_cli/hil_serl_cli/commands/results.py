# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl results`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hil_serl_bringup.supervisor import ProcessFailure
from hil_serl_cli.results import expert, learning_curves
from hil_serl_cli.results import page as results_page
from hil_serl_cli.results.cells import Budget, Cell, Store, finished, run_cell
from hil_serl_cli.results.robustness import add_robustness
from hil_serl_cli.running.phases import Setup
from hil_serl_core.methods import MethodError, method_named
from hil_serl_runs.run_folder import RunFolderError
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task


@dataclass
class Results:
    """Run tasks with methods through the nodes and write a page of our numbers beside the papers'.

    Finished cells are kept and not run again, and an interrupted one goes on where it stopped, so the same command
    can be repeated until everything is there. The page is written after every cell.
    """

    tasks: tuple[str, ...] = (
        "ram_insertion",
        "usb_insertion",
        "object_handover",
        "object_flip",
        "object_relocation",
    )
    """Tasks with a twin."""
    methods: tuple[str, ...] = ("hil_serl", "serl", "hg_dagger", "bc")
    """Methods; hg_dagger after hil_serl, which says how many episodes it gets."""
    seeds: tuple[int, ...] = (0,)
    """Seeds."""
    minutes: float = 15.0
    """Longest wall-clock time of one training."""
    steps: int | None = None
    """Most transitions of one training; default: as many as the paper needed for the task."""
    episodes: int = 50
    """Autonomous trials of each policy."""
    demonstrations: int | None = None
    """Demonstrations of each task; default: what its file says."""
    device: Literal["cpu", "cuda", "auto"] = "auto"
    """Where the learner computes."""
    runs: Path = Path("runs/results")
    """Folder of the run folders."""
    output: Path = Path("docs/results")
    """Folder of the page."""
    robustness: bool = False
    """Also evaluate hil_serl's policies disturbed in every episode (Sec. 4.4), where their run folders are there, and the
    scripted expert from the same states."""
    page_only: bool = False
    """Write the page from what is there; run nothing."""

    def run(self) -> int:
        console, store = plain_console(), Store(self.output / "cells")
        budget = Budget(self.minutes, self.steps, self.episodes, self.demonstrations)
        for method in self.methods:
            method_named(method)
        specs = {task: find_task(task) for task in self.tasks}  # a misspelt name shows before hours of work
        failed: list[str] = []
        self._write_page(store)
        for cell in [] if self.page_only else self._cells():
            setup = Setup(device=self.device)
            try:
                if finished(store.read(cell), specs[cell.task], budget):
                    console.print(f"{cell.name}: finished before", highlight=False)
                else:
                    console.print(cell.name, style="bold")
                    run_cell(cell, setup, budget, self.runs, store)
                if self.robustness and cell.method == "hil_serl":
                    told = add_robustness(cell, setup, budget.episodes, self.runs, store)
                    console.print(told, highlight=False, soft_wrap=True)
            except (
                MethodError,
                ProcessFailure,
                RunFolderError,
            ) as error:  # the others are worth running all the same
                failed.append(cell.name)
                console.print(f"error: {cell.name}: {error}", style="red", markup=False, soft_wrap=True)
                continue
            self._write_page(store)
        console.print(f"Page: {self.output / 'index.md'}", highlight=False, soft_wrap=True)
        if failed:
            console.print(f"Failed: {', '.join(failed)}", style="red", highlight=False, soft_wrap=True)
        return 1 if failed else 0

    def _cells(self) -> list[Cell]:
        return [
            Cell(task, method, seed) for seed in self.seeds for task in self.tasks for method in self.methods
        ]

    def _write_page(self, store: Store) -> None:
        cells = [c for c in store.all() if c["task"] in self.tasks and c["method"] in self.methods]
        for task in self.tasks:
            own = [c for c in cells if c["task"] == task]
            if own:
                learning_curves.draw_task(task, own, self.methods, self.output / "curves" / f"{task}.png")
        self.output.mkdir(parents=True, exist_ok=True)
        present = {task: find_task(task) for task in self.tasks}
        experts = {task: found for task in self.tasks if (found := expert.kept(self.output, task))}
        text = results_page.page(
            cells, self.tasks, self.methods, command_line(sys.argv[1:]), present, experts
        )
        (self.output / "index.md").write_text(text, encoding="utf-8")


def command_line(arguments: list[str]) -> str:
    """The command as it was given, without the options that only say where things are put."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--runs", "--output"):
            skip = True
        elif argument != "--page-only" and not argument.startswith(("--runs=", "--output=")):
            kept.append(argument)
    return shlex.join(["hil-serl", *kept])
