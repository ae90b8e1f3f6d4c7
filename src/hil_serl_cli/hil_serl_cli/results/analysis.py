# SPDX-License-Identifier: Apache-2.0
"""Analysis of a run as in Sec. 5: what the policy visits and what its critic thinks of it, over training (Figs. 6, 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil_serl_core.episode import Mode
from hil_serl_core.step import Step
from hil_serl_learner.bags import read_run
from hil_serl_runs.run_folder import RunFolderError

if TYPE_CHECKING:
    from hil_serl_learner.analysis import TrainedAgent


@dataclass(frozen=True)
class Window:
    """What one checkpoint says of the steps that were made on the way to it.

    Attributes:
        trained_step: Transitions that the checkpoint was trained on.
        positions: (N, 3) tcp of the arm looked at, base frame [m].
        values: (N,) Q of the executed actions; NaN without a critic.
        variances: (N,) variance of Q under noise on the action, eq. (4); NaN without a critic.
    """

    trained_step: int
    positions: np.ndarray
    values: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class Trajectory:
    """The policy along one recorded episode (Fig. 7).

    Attributes:
        episode: Its number.
        success: It was solved.
        mean: (T, C) tanh of the Gaussian's mean, in [-1, 1].
        std: (T, C) its standard deviation before the tanh.
    """

    episode: int
    success: bool
    mean: np.ndarray
    std: np.ndarray


def checkpoints_of(run: Path, count: int) -> list[Path]:
    """At most ``count`` checkpoint folders, evenly spread over the training, the last one included.

    Raises:
        RunFolderError: The run has none.
    """
    from hil_serl_core.weights import POLICY_FILE  # imports torch, which takes a second

    found = sorted(path.parent for path in (run / "checkpoints").glob(f"step_*/{POLICY_FILE}"))
    if not found:
        raise RunFolderError(f"{run} has no checkpoint yet; train it first")
    steps = np.array([_step_of(path) for path in found])
    wanted = steps[-1] * np.arange(1, count + 1) / count
    nearest = {int(np.argmin(np.abs(steps - want))) for want in wanted}
    return [found[index] for index in sorted(nearest)]


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))


def windows(
    run: Path, agents: Sequence[TrainedAgent], arm: int = 0, most: int = 1000, seed: int = 0
) -> list[Window]:
    """Looks at the training steps that led to each checkpoint.

    Args:
        run: Run folder, or the folder of one of its agents.
        agents: Checkpoints, in order of training.
        arm: Index of the arm whose tcp is shown.
        most: Steps per checkpoint; more are thinned evenly.
        seed: Of the noise on the actions.

    Raises:
        RunFolderError: There are no training steps.
    """
    ends = [agent.trained_step for agent in agents]
    chosen = _choose(read_run(run, Mode.TRAIN, keep_before_damage=True), ends, most)
    if not any(chosen):
        raise RunFolderError(f"{run} has no training steps to look at")
    rng = np.random.default_rng(seed)
    return [_window(agent, steps, arm, rng) for agent, steps in zip(agents, chosen, strict=True) if steps]


def _choose(steps: Iterable[Step], ends: Sequence[int], most: int) -> list[list[Step]]:
    """Steps with an action by the checkpoint they led to, thinned to at most ``most`` each."""
    starts = [0, *ends[:-1]]
    strides = [max(1, math.ceil((end - start) / most)) for start, end in zip(starts, ends, strict=True)]
    chosen: list[list[Step]] = [[] for _ in ends]
    transition = 0
    for step in steps:
        if step.action is None:
            continue
        index = int(np.searchsorted(ends, transition, side="right"))
        if index == len(ends):
            break
        if (transition - starts[index]) % strides[index] == 0:
            chosen[index].append(step)
        transition += 1
    return chosen


def _window(agent: TrainedAgent, steps: Sequence[Step], arm: int, rng: np.random.Generator) -> Window:
    positions = np.array([step.tcp_poses[arm, :3] for step in steps])
    unknown = np.full(len(steps), np.nan)
    if agent.critics is None:
        return Window(agent.trained_step, positions, unknown, unknown)
    embedded = agent.embed(steps)
    values = agent.values(embedded, embedded.actions)
    variances = agent.value_variances(embedded, embedded.actions, rng)
    return Window(agent.trained_step, positions, values, variances)


def trajectories(run: Path, agent: TrainedAgent, count: int) -> list[Trajectory]:
    """The policy along recorded episodes: the last autonomous ones, else the last of the training.

    Args:
        run: Run folder, or the folder of one of its agents.
        agent: The checkpoint.
        count: How many.

    Raises:
        RunFolderError: No episode was recorded.
    """
    for mode in (Mode.EVAL, Mode.TRAIN):
        episodes: dict[tuple[str, int], list[Step]] = {}
        for step in read_run(run, mode, keep_before_damage=True):
            if step.spec_hash != agent.spec.hash:  # the other agent's, in a run of two
                continue
            episodes.setdefault((step.actor_id, step.episode), []).append(step)
            while len(episodes) > count + 1:  # the newest may be cut off
                episodes.pop(next(iter(episodes)))
        whole = [steps for steps in episodes.values() if steps[0].is_first and steps[-1].is_last]
        if whole:
            return [_trajectory(agent, steps) for steps in whole[-count:]]
    raise RunFolderError(f"{run} has no recorded episode to look at")


def _trajectory(agent: TrainedAgent, steps: Sequence[Step]) -> Trajectory:
    mean, std = agent.policy_distribution(agent.embed(steps))
    last = steps[-1]
    return Trajectory(last.episode, bool(last.is_terminal and last.reward > 0.0), mean, std)


def grid(
    x: np.ndarray, y: np.ndarray, values: np.ndarray | None, edges: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Counts, or means of values, on a grid; (Y, X), NaN where nothing was.

    Args:
        x: (N,) abscissa.
        y: (N,) ordinate.
        values: (N,) to average; None: count.
        edges: Edges of the cells along x and y.
    """
    counts, _, _ = np.histogram2d(x, y, bins=edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        if values is None:
            result = np.where(counts > 0, counts, np.nan)
        else:
            sums, _, _ = np.histogram2d(x, y, bins=edges, weights=values)
            result = np.where(counts > 0, sums / counts, np.nan)
    return result.T
