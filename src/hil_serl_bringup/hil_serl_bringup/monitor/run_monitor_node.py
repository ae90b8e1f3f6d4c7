# SPDX-License-Identifier: Apache-2.0
"""The monitor as a process of its own, for runs that `ros2 launch` starts (`hil-serl` has one inside).

task.launch.py starts one beside the actor, never two of a namespace. It publishes `run_status` (rates as plain numbers) and
the lines `monitor/advice` and `learner/training` of `/diagnostics`, each once a second of wall-clock time, and prints new
advice. What else a person may want to look at, monitor.launch.py starts:

    hil_serl_actor markers_node (task:=PATH)               markers and frames for RViz and Foxglove
    diagnostic_aggregator aggregator_node                  with config/diagnostics.yaml, for rqt_robot_monitor
    rviz2 -d LAYOUT -f BASE_FRAME, rqt --perspective-file LAYOUT,
    plotjuggler --layout LAYOUT                            with the layouts of `hil-serl layouts` for the task

Parameters:
    task: path of the task file.
    mode: record_demos, record_classifier, train or eval.
    algorithm: learning method, for the advice.
    person: a person can intervene; a script takes no advice.
    run_dir: run folder that gets episodes.csv and learner-train.csv as with `hil-serl train`; empty: nothing is kept.
    agents: agents that learn, such as "forward,backward"; empty: one without a name.

Do not give it simulated time: rates are of wall-clock time, and rqt_plot draws by the stamps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hil_serl_bringup.monitor.advice import Advisor, Announcer
from hil_serl_bringup.monitor.state import RunMonitor
from hil_serl_bringup.monitor.statistics import EpisodeLog
from hil_serl_bringup.monitor.topics import REPORT_PERIOD, MonitorTopics
from hil_serl_core.episode import Mode
from hil_serl_core.methods import METHODS, method_named
from hil_serl_core.spec import load_task
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters


class RunMonitorNode(Node):
    """Wires a `RunMonitor` and an `Advisor` to topics."""

    def __init__(self) -> None:
        super().__init__("monitor")
        parameters = Parameters(self)
        spec = load_task(parameters.path("task", must_exist=True))
        mode = parameters.string("mode", str(Mode.TRAIN), choices=[str(one) for one in Mode])
        algorithm = parameters.string("algorithm", "hil_serl", choices=list(METHODS))
        person = parameters.boolean("person", True)
        folder = parameters.string("run_dir", "")
        run_dir = Path(folder).expanduser() if folder else None
        if run_dir is not None and not run_dir.is_dir():
            raise ValueError(f"parameter 'run_dir' is {folder!r}, expected an existing folder")
        training = mode == str(Mode.TRAIN)
        self._task = spec.name
        self._topics = MonitorTopics(self)
        self._topics.monitor = self._monitor = RunMonitor(
            EpisodeLog(run_dir / "episodes.csv" if run_dir else None),
            mode,
            run_dir / "learner-train.csv" if run_dir and training else None,
            agents=[agent for agent in parameters.string("agents", "").split(",") if agent] or [""],
        )
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


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(RunMonitorNode))


if __name__ == "__main__":
    main()
