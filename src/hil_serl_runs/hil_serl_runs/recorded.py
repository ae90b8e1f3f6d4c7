# SPDX-License-Identifier: Apache-2.0
"""Episodes as the bags have them. Messages may be missed, records on disk are not: bags decide."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from hil_serl_core.step import Source, Step
from hil_serl_ros.bag import read_steps
from hil_serl_runs.statistics import Episode, EpisodeLog


@dataclass
class _Count:
    steps: int = 0
    human: int = 0
    segments: int = 0
    start: float = 0.0
    last: Step | None = None

    def add(self, step: Step) -> None:
        # An intervention lasts until the policy drives again: a hand may pass through the device's centre.
        goes_on = self.last is not None and self.last.source in (Source.HUMAN, Source.SCRIPT)
        if self.last is None:
            self.start = step.stamp
        if step.action is not None:
            self.steps += 1
            self.human += step.source == Source.HUMAN
            self.segments += step.source == Source.HUMAN and not goes_on
        self.last = step


def episodes_of(steps: Iterable[Step], phase: str = "") -> list[Episode]:
    """Episodes of a stream of records, in order of appearance.

    What a bag does not say is left open: wall and env_steps are 0, seed is -1. An episode without a last
    record was cut off, and counts as aborted.
    """
    counts: dict[tuple[str, int], _Count] = {}
    for step in steps:
        counts.setdefault((step.actor_id, step.episode), _Count()).add(step)
    episodes = []
    for (actor_id, number), count in counts.items():
        last = count.last
        assert last is not None
        success = last.is_terminal and last.reward > 0
        truncated = last.is_last and not last.is_terminal
        reason = (
            "success"
            if success
            else "failure"
            if last.is_terminal
            else "time_limit"
            if truncated
            else "cut off"
        )
        episodes.append(
            Episode(
                phase=phase,
                wall=0.0,
                env_steps=0,
                actor_id=actor_id,
                episode=number,
                success=success,
                truncated=truncated,
                aborted=not last.is_last,
                reason=reason,
                steps=count.steps,
                intervened_steps=count.human,
                interventions=count.segments,
                duration=last.stamp - count.start,
                policy_version=last.policy_version,
                seed=-1,
            )
        )
    return episodes


def key(episode: Episode) -> tuple[str, int]:
    """What tells an episode from the others of a phase: who ran it, and its number there."""
    return episode.actor_id, episode.episode


def complete(
    log: EpisodeLog, bags: Path, phase: str, before: Collection[tuple[str, int]] = ()
) -> list[Episode]:
    """Add to a log what bags hold of a phase and nobody heard; returns it.

    Args:
        log: The episodes heard.
        bags: Folder of the phase's bags.
        phase: The phase.
        before: Keys of episodes in those bags that belong to another phase.
    """
    recorded = [episode for episode in recorded_episodes(bags, phase) if key(episode) not in before]
    return log.complete(phase, recorded)


def recorded_episodes(bags: Path, phase: str) -> list[Episode]:
    """Episodes of all bags below a folder; none if there is no such folder or no bag in it."""
    if not any(bags.rglob("*.mcap")):
        return []
    return episodes_of(read_steps(bags, keep_before_damage=True), phase)
