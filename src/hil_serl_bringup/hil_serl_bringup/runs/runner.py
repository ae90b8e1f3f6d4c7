# SPDX-License-Identifier: Apache-2.0
"""Run one phase: start its graph, follow it, show it, and end it when its rule says so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil_serl_actor.loop.stop_latch import REMEDY
from hil_serl_actor.teleop.keyboard import HELP
from hil_serl_bringup.graph.build import GraphRequest, Operator, build_graph, learning_agents
from hil_serl_bringup.monitor.advice import Advice, Advisor, Announcer
from hil_serl_bringup.monitor.node import MonitorNode
from hil_serl_bringup.monitor.state import RunMonitor
from hil_serl_bringup.monitor.statistics import Episode, LearnerSample, StopRule, rolling, together
from hil_serl_bringup.monitor.topics import REPORT_PERIOD
from hil_serl_bringup.monitor.view import View, ViewState
from hil_serl_bringup.runs.recorded import recorded_episodes
from hil_serl_bringup.runs.run_folder import RunFolder
from hil_serl_bringup.runs.supervisor import Supervisor, tail
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named

PERIOD = 0.2  # s between two looks at the children, the rule and the screen
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


@dataclass(frozen=True)
class Outcome:
    """How a phase ended.

    Attributes:
        reason: Why.
        seconds: Its wall-clock duration over all parts of a resumed run.
        env_steps: Steps.
        learner: The learner's last counters; of two agents those of both together.
        peak_memory: Process -> largest resident memory [bytes].
        learners: The same of each agent, by its name; empty for a phase without a learner.
    """

    reason: str
    seconds: float
    env_steps: int
    learner: LearnerSample
    peak_memory: Mapping[str, int] = field(default_factory=dict)
    learners: Mapping[str, LearnerSample] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What a run folder keeps of a training; `agents`: transitions and updates of each agent."""
        return {
            "seconds": self.seconds,
            "reason": self.reason,
            "env_steps": self.env_steps,
            "updates": self.learner.updates,
            "agents": [
                {"agent": agent, "transitions": sample.environment_steps, "updates": sample.updates}
                for agent, sample in self.learners.items()
            ],
        }


class Session:
    """What the phases of one command share: the run folder, the node that listens, and the screen."""

    def __init__(self, folder: RunFolder, node: MonitorNode, view: View, title: str) -> None:
        self.folder, self.node, self.view, self.title = folder, node, view, title
        self.log = folder.episode_log()
        self.no_learner = LearnerSample()

    def run(self, request: GraphRequest, phase: Phase) -> Outcome:
        """Run a phase to its end.

        Args:
            request: Its graph.
            phase: What it is, and when it is over.

        Returns:
            How it ended.

        Raises:
            ProcessFailure: A process failed.
            ExecutableNotFound: A program is missing.
            KeyboardInterrupt: Ctrl-C; every child has ended.
        """
        processes = build_graph(request)
        bags = request.run_dir / "bags" / str(request.mode)
        # Evaluations of one run share a folder; those before this one are not part of it.
        before = {_key(e) for e in recorded_episodes(bags, "")} if request.mode is Mode.EVAL else set()
        learning = learning_agents(request)
        csv = self.folder.path / f"learner-{phase.name}.csv" if learning else None
        monitor = RunMonitor(
            self.log,
            phase.name,
            csv,
            agents=learning or ("",),
            target=phase.episodes,
            only_solved=phase.only_solved,
        )
        self.node.monitor = monitor
        watch = _Watch(monitor, phase, self.title, bool(learning))
        counsel = _Counsel(self, monitor, request)
        if request.operator is Operator.KEYBOARD:
            self.view.say(f"Keyboard: {HELP}")
        try:
            with Supervisor(processes, self.folder.logs(phase.name)) as supervisor:
                reason: str | None = None
                peak: dict[str, int] = {}
                while reason is None:
                    self.node.spin(PERIOD)
                    peak |= supervisor.peak_memory()
                    self.view.update(replace(watch.state(supervisor.logs), advice=counsel.look()))
                    reason = self._reason(supervisor, monitor, phase)
                self.view.update(
                    watch.state(supervisor.logs, note=f"{phase.words}: over ({reason}); closing down")
                )
            self.node.spin(PERIOD)
        finally:
            self.node.monitor = None
        if request.actor:
            recorded = [e for e in recorded_episodes(bags, phase.name) if _key(e) not in before]
            missed = self.log.complete(phase.name, recorded)
            if missed:
                text = f"{len(missed)} episodes were recorded before this tool was connected; they count."
                self.view.say(text)
        counters = monitor.counters
        known = counters if learning else {}
        return Outcome(reason, monitor.elapsed, monitor.env_steps, together(counters), peak, known)

    def _reason(self, supervisor: Supervisor, monitor: RunMonitor, phase: Phase) -> str | None:
        finished = supervisor.poll()
        if finished is not None:
            self.node.spin(2 * PERIOD)  # its last messages may still be on the way
            if phase.episodes and not monitor.complete:
                return f"{finished.name} ended after {monitor.done} of {phase.episodes} episodes"
            return f"{finished.name} finished"
        if monitor.complete:
            return f"{phase.episodes} episodes"
        return phase.stop.reason(monitor.episodes, monitor.elapsed, monitor.env_steps)


def _key(episode: Episode) -> tuple[str, int]:
    return episode.actor_id, episode.episode


class _Counsel:
    """Rates, published; advice to the operator of a training: said once, published, and handed to the view."""

    def __init__(self, session: Session, monitor: RunMonitor, request: GraphRequest) -> None:
        self._session, self._monitor = session, monitor
        person = request.operator not in (Operator.SCRIPTED, Operator.NONE)
        task = session.folder.task()
        self._task = task.name
        self._advisor = (
            Advisor(task, method_named(request.algorithm), person) if request.mode is Mode.TRAIN else None
        )
        self._announcer = Announcer()
        self._last = -math.inf
        self._advice: Sequence[Advice] = ()

    def look(self) -> Sequence[Advice]:
        """The advice now."""
        if self._advisor is not None:
            self._advisor.see(self._monitor.learner)
        if time.monotonic() - self._last >= REPORT_PERIOD:
            self._last = time.monotonic()
            if self._advisor is not None:
                self._advice = self._advisor.advice(self._monitor.episodes)
            for one in self._announcer.new(self._advice):
                self._session.view.say(f"Advice: {one.text}")
            self._session.node.report(self._task, self._advice)
        return self._advice


class _Watch:
    """Turns a monitor and the logs into what the view shows."""

    def __init__(self, monitor: RunMonitor, phase: Phase, title: str, has_learner: bool) -> None:
        self._monitor, self._phase, self._title, self._has_learner = monitor, phase, title, has_learner
        self._progress = (-1, time.monotonic())
        self._lines: tuple[float, Sequence[tuple[str, str]]] = (-math.inf, ())
        self._tally: Sequence[tuple[str, int, int]] = ()
        self._rolling: tuple[int, Sequence[float], Sequence[float]] = (-1, (), ())

    def state(self, logs: dict[str, Path], note: str = "") -> ViewState:
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
            folder = next(iter(logs.values())).parent
            note = f"nothing has moved for {now - self._progress[1]:.0f} s; the logs say why: {folder}"
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
