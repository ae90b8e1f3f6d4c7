# SPDX-License-Identifier: Apache-2.0
"""What an evaluation says (Sec. 4.3): success with its confidence interval, cycle time, intervention rate, curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil_serl_runs import report
from hil_serl_runs.formats import percent, seconds
from hil_serl_runs.run_folder import RunFolder, write_json
from hil_serl_runs.statistics import WINDOW, Episode, EpisodeLog, counted, rates


@dataclass(frozen=True)
class Evaluated:
    """One agent's evaluation.

    Attributes:
        agent: `forward` or `backward`, empty for a single agent.
        task: Its task.
        episodes: Autonomous trials.
        successes: Of which solved.
        success: Their share.
        ci95: 95 % confidence interval of the success probability (Wilson).
        cycle_time: Mean duration of successes [s of ROS time]; NaN without any.
        cycle_steps: Mean steps of successes.
        intervention: Intervened steps over all steps of the last 20 training episodes; NaN without training.
    """

    agent: str
    task: str
    episodes: int
    successes: int
    success: float
    ci95: tuple[float, float]
    cycle_time: float
    cycle_steps: float
    intervention: float


def of_agent(episodes: Sequence[Episode], agent: str) -> list[Episode]:
    """Episodes of one agent, told by its actor's name; all of them for a single agent."""
    return [e for e in episodes if not agent or e.actor_id.endswith(f"_{agent}")]


def of_agents(folder: RunFolder, episodes: Sequence[Episode], training: Sequence[Episode]) -> list[Evaluated]:
    """Evaluation of each agent of a run.

    Args:
        folder: The run.
        episodes: Autonomous episodes.
        training: Training episodes.
    """
    names = [spec.name for spec in folder.tasks()]
    result = []
    for agent, task in zip(folder.agents, names, strict=True):
        own = counted(of_agent(episodes, agent))
        rate, solved = rates(own), sum(e.success for e in own)
        last = counted(of_agent(training, agent))[-WINDOW:]
        result.append(
            Evaluated(
                agent=agent,
                task=task,
                episodes=rate.episodes,
                successes=solved,
                success=rate.success,
                ci95=report.wilson(solved, rate.episodes),
                cycle_time=rate.cycle_time,
                cycle_steps=rate.cycle_steps,
                intervention=rates(last).intervention,
            )
        )
    return result


def cut_off(episodes: Sequence[Episode], phase: str) -> dict[str, int]:
    """How many trials of a phase ended without a verdict, by reason; they are in no rate."""
    return dict(Counter(e.reason for e in episodes if e.phase == phase and e.aborted))


def cut_off_in_words(reasons: Mapping[str, int]) -> str:
    """One line for people: whoever knows that the policy caused a cut has to count it as a failure."""
    causes = "; ".join(f"{count} × {reason}" for reason, count in reasons.items())
    return (
        f"not counted: {sum(reasons.values())} episodes that were cut off ({causes}). Where the policy caused it, say by "
        "pressing until the controller held the arm, count a failure"
    )


def in_words(result: Evaluated) -> str:
    """One line for people."""
    low, high = result.ci95
    interval = "" if math.isnan(low) else f" (95 %: {100 * low:.0f} to {100 * high:.0f} %)"
    text = f"{result.task}: {result.successes} of {result.episodes} episodes solved, {percent(result.success)}{interval}"
    if math.isfinite(result.cycle_time):
        text += f"; cycle time {seconds(result.cycle_time)} ({result.cycle_steps:.1f} steps)"
    if math.isfinite(result.intervention):
        text += f"; intervention rate at the end of training {percent(result.intervention)}"
    return text


def conclude(
    folder: RunFolder, log: EpisodeLog, phase: str, checkpoints: Sequence[Path], **facts: Any
) -> Iterator[str]:
    """What an evaluation found: written to ``PHASE.json`` of the run, said line by line, then drawn.

    Args:
        folder: The run.
        log: Its episodes.
        phase: Name of the evaluation in the log.
        checkpoints: Checkpoint folder of each agent.
        facts: Further entries of the file, such as who judged.

    Yields:
        Lines for people; the pictures, which take seconds, are made before the last one.
    """
    episodes, training = log.of(phase), log.of("train")
    evaluated, cut = of_agents(folder, episodes, training), cut_off(log.episodes, phase)
    known = {"checkpoint": [str(path) for path in checkpoints], **facts, "cut_off": cut}
    write_json(folder.path / f"{phase}.json", {**known, "agents": [asdict(one) for one in evaluated]})
    yield from (in_words(one) for one in evaluated)
    if cut:
        yield cut_off_in_words(cut)
    if training:
        pictures = draw(folder, evaluated, episodes, training, folder.path / f"{phase}.png")
        yield f"Curves: {', '.join(map(str, pictures))}"


def draw(
    folder: RunFolder,
    evaluated: Sequence[Evaluated],
    episodes: Sequence[Episode],
    training: Sequence[Episode],
    path: Path,
) -> list[Path]:
    """Curves of the training as in Fig. 4 with the evaluation as reference lines; one picture an agent.

    Args:
        folder: The run.
        evaluated: Result of each agent.
        episodes: Autonomous episodes.
        training: Training episodes.
        path: PNG of the first agent; the second's has its name in it.

    Returns:
        The pictures.
    """
    demos = [e for e in folder.episode_log().of("record_demos") if e.success]
    pictures = []
    for result in evaluated:
        picture = path if result is evaluated[0] else path.with_stem(f"{path.stem}_{result.agent}")
        curves = report.Results(
            demos=of_agent(demos, result.agent),
            training=of_agent(training, result.agent),
            evaluation=of_agent(episodes, result.agent),
            bc=[],
        )
        report.draw_curves(curves, picture, f"{result.task}, seed {folder.seed}")
        pictures.append(picture)
    return pictures
