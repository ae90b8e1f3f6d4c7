# SPDX-License-Identifier: Apache-2.0
"""The scripted expert under the disturbances of the robustness tests: alone, or from where a policy was disturbed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec
from hil_serl_ros.bag import BagError, read_steps
from hil_serl_runs.evaluation import of_agent
from hil_serl_runs.report import wilson
from hil_serl_runs.run_folder import RunFolder, write_json
from hil_serl_runs.statistics import Episode
from hil_serl_sim.repeating import NotReproducedError


def alone(spec: TaskSpec, kind: str | None, step: int, seeds: Iterable[int]) -> dict[str, Any]:
    """The expert from its own initial states.

    Args:
        spec: The task.
        kind: What disturbs every episode; None: nothing.
        step: Control step at which it does.
        seeds: Of the initial states.

    Raises:
        ValueError: The twin cannot be disturbed in this way.
    """
    yardstick = _yardstick(spec, kind, step)
    try:
        solved = [yardstick.episode(seed).success for seed in seeds]
    finally:
        yardstick.close()
    return {"disturbance": kind or "none", "step": step, **_counted(solved)}


def beside(
    folder: RunFolder, episodes: Sequence[Episode], kind: str, step: int, bags: Path | None = None
) -> tuple[list[dict[str, Any]], str]:
    """The expert from the very states in which a policy's evaluation was disturbed.

    Each recorded episode is repeated from its seed and actions up to the disturbance; the expert does the rest. An episode
    that was over before it counts as it ended.

    Args:
        folder: The run.
        episodes: Of a disturbed evaluation in lockstep.
        kind: What disturbed it.
        step: Control step at which it did.
        bags: Where its actors recorded; default: ``bags/eval`` of the run.

    Returns:
        For each agent its name, ``episodes``, ``successes`` and ``ci95``; and why there is nothing, empty if there is.
    """
    bags = folder.path / "bags" / str(Mode.EVAL) if bags is None else bags
    try:
        return _beside(folder, episodes, kind, step, bags), ""
    except (NotReproducedError, BagError) as error:
        return [], str(error)


def _beside(
    folder: RunFolder, episodes: Sequence[Episode], kind: str, step: int, bags: Path
) -> list[dict[str, Any]]:
    result = []
    for agent, spec in zip(folder.agents, folder.tasks(), strict=True):
        own = [e for e in of_agent(episodes, agent) if e.seed >= 0]
        solved: list[bool] = []
        if own:
            leads = _leads(bags, own, step)
            yardstick = _yardstick(spec, kind, step)
            try:
                solved = [yardstick.episode(e.seed, *leads[e.actor_id, e.episode]).success for e in own]
            finally:
                yardstick.close()
        result.append({"agent": agent, **_counted(solved)})
    return result


def in_words(result: Mapping[str, Any], task: str) -> str:
    """One line for people."""
    return (
        f"{task}: the scripted expert, which sees everything, solves {result['successes']} of {result['episodes']} from "
        "the same states"
    )


def file_of(output: Path, task: str) -> Path:
    """Where the results page keeps what the expert of a task solves."""
    return output / "experts" / f"{task}.json"


def kept(output: Path, task: str) -> dict[str, Any] | None:
    """What :func:`keep` has kept for a task, None for nothing."""
    path = file_of(output, task)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def keep(output: Path, spec: TaskSpec, series: Sequence[Mapping[str, Any]]) -> Path:
    """Keep results of :func:`alone` for the results page; those of other disturbances stay.

    Returns:
        The file.
    """
    path, kinds = file_of(output, spec.name), {one["disturbance"] for one in series}
    before = kept(output, spec.name)
    others = [one for one in before["series"] if one["disturbance"] not in kinds] if before else []
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"task": spec.name, "series": [*others, *series]})
    return path


def _yardstick(spec: TaskSpec, kind: str | None, step: int) -> Any:
    from hil_serl_sim.gl import choose_backend

    choose_backend()
    from hil_serl_sim.yardstick import Yardstick  # imports mujoco, which reads the choice

    return Yardstick(spec, kind, step)


def _counted(solved: Sequence[bool]) -> dict[str, Any]:
    return {
        "episodes": len(solved),
        "successes": sum(solved),
        "ci95": wilson(sum(solved), len(solved)),
    }


def _leads(
    bags: Path, episodes: Sequence[Episode], step: int
) -> dict[tuple[str, int], tuple[list[np.ndarray], np.ndarray | None]]:
    """Of each episode its actions before the disturbance, and the tcp poses (arms, 7) at it; None if it was over before."""
    leads: dict[tuple[str, int], tuple[list[np.ndarray], np.ndarray | None]]
    leads = {(e.actor_id, e.episode): ([], None) for e in episodes}
    for actor in sorted({e.actor_id for e in episodes}):
        for record in read_steps(bags / actor):
            key = (record.actor_id, record.episode)
            if key not in leads or record.action is None or record.step_index > step:
                continue
            if record.step_index == step:
                leads[key] = (leads[key][0], record.tcp_poses)
            else:
                leads[key][0].append(record.action)
    return leads
