# SPDX-License-Identifier: Apache-2.0
"""Follow a run by its messages. A plain object; `monitor_node` wires it to topics."""

from __future__ import annotations

import csv
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hil_serl_runs.statistics import (
    WINDOW,
    Episode,
    EpisodeLog,
    LearnerSample,
    Rates,
    counted,
    rates,
    rolling,
    together,
)

RATE_SPAN = 5.0
"""Seconds over which control ticks are counted."""


@dataclass(frozen=True)
class Driving:
    """Who drives at the newest control tick; fields as in hil_serl_msgs/InterventionState."""

    active: bool = False
    episode: int = 0
    step_index: int = 0
    input_norm: float = 0.0


class RunMonitor:
    """Keeps what the topics say about one phase of a run.

    Args:
        log: Episodes of the whole run; those of `phase` from earlier parts of a resumed run count as its
            past.
        phase: Name of the phase the coming episodes belong to.
        learner_csv: Where to keep the learner's counters, one row per `sample_period`, None for nowhere. Of two
            agents each has its own, in a folder of its name beside it.
        agents: Agents that learn; ("",) for a single one.
        target: Counted episodes that complete the phase, 0 for none. Episodes beyond it (finished before
            the actor was stopped) are not taken.
        only_solved: Only successful episodes count towards the target.
        now: Clock [s].
    """

    sample_period = 1.0

    def __init__(
        self,
        log: EpisodeLog,
        phase: str,
        learner_csv: Path | None = None,
        *,
        agents: Sequence[str] = ("",),
        target: int = 0,
        only_solved: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self.phase, self._csv, self._target, self._now = log, phase, learner_csv, target, now
        past = [e for e in log.episodes if e.phase == phase]
        self._only_solved = only_solved
        self._offset = max((e.wall for e in past), default=0.0)
        self._started = now()
        self._steps = sum(e.steps for e in past)
        self.learners = {agent: LearnerSample() for agent in agents}
        self._past = {
            agent: LearnerSample() for agent in agents
        }  # last heard of in earlier parts of a resumed phase
        if learner_csv is not None:
            self._past = {agent: LearnerSample.last_of(self._csv_of(agent)) for agent in agents}
        self._sampled = dict.fromkeys(agents, -math.inf)
        self._heard = dict.fromkeys(agents, math.inf)
        self.driving = Driving()
        self.stopped = False  # somebody has stopped the robot, and nobody has cleared that yet
        self.started_episodes = 0
        self.returns: deque[float] = deque(maxlen=WINDOW)  # of the newest counted episodes that were heard of
        self._ticks: deque[float] = deque()

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds of this phase, over all parts of a resumed run."""
        return self._offset + self._now() - self._started

    @property
    def env_steps(self) -> int:
        """Steps of this phase: the learner's count where there is one (it includes the running episode)."""
        return max(self._steps, self.learner.environment_steps)

    @property
    def episodes(self) -> list[Episode]:
        """Counted episodes of this phase."""
        return self._log.of(self.phase)

    @property
    def done(self) -> int:
        """Episodes that count towards the target."""
        return sum(e.success or not self._only_solved for e in self.episodes)

    @property
    def complete(self) -> bool:
        """The phase has its episodes."""
        return 0 < self._target <= self.done

    @property
    def control_rate(self) -> float:
        """Control ticks per second of wall-clock time, over the last `RATE_SPAN` seconds [Hz]."""
        now = self._now()
        while self._ticks and now - self._ticks[0] > RATE_SPAN:
            self._ticks.popleft()
        return len(self._ticks) / RATE_SPAN

    @property
    def learner(self) -> LearnerSample:
        """The learner's counters; those of two agents together."""
        return together(self.learners)

    @property
    def counters(self) -> dict[str, LearnerSample]:
        """Last known counters by agent, over all parts of a resumed phase.

        A learner that goes on begins to count at 0 and has what it had once it has loaded its checkpoint; a phase whose
        time was over when it was resumed may end before that.
        """
        return {
            agent: self._past[agent] if sample.phase in ("", "loading") else sample
            for agent, sample in self.learners.items()
        }

    def learner_silent(self, agent: str = "") -> float:
        """Seconds since an agent's learner was heard; NaN before the first time."""
        heard = self._heard[agent]
        return self._now() - heard if math.isfinite(heard) else math.nan

    def recent(self) -> Rates:
        """Rates over the last 20 counted episodes."""
        series = rolling(self.episodes)
        return series[-1] if series else rates([])

    def on_episode(self, message: Any) -> Episode | None:
        """Take an EpisodeSummary; returns the finished episode, None for an announcement."""
        if message.started:
            self.started_episodes += 1
            return None
        if self.complete:
            return None
        self._steps += int(message.steps)
        episode = Episode(
            phase=self.phase,
            wall=round(self.elapsed, 3),
            env_steps=self._steps,
            actor_id=message.actor_id,
            episode=int(message.episode),
            success=bool(message.success),
            truncated=bool(message.truncated),
            aborted=bool(message.aborted),
            reason=message.reason,
            steps=int(message.steps),
            intervened_steps=int(message.intervened_steps),
            interventions=int(message.interventions),
            duration=float(message.duration),
            policy_version=int(message.policy_version),
            seed=int(message.seed),
        )
        self._log.append(episode)
        if not episode.aborted:
            self.returns.append(float(message.episode_return))
        return episode

    def on_learner_status(self, message: Any, agent: str = "") -> None:
        """Take a LearnerStatus of an agent; one that does not learn in this run is not looked at."""
        if agent not in self.learners:
            return
        now = self._heard[agent] = self._now()
        self.learners[agent] = LearnerSample.from_message(message, round(self.elapsed, 3))
        if self._csv is not None and now - self._sampled[agent] >= self.sample_period:
            self._sampled[agent] = now
            _append_row(self._csv_of(agent), self.learners[agent])

    def _csv_of(self, agent: str) -> Path:
        assert self._csv is not None
        return self._csv.parent / agent / self._csv.name

    def on_intervention(self, message: Any) -> None:
        """Take an InterventionState."""
        self._ticks.append(self._now())
        self.driving = Driving(
            message.active, int(message.episode), int(message.step_index), float(message.input_norm)
        )

    def on_stopped(self, message: Any) -> None:
        """Take a Bool of the topic ``stopped``."""
        self.stopped = bool(message.data)


def _append_row(path: Path, sample: LearnerSample) -> None:
    names = [f.name for f in fields(LearnerSample)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _has_columns(path, names):  # a new run, or one that was begun by a version with fewer columns
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(_rows(path))
        temporary.replace(path)
    with path.open("a", newline="") as file:
        csv.DictWriter(file, names).writerow(asdict(sample))


def _has_columns(path: Path, names: Sequence[str]) -> bool:
    if not path.exists():
        return False
    with path.open(newline="") as file:
        return next(csv.reader(file), []) == list(names)


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def intervention_free(episodes: list[Episode]) -> int:
    """How many of the newest counted episodes in a row needed no intervention."""
    count = 0
    for episode in reversed(counted(episodes)):
        if episode.interventions:
            break
        count += 1
    return count
