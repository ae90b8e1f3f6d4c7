# SPDX-License-Identifier: Apache-2.0
"""What is known about a run, as plain values: finished episodes, the learner's counters, windowed rates.

Definitions follow the paper's evaluation: the success rate and the intervention rate (intervened steps
over all steps) are means over the last 20 episodes, and the cycle time is the mean duration of successful
episodes.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

WINDOW = 20


@dataclass(frozen=True)
class Episode:
    """One finished episode.

    Attributes:
        phase: Phase of the run it belongs to.
        wall: Wall-clock seconds since the phase began (over all parts of a resumed phase).
        env_steps: Steps the phase has had when the episode ended, this episode's included.
        actor_id: Who ran it.
        episode: Its number at that actor.
        success: The task was solved.
        truncated: Ended by the time limit.
        aborted: Stopped by a fault, lost inputs or a person; never counted.
        reason: Why it ended.
        steps: Transitions.
        intervened_steps: Of which a person gave the action.
        interventions: Separate interventions.
        duration: Length [s of ROS time].
        policy_version: Weights in use, -1 for none.
        seed: Seed of its initial state, -1 if unseeded.
    """

    phase: str
    wall: float
    env_steps: int
    actor_id: str
    episode: int
    success: bool
    truncated: bool
    aborted: bool
    reason: str
    steps: int
    intervened_steps: int
    interventions: int
    duration: float
    policy_version: int
    seed: int


@dataclass(frozen=True)
class Rates:
    """Means over a set of episodes; NaN where there is nothing to average.

    Attributes:
        episodes: Episodes averaged.
        success: Fraction solved.
        intervention: Intervened steps over all steps.
        cycle_time: Mean duration of solved episodes [s].
        cycle_steps: Mean steps of solved episodes.
    """

    episodes: int
    success: float
    intervention: float
    cycle_time: float
    cycle_steps: float


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def counted(episodes: Iterable[Episode], phase: str | None = None) -> list[Episode]:
    """Episodes that enter statistics (not aborted), of one phase if given."""
    return [e for e in episodes if not e.aborted and phase in (None, e.phase)]


def rates(episodes: Iterable[Episode]) -> Rates:
    """Rates over all counted episodes given."""
    chosen = counted(episodes)
    solved = [e for e in chosen if e.success]
    steps = sum(e.steps for e in chosen)
    return Rates(
        episodes=len(chosen),
        success=_mean([float(e.success) for e in chosen]),
        intervention=sum(e.intervened_steps for e in chosen) / steps if steps else math.nan,
        cycle_time=_mean([e.duration for e in solved]),
        cycle_steps=_mean([float(e.steps) for e in solved]),
    )


def rolling(episodes: Iterable[Episode], window: int = WINDOW) -> list[Rates]:
    """Rates over the last `window` counted episodes, after each counted episode."""
    chosen = counted(episodes)
    return [rates(chosen[max(0, end - window) : end]) for end in range(1, len(chosen) + 1)]


@dataclass(frozen=True)
class StopRule:
    """When training is over.

    It stops when the last `window` episodes were solved at `success` or better with at most `interventions`
    interventions in all of them, after at least `min_steps` steps; or at `max_seconds` of wall-clock time,
    `max_steps` steps or `max_episodes` episodes.

    The window is as long as an evaluation, because those episodes were sampled from the policy: its mode, which is what
    gets evaluated, becomes reliable later. (Seen on the test task: 25 solved in a row, then 35 % by the mode against 95 %
    by samples of the same checkpoint.)
    """

    window: int = 50
    success: float = 0.97
    interventions: int = 0
    min_steps: int = 0
    max_seconds: float = math.inf
    max_steps: float = math.inf
    max_episodes: float = math.inf

    def reason(self, episodes: Sequence[Episode], seconds: float, steps: int) -> str | None:
        """Why training is over now, or None if it is not."""
        if seconds >= self.max_seconds:
            return f"time limit of {self.max_seconds:.0f} s"
        if steps >= self.max_steps:
            return f"step limit of {self.max_steps:.0f}"
        if len(counted(episodes)) >= self.max_episodes:
            return f"{self.max_episodes:.0f} episodes"
        last = counted(episodes)[-self.window :]
        if len(last) < self.window or steps < self.min_steps:
            return None
        asked = sum(e.interventions for e in last)
        success = rates(last).success
        if success >= self.success and asked <= self.interventions:
            return f"last {self.window} episodes: {success:.0%} success with {asked} interventions"
        return None


class EpisodeLog:
    """Append-only CSV of finished episodes; what a resumed run knows of its past."""

    def __init__(self, path: Path | None) -> None:
        """``path``: of the CSV; None keeps them in memory alone."""
        self._path = path
        self.episodes: list[Episode] = []
        if path is None or not path.exists():
            return
        self.episodes = read_episodes(path)
        if not path.read_bytes().endswith(b"\n"):
            with path.open("a") as file:  # end the torn line, so that the next one is whole
                file.write("\n")

    def append(self, episode: Episode) -> None:
        """Add one episode and write it through to the file."""
        self.episodes.append(episode)
        if self._path is not None:
            _append(self._path, episode)

    def complete(self, phase: str, recorded: Iterable[Episode]) -> list[Episode]:
        """Add episodes of a phase that are recorded but were not heard of, where they belong in time.

        Args:
            phase: The phase.
            recorded: What the bags have, in order; wall time and steps are filled in here.

        Returns:
            The added ones.
        """
        heard = {(e.actor_id, e.episode): e for e in self.episodes if e.phase == phase}
        added, merged, wall, steps = [], [], 0.0, 0
        for entry in recorded:
            known = heard.pop((entry.actor_id, entry.episode), None)
            wall, steps = (known.wall if known else wall), steps + entry.steps
            merged.append(replace(known or entry, wall=wall, env_steps=steps))
            if known is None:
                added.append(merged[-1])
        if added:
            others = [e for e in self.episodes if e.phase != phase]
            self.episodes = [*others, *merged, *heard.values()]
            self._rewrite()
        return added

    def _rewrite(self) -> None:
        if self._path is None:
            return
        temporary = self._path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        for episode in self.episodes:
            _append(temporary, episode)
        temporary.replace(self._path)

    def of(self, phase: str) -> list[Episode]:
        """Counted episodes of one phase."""
        return counted(self.episodes, phase)


def _append(path: Path, episode: Episode) -> None:
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Episode)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(episode))


_PARSE: dict[str, Callable[[str], object]] = {
    "bool": lambda text: {"True": True, "False": False}[text],
    "int": int,
    "float": float,
    "str": str,
}


def read_episodes(path: Path) -> list[Episode]:
    """Episodes of a CSV written by `EpisodeLog`; a line torn by a crash is left out."""
    episodes = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            try:
                values: dict[str, Any] = {f.name: _PARSE[str(f.type)](row[f.name]) for f in fields(Episode)}
                episodes.append(Episode(**values))
            except (KeyError, TypeError, ValueError):
                continue
    return episodes


@dataclass(frozen=True)
class LearnerSample:
    """The learner's counters at one moment; fields as in hil_serl_msgs/LearnerStatus."""

    wall: float = 0.0
    phase: str = ""
    environment_steps: int = 0
    trained_step: int = 0
    updates: int = 0
    policy_version: int = -1
    demo_size: int = 0
    rl_size: int = 0
    updates_per_second: float = 0.0
    critic_loss: float = math.nan
    actor_loss: float = math.nan
    temperature: float = math.nan
    entropy: float = math.nan
    q_mean: float = math.nan
    message: str = ""
    owed_updates: int = 0
    skipped_updates: int = 0

    @property
    def done_share(self) -> float:
        """Share of the updates owed to online steps that is not skipped, over the whole run; NaN while none is owed."""
        return 1.0 - self.skipped_updates / self.owed_updates if self.owed_updates else math.nan

    @classmethod
    def from_message(cls, message: object, wall: float) -> Self:
        """Sample of a LearnerStatus message received `wall` seconds into the phase."""
        return cls(wall=wall, **{f.name: getattr(message, f.name) for f in fields(cls) if f.name != "wall"})

    @classmethod
    def last_of(cls, path: Path) -> Self:
        """Newest whole row of a CSV of samples, all zero if there is none; columns it lacks keep their defaults."""
        newest = cls()
        if not path.exists():
            return newest
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                try:
                    values: dict[str, Any] = {
                        f.name: _PARSE[str(f.type)](row[f.name]) for f in fields(cls) if f.name in row
                    }
                    newest = cls(**values)
                except (KeyError, TypeError, ValueError):
                    continue
        return newest


def together(learners: Mapping[str, LearnerSample]) -> LearnerSample:
    """The learners of a run as one: counters added, the oldest policy, the largest of what should stay small.

    Args:
        learners: By the name of their agents; at least one.
    """
    if len(learners) == 1:
        return next(iter(learners.values()))
    samples = learners.values()

    def largest(name: str) -> float:
        return max((v for s in samples if math.isfinite(v := getattr(s, name))), default=math.nan)

    phases = {s.phase for s in samples}
    return LearnerSample(
        wall=max(s.wall for s in samples),
        phase=" / ".join(sorted(phases)),
        environment_steps=sum(s.environment_steps for s in samples),
        trained_step=sum(s.trained_step for s in samples),
        updates=sum(s.updates for s in samples),
        policy_version=min(s.policy_version for s in samples),
        demo_size=sum(s.demo_size for s in samples),
        rl_size=sum(s.rl_size for s in samples),
        updates_per_second=sum(s.updates_per_second for s in samples),
        critic_loss=largest("critic_loss"),
        actor_loss=largest("actor_loss"),
        temperature=largest("temperature"),
        entropy=largest("entropy"),
        q_mean=largest("q_mean"),
        message="; ".join(f"{agent}: {s.message or s.phase or 'starting'}" for agent, s in learners.items()),
        owed_updates=sum(s.owed_updates for s in samples),
        skipped_updates=sum(s.skipped_updates for s in samples),
    )
