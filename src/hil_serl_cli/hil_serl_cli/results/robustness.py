# SPDX-License-Identifier: Apache-2.0
"""How a trained policy fares when every episode is disturbed, as in the paper's robustness tests (Sec. 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hil_serl_bringup.graph.build import Operator
from hil_serl_cli.options import session
from hil_serl_cli.results import expert
from hil_serl_cli.results.cells import Cell, Store, same_settings
from hil_serl_cli.running import phases
from hil_serl_cli.running.phases import Setup
from hil_serl_runs import evaluation
from hil_serl_runs.checkpoints import latest_checkpoints
from hil_serl_runs.run_folder import RunFolder

_LEAST_STEP = 3  # an episode's first pictures are undisturbed


def add_robustness(cell: Cell, setup: Setup, episodes: int, root: Path, store: Store) -> str:
    """Evaluates a finished cell's policy under every disturbance that its twin can make, and keeps the results.

    The disturbance comes halfway through the mean successful episode of the undisturbed evaluation. What the scripted
    expert solves from the very states in which the policy was disturbed is kept beside it.

    Args:
        cell: The cell.
        setup: Common settings.
        episodes: Autonomous trials of each agent under each disturbance.
        root: Folder of the run folders.
        store: Finished cells; the result is added to this one's, under ``disturbed``.

    Returns:
        What was done or why not, for people.

    Raises:
        ProcessFailure, KeyboardInterrupt: See `Session.run`.
    """
    from hil_serl_sim.tasks import make_twin  # imports mujoco

    result = store.read(cell)
    if result is None or not (root / cell.name / "run.json").exists():
        return f"{cell.name}: no robustness, its run folder is not in {root}"
    folder = RunFolder.open(root / cell.name)
    if not same_settings(result, folder.task()):
        return f"{cell.name}: no robustness, {folder.path} is of a run with other settings than its result"
    step, kept = _halfway(result), result.setdefault("disturbed", {})
    for kind in make_twin(folder.task()).perturbations:
        done = kept.get(kind)
        if done is not None and all(agent["episodes"] >= episodes for agent in done["agents"]):
            continue
        disturbed = replace(setup, operator=Operator.NONE, perturbation=kind, perturbation_step=step)
        with session(folder, robot=setup.robot) as running:
            log = phases.evaluation(
                running,
                disturbed,
                latest_checkpoints(folder),
                episodes,
                phase=f"eval_{kind}",
                words=f"Evaluation with {kind}",
            )
            agents = evaluation.of_agents(folder, log, running.log.of("train"))
            experts, problem = expert.beside(folder, log, kind, step)
            if problem:
                running.view.say(f"The scripted expert is not compared: {problem}")
        kept[kind] = {"step": step, "agents": [asdict(agent) for agent in agents], "expert": experts}
        store.write(cell, result)
    told = ", ".join(_in_words(kind, entry) for kind, entry in kept.items())
    return f"{cell.name}: {told or 'nothing that its twin could disturb'}"


def _in_words(kind: str, entry: Mapping[str, Any]) -> str:
    solved, trials = _sums(entry["agents"])
    text = f"{kind} at step {entry['step']}: {solved} of {trials}"
    if not entry.get("expert"):  # of an earlier version, or it could not be repeated
        return text
    solved, trials = _sums(entry["expert"])
    return f"{text} (the expert from there: {solved} of {trials})"


def _sums(counted: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    return sum(one["successes"] for one in counted), sum(one["episodes"] for one in counted)


def _halfway(result: Mapping[str, Any]) -> int:
    """Control step in the middle of a successful episode."""
    steps = [agent["cycle_steps"] for agent in result["agents"] if agent["cycle_steps"]]
    return max(_LEAST_STEP, round(min(steps, default=2 * _LEAST_STEP) / 2))
