# SPDX-License-Identifier: Apache-2.0
"""The monitor as a process of its own, for runs that `ros2 launch` starts (`hil-serl` has one inside).

task.launch.py starts one beside the actor, never two of a namespace. It publishes `run_status` (rates as plain numbers) and
the lines `monitor/advice` and `learner/training` of `/diagnostics`, each once a second of wall-clock time. It prints a line
of progress every few seconds, new advice, and at its end what the run has come to. What else a person may want to look at,
monitor.launch.py starts:

    hil_serl_actor markers_node (task:=PATH)               markers and frames for RViz and Foxglove
    diagnostic_aggregator aggregator_node                  with config/diagnostics.yaml, for rqt_robot_monitor
    rviz2 -d LAYOUT -f BASE_FRAME, rqt --perspective-file LAYOUT,
    plotjuggler --layout LAYOUT                            with the layouts of `hil-serl layouts` for the task

Parameters:
    task: path of the task file.
    mode: record_demos, record_classifier, train or eval.
    phase: name of this phase in episodes.csv; empty: the mode.
    words: what the lines of progress call it; empty: the phase.
    episodes: how many complete it, besides earlier ones of the phase; 0 for no number.
    checkpoints: checkpoint folder of each agent that is evaluated, with commas between them.
    algorithm: learning method, for the advice.
    person: a person can intervene; a script takes no advice.
    run_dir: run folder that gets episodes.csv, learner-train.csv and, of an evaluation, PHASE.json as with `hil-serl`;
        empty: nothing is kept.
    agents: agents that learn, such as "forward,backward"; empty: one without a name.

Do not give it simulated time: rates are of wall-clock time, and rqt_plot draws by the stamps.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS, method_named
from hil_serl_core.spec import load_task
from hil_serl_monitor.advice import Advisor, Announcer
from hil_serl_monitor.state import RunMonitor
from hil_serl_monitor.topics import REPORT_PERIOD, MonitorTopics
from hil_serl_monitor.view import View, plain_line
from hil_serl_monitor.watch import Phase, Watch
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_runs.conclusion import conclusion
from hil_serl_runs.recorded import complete, key, recorded_episodes
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import EpisodeLog
from hil_serl_runs.terminal import plain_console


class RunMonitorNode(Node):
    """Wires a `RunMonitor`, an `Advisor` and a `View` to topics."""

    def __init__(self) -> None:
        super().__init__("monitor")
        parameters = Parameters(self)
        spec = load_task(parameters.path("task", must_exist=True))
        self._mode = Mode(parameters.string("mode", str(Mode.TRAIN), choices=[str(one) for one in Mode]))
        phase = parameters.string("phase", "") or str(self._mode)
        words = parameters.string("words", "") or phase
        algorithm = parameters.string("algorithm", "hil_serl", choices=list(METHODS))
        person = parameters.boolean("person", True)
        self._checkpoints = [Path(path) for path in _words(parameters.string("checkpoints", ""))]
        run_dir = _folder(parameters.string("run_dir", ""))
        training = self._mode is Mode.TRAIN
        self._task, self._phase, self._run_dir = spec.name, phase, run_dir
        self._log = EpisodeLog(run_dir / "episodes.csv" if run_dir else None)
        self._topics = MonitorTopics(self)
        solved = self._mode is Mode.RECORD_DEMOS
        past = sum(episode.success or not solved for episode in self._log.of(phase))
        wanted = parameters.integer("episodes", 0, minimum=0)
        target = past + wanted if wanted else 0
        self._topics.monitor = self._monitor = RunMonitor(
            self._log,
            phase,
            run_dir / "learner-train.csv" if run_dir and training else None,
            agents=_words(parameters.string("agents", "")) or [""],
            target=target,
            only_solved=solved,
        )
        # Evaluations of one run share a folder; those before this one are not part of it.
        self._bags = run_dir / "bags" / str(self._mode) if run_dir else None
        earlier = (
            recorded_episodes(self._bags, "") if self._bags is not None and self._mode is Mode.EVAL else []
        )
        self._before = {key(episode) for episode in earlier}
        self._watch = Watch(
            self._monitor,
            Phase(phase, words, target, only_solved=solved),
            spec.name,
            has_learner=training,
            logs=run_dir / "logs" / phase if run_dir else None,
        )
        self._view = View(plain_console(terminal=False))
        self._advisor = Advisor(spec, method_named(algorithm), person) if training else None
        self._announcer = Announcer()
        self.create_timer(REPORT_PERIOD, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _report(self) -> None:
        advice = []
        if self._advisor is not None:
            self._advisor.see(self._monitor.learner)
            advice = self._advisor.advice(self._monitor.episodes)
        for one in self._announcer.new(advice):
            self.get_logger().warning(f"Advice: {one.text}")
        self._topics.report(self._task, advice)
        self._view.update(replace(self._watch.state({}), advice=advice))

    def destroy_node(self) -> None:
        """Say what the run has come to, and end the node."""
        if hasattr(self, "_view"):
            self._conclude()
        super().destroy_node()

    def _conclude(self) -> None:
        # What a run that was told to end has done last may not have been heard. A training's bags are too large to ask.
        if self._bags is not None and self._mode is not Mode.TRAIN and not self._monitor.complete:
            complete(self._log, self._bags, self._phase, self._before)
        self._view.say(plain_line(self._watch.state({}, note="over")))
        if self._run_dir is not None and (self._run_dir / "run.json").exists():
            folder = RunFolder.open(self._run_dir)
            for line in conclusion(folder, self._log, self._mode, self._phase, self._checkpoints):
                self._view.say(line)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _folder(text: str) -> Path | None:
    """The run folder that a parameter names.

    Raises:
        ValueError: There is none.
    """
    path = Path(text).expanduser() if text else None
    if path is not None and not path.is_dir():
        raise ValueError(f"parameter 'run_dir' is {text!r}, expected an existing folder")
    return path


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(RunMonitorNode))


if __name__ == "__main__":
    main()
