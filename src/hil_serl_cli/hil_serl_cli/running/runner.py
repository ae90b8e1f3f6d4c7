# SPDX-License-Identifier: Apache-2.0
"""Run one phase: start its graph, follow it, show it, and end it when its rule says so."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hil_serl_bringup.graph.build import GraphRequest, Operator, build_graph, learning_agents
from hil_serl_bringup.supervisor import Supervisor
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_monitor.advice import Advice, Advisor, Announcer
from hil_serl_monitor.node import MonitorNode
from hil_serl_monitor.state import RunMonitor
from hil_serl_monitor.topics import REPORT_PERIOD
from hil_serl_monitor.view import View
from hil_serl_monitor.watch import Phase, Watch
from hil_serl_runs.recorded import complete, key, recorded_episodes
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import LearnerSample, together
from hil_serl_teleop.keyboard import HELP

PERIOD = 0.2  # s between two looks at the children, the rule and the screen


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
        before = {key(e) for e in recorded_episodes(bags, "")} if request.mode is Mode.EVAL else set()
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
        watch = Watch(monitor, phase, self.title, bool(learning), self.folder.logs(phase.name))
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
            missed = complete(self.log, bags, phase.name, before)
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
        if time.monotonic() - self._last >= REPORT_PERIOD:
            self._last = time.monotonic()
            if self._advisor is not None:
                self._advisor.see(self._monitor.learner)
                self._advice = self._advisor.advice(self._monitor.episodes)
            for one in self._announcer.new(self._advice):
                self._session.view.say(f"Advice: {one.text}")
            self._session.node.report(self._task, self._advice)
        return self._advice
