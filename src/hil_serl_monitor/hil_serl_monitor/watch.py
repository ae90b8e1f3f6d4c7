# SPDX-License-Identifier: Apache-2.0
"""A phase of a run as it goes on, for a view; the same for runs of ``hil-serl`` and of ``ros2 launch``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil_serl_monitor.state import RunMonitor
from hil_serl_monitor.view import ViewState
from hil_serl_ros.stop import REMEDY
from hil_serl_runs.logs import tail
from hil_serl_runs.statistics import StopRule, rolling

QUIET = 30.0  # s without a step after which the view says so


@dataclass(frozen=True)
class Phase:
    """One phase of a run.

    Attributes:
        name: Short name: folder of its logs, value of `phase` in episodes.csv.
        words: Name for people.
        episodes: Counted episodes that complete it, 0 for none.
        stop: Rule that ends it.
        number: Which phase of how many.
        only_solved: Count successful episodes only, as for demonstrations.
        tally: What the phase collects besides episodes, as the view shows it.
    """

    name: str
    words: str
    episodes: int = 0
    stop: StopRule = field(default_factory=lambda: StopRule(window=10**9))
    number: tuple[int, int] = (1, 1)
    only_solved: bool = False
    tally: Callable[[], Sequence[tuple[str, int, int]]] | None = None


class Watch:
    """Turns a monitor and the processes' logs into what the view shows.

    Args:
        monitor: What is known of the phase.
        phase: What it is.
        title: Task, seed, domain.
        has_learner: Something learns in it.
        logs: Folder of the processes' logs, which may say why nothing moves.
    """

    def __init__(
        self, monitor: RunMonitor, phase: Phase, title: str, has_learner: bool, logs: Path | None = None
    ) -> None:
        self._monitor, self._phase, self._title, self._has_learner = monitor, phase, title, has_learner
        self._logs = logs
        self._progress = (-1, time.monotonic())
        self._lines: tuple[float, Sequence[tuple[str, str]]] = (-math.inf, ())
        self._tally: Sequence[tuple[str, int, int]] = ()
        self._rolling: tuple[int, Sequence[float], Sequence[float]] = (-1, (), ())

    def state(self, logs: Mapping[str, Path], note: str = "") -> ViewState:
        """What there is to show now.

        Args:
            logs: Log file by process, whose newest lines are shown.
            note: One line that matters now; empty: what the run itself gives reason to say.
        """
        monitor, phase, now = self._monitor, self._phase, time.monotonic()
        episodes = monitor.episodes
        if now - self._lines[0] > 1.0:
            self._lines = (
                now,
                [(name, lines[-1]) for name, path in logs.items() if (lines := tail(path, 1))],
            )
            self._tally = phase.tally() if phase.tally is not None else ()
        if self._rolling[0] != len(episodes):
            series = rolling(episodes)
            self._rolling = (len(episodes), [r.success for r in series], [r.intervention for r in series])
        learner = monitor.learner  # its buffers grow when it reads a resumed run's records again
        progress = monitor.env_steps + monitor.driving.step_index + learner.updates
        progress += learner.demo_size + learner.rl_size
        if progress != self._progress[0]:
            self._progress = (progress, now)
        if monitor.stopped:
            note = note or f"the robot is stopped: {REMEDY}"
        elif not note and now - self._progress[1] > QUIET:
            where = f"; the logs say why: {self._logs}" if self._logs is not None else ""
            note = f"nothing has moved for {now - self._progress[1]:.0f} s{where}"
        return ViewState(
            title=self._title,
            phase=phase.words,
            number=phase.number,
            elapsed=monitor.elapsed,
            limit=phase.stop.max_seconds,
            episodes=monitor.done if phase.episodes else len(episodes),
            target=phase.episodes,
            env_steps=monitor.env_steps,
            recent=monitor.recent(),
            success_history=self._rolling[1],
            intervention_history=self._rolling[2],
            driving=monitor.driving,
            stopped=monitor.stopped,
            learners=monitor.learners if self._has_learner else {},
            autonomous="nobody, the hand is off" if phase.only_solved else "policy",
            lines=self._lines[1],
            note=note,
            tally=self._tally,
        )
