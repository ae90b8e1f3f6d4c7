# SPDX-License-Identifier: Apache-2.0
"""The folder that holds everything of one run, and what a resumed command needs to know about it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil_serl_core.spec import TaskSpec, load_task, task_to_yaml
from hil_serl_runs.agents import BACKWARD, FORWARD
from hil_serl_runs.statistics import EpisodeLog
from hil_serl_runs.terminal import word


class RunFolderError(ValueError):
    """A folder that is not a usable run; the message names it and the remedy."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that a reader (or a crash) sees the old file or the new one, never half of it.

    NaN has no place in JSON and becomes null.
    """
    cleaned = json.loads(json.dumps(value), parse_constant=lambda _name: None)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(cleaned, indent=2, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: The folder, absolute.
    """

    path: Path

    @classmethod
    def create(
        cls,
        task: TaskSpec,
        seed: int,
        command: str,
        root: Path = Path("runs"),
        path: Path | None = None,
        partner: TaskSpec | None = None,
        **facts: str,
    ) -> RunFolder:
        """Make a new run folder and put the task file into it.

        Args:
            task: The task.
            seed: Seed of the run.
            command: Which command made it (demo, train, ...).
            root: Folder of runs; the name of the new one has task and time in it.
            path: The folder itself, instead of a name made up under `root`.
            partner: Task of the backward agent.
            facts: What else a resumed command has to know, such as the algorithm.

        Raises:
            RunFolderError: The folder holds a run already.
        """
        path = path or root / f"{task.name}-{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
        folder = cls(path.expanduser().absolute())
        if folder.state_file.exists():
            raise RunFolderError(
                f"{folder.path} holds a run already; continue it with --resume {word(path)}, or name another folder"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.task_file.write_text(task_to_yaml(task), encoding="utf-8")
        if partner is not None:
            folder.partner_file.write_text(task_to_yaml(partner), encoding="utf-8")
        write_json(
            folder.state_file,
            {
                "command": command,
                "task": task.name,
                "spec_hash": task.hash,
                "seed": seed,
                "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "done": {},
                "parts": {},
                **facts,
            },
        )
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises:
            RunFolderError: It is none.
        """
        folder = cls(path.expanduser().absolute())
        if not folder.state_file.exists() or not folder.task_file.exists():
            near = sorted(p.parent.name for p in folder.path.parent.glob("*/run.json"))[-3:]
            hint = f"; runs there: {', '.join(near)}" if near else ""
            raise RunFolderError(f"{path} is not a run folder (it has no run.json and task.yaml){hint}")
        folder.state()
        return folder

    def state(self) -> dict[str, Any]:
        """Contents of run.json.

        Raises:
            RunFolderError: It is damaged.
        """
        try:
            state = json.loads(self.state_file.read_text(encoding="utf-8"))
            if not isinstance(state["done"], dict) or not isinstance(state["seed"], int):
                raise KeyError("done or seed")
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{self.state_file} is damaged ({error}); start a new run") from error
        return dict(state)

    def is_done(self, phase: str) -> bool:
        """Whether a phase was completed."""
        return phase in self.state()["done"]

    def mark_done(self, phase: str, outcome: Mapping[str, Any]) -> None:
        """Remember that a phase is complete, and how it ended."""
        state = self.state()
        state["done"][phase] = dict(outcome)
        write_json(self.state_file, state)

    def begin_part(self, phase: str) -> int:
        """Count one more start of a phase; returns how many there were before (0: the phase is new)."""
        state = self.state()
        before = int(state["parts"].get(phase, 0))
        state["parts"][phase] = before + 1
        write_json(self.state_file, state)
        return before

    def remember(self, **facts: Any) -> None:
        """Keep what a resumed command has to know."""
        write_json(self.state_file, {**self.state(), **facts})

    def task(self) -> TaskSpec:
        """The run's task."""
        return load_task(self.task_file)

    def tasks(self) -> list[TaskSpec]:
        """The task of each agent."""
        files = [self.task_file, self.partner_file][: len(self.agents)]
        return [load_task(file) for file in files]

    def episode_log(self) -> EpisodeLog:
        """Finished episodes of all phases."""
        return EpisodeLog(self.path / "episodes.csv")

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.state()["seed"])

    @property
    def state_file(self) -> Path:
        """What a resumed command needs."""
        return self.path / "run.json"

    @property
    def task_file(self) -> Path:
        """The validated task file."""
        return self.path / "task.yaml"

    @property
    def partner_file(self) -> Path:
        """The validated task file of the backward agent; there is none with a single agent."""
        return self.path / "partner.yaml"

    @property
    def agents(self) -> tuple[str, ...]:
        """Agents trained in this run: forward and backward, or a single unnamed one."""
        return (FORWARD, BACKWARD) if self.partner_file.exists() else ("",)

    @property
    def summary_file(self) -> Path:
        """Results."""
        return self.path / "summary.json"

    def logs(self, phase: str) -> Path:
        """Folder of the processes' logs of one phase."""
        return self.path / "logs" / phase
