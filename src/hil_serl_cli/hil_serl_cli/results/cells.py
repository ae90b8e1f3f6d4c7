# SPDX-License-Identifier: Apache-2.0
"""Runs every task with every method through the nodes and keeps what came out, one file a cell; resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hil_serl_bringup.graph.build import Operator
from hil_serl_bringup.opening import demonstrations_of
from hil_serl_cli.options import session
from hil_serl_cli.running import phases
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Outcome, Session
from hil_serl_core.methods import method_named
from hil_serl_core.spec import TaskFileError, TaskSpec, task_from_dict
from hil_serl_runs import evaluation
from hil_serl_runs.checkpoints import latest_checkpoints
from hil_serl_runs.run_folder import RunFolder, write_json
from hil_serl_runs.statistics import WINDOW, Episode, StopRule, counted, rates, rolling
from hil_serl_tasks.finder import find_task

_POINTS = 200  # of a stored learning curve


@dataclass(frozen=True)
class Cell:
    """One task learnt by one method from one seed."""

    task: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its file and of its run folder."""
        return f"{self.task}-{self.method}-seed{self.seed}"


@dataclass(frozen=True)
class Budget:
    """What each cell may use.

    Attributes:
        minutes: Wall-clock time of training.
        steps: Transitions; None: as many as the paper needed for the task, if it says.
        episodes: Autonomous trials, of each agent.
        demonstrations: None: as the task file says.
        window: Training stops early after so many episodes in a row without intervention, all but a few solved.
    """

    minutes: float = 15.0
    steps: int | None = None
    episodes: int = 50
    demonstrations: int | None = None
    window: int = StopRule.window

    def rule(self, task: TaskSpec, method: str, reference: dict[str, Any] | None) -> StopRule:
        """When training is over.

        Args:
            task: The task.
            method: The method.
            reference: Finished cell of hil_serl with the same task and seed: HG-DAgger gets as many episodes (Sec. 4.3).
        """
        steps = self.steps or task.learner.transitions or math.inf
        rule = StopRule(self.window, min_steps=2000, max_seconds=60 * self.minutes, max_steps=steps)
        if method != "hg_dagger":
            return rule
        episodes = reference["training"]["episodes"] if reference else math.inf
        return replace(rule, window=10**9, max_episodes=episodes)


class Store:
    """Finished cells as JSON files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """A finished cell, None if there is none."""
        path = self._path(cell)
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def all(self) -> list[dict[str, Any]]:
        """Every finished cell."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self._folder.glob("*.json"))]

    def write(self, cell: Cell, result: dict[str, Any]) -> None:
        """Keep a finished cell."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._path(cell), result)

    def _path(self, cell: Cell) -> Path:
        return self._folder / f"{cell.name}.json"


def finished(stored: dict[str, Any] | None, task: TaskSpec, budget: Budget) -> bool:
    """Whether a stored result still stands: same settings of the task, at least as many trials."""
    return stored is not None and same_settings(stored, task) and stored["trials"] >= budget.episodes


def settings(task: TaskSpec) -> dict[str, Any]:
    """All settings of a task, hyperparameters included, as a result keeps them."""
    return task.model_dump(mode="json")


def same_settings(stored: Mapping[str, Any], task: TaskSpec) -> bool:
    """Whether a stored result was measured with these settings.

    What came into the task file later counts as its default, so that a feature that is not used makes no result stale; nor
    does the way to the start, which a simulated arm does not travel, nor what judges need that did not judge. Results of
    two agents from before ``reset.attempts`` had no limit to them, which is not its default.
    """
    content = dict(stored["settings"])
    content["reset"] = {"attempts": None, **content.get("reset", {})}
    try:
        return _simulated(task_from_dict(content)) == _simulated(task)
    except TaskFileError:
        return False


def _simulated(task: TaskSpec) -> TaskSpec:
    """The task without what had no part in a simulated run."""
    reset, reward = task.reset.model_copy(update={"lift": 0.0}), task.reward
    if reset.partner is None:
        reset = reset.model_copy(update={"attempts": None})
    if reward.kind == "ground_truth":
        reward = reward.model_copy(update={"classifier": None, "pose": None})
    return task.model_copy(update={"reset": reset, "reward": reward})


def run_cell(cell: Cell, setup: Setup, budget: Budget, root: Path, store: Store) -> dict[str, Any]:
    """Demonstrations (shared by the methods of one task and seed), training and evaluation of one cell.

    Every phase goes on where an interrupted one stopped.

    Args:
        cell: What to run.
        setup: Common settings.
        budget: What it may use.
        root: Folder of the run folders.
        store: Finished cells; the result is added.

    Returns:
        The result.

    Raises:
        MethodError, ProcessFailure, KeyboardInterrupt: See `Session.run`.
    """
    task, method = find_task(cell.task), method_named(cell.method)
    method.check(task)
    setup = replace(setup, algorithm=method.name)
    folder = _folder(root / cell.name, task, cell, method.name)
    demos: list[Episode] = []
    if method.uses_demonstrations:
        source = _folder(root / f"{cell.task}-demonstrations-seed{cell.seed}", task, cell, method.name)
        with session(source, robot=setup.robot) as running:
            phases.demonstrations(running, setup, demonstrations_of(source, budget.demonstrations))
            demos = [e for e in running.log.of("record_demos") if e.success]
        phases.share_demonstrations(source, folder)
    reference = store.read(replace(cell, method="hil_serl"))
    if reference is not None and not same_settings(reference, task):
        reference = None  # of other settings
    with session(folder, robot=setup.robot) as running:
        if not folder.is_done("train"):
            _train(running, setup, budget.rule(task, method.name, reference))
        checkpoints = latest_checkpoints(folder)
        autonomous = replace(setup, operator=Operator.NONE)
        episodes = phases.evaluation(running, autonomous, checkpoints, budget.episodes)
        result = _result(running, cell, budget, demos, episodes)
    store.write(cell, result)
    return result


def _folder(path: Path, task: TaskSpec, cell: Cell, method: str) -> RunFolder:
    """The run folder of a cell; one of another task file is put aside."""
    if (path / "run.json").exists():
        folder = RunFolder.open(path)
        if _simulated(folder.task()) == _simulated(task):
            return folder
        number = sum(1 for _ in path.parent.glob(f"{path.name}.old*"))
        path.rename(path.with_name(f"{path.name}.old{number}"))
    partner = find_task(task.reset.partner) if task.reset.partner else None
    return RunFolder.create(task, cell.seed, "results", path=path, partner=partner, algorithm=method)


def _train(running: Session, setup: Setup, rule: StopRule) -> Outcome:
    outcome = phases.training(running, setup, rule)
    latest_checkpoints(running.folder)  # a training that ended before the first one is not done
    running.folder.mark_done("train", outcome.facts())
    return outcome


def _result(
    running: Session, cell: Cell, budget: Budget, demos: Sequence[Episode], episodes: Sequence[Episode]
) -> dict[str, Any]:
    folder, training = running.folder, running.log.of("train")
    train = folder.state()["done"]["train"]
    return {
        **asdict(cell),
        "settings": settings(folder.task()),
        "budget": {"minutes": budget.minutes, "steps": budget.steps},
        "trials": budget.episodes,
        "agents": [asdict(e) for e in evaluation.of_agents(folder, episodes, training)],
        "training": {
            "seconds": train["seconds"],
            "stopped_by": train["reason"],
            "updates": train["updates"],
            "env_steps": train["env_steps"],
            "agents": train.get("agents", []),
            "episodes": len(training),
            "intervention": rates(training).intervention,
            "intervention_last": rates(training[-WINDOW:]).intervention,
        },
        "demonstrations": asdict(rates(demos)),
        "curve": curve(training),
    }


def curve(training: Sequence[Episode]) -> dict[str, list[float]]:
    """The learning curve of Fig. 4, thinned: running means over 20 episodes against transitions and minutes."""
    episodes = counted(training)
    points = list(zip(episodes, rolling(episodes), strict=True))
    points = points[:: max(1, math.ceil(len(points) / _POINTS))] + points[-1:]
    return {
        "env_steps": [e.env_steps for e, _ in points],
        "minutes": [round(e.wall / 60, 3) for e, _ in points],
        "success": [round(r.success, 4) for _, r in points],
        "intervention": [round(r.intervention, 4) for _, r in points],
        "cycle_time": [round(r.cycle_time, 3) for _, r in points],
    }
