# SPDX-License-Identifier: Apache-2.0
"""What a monitor publishes, as messages and over the middleware."""

import json
import math
import os
import re
import signal
import subprocess
import sys

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor

from hil_serl_core.episode import Mode
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_monitor.advice import Advice
from hil_serl_monitor.reports import LEARNER_SILENCE, advice_status, learner_status, run_status
from hil_serl_monitor.state import RATE_SPAN, RunMonitor
from hil_serl_msgs.msg import EpisodeSummary, InterventionState, LearnerStatus, RunStatus
from hil_serl_ros import names, qos
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import EpisodeLog, read_episodes
from hil_serl_tasks.finder import find_task_file

LEVEL = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warn", DiagnosticStatus.ERROR: "error"}


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


def monitor(clock=None):
    return RunMonitor(EpisodeLog(None), "train", now=clock or Clock())


def ended(episode, success=True, **fields):
    values = {"steps": 10, "duration": 1.5, "episode_return": float(success), "reason": "", **fields}
    return EpisodeSummary(episode=episode, success=success, mode="train", actor_id="a", **values)


def stamp():
    return EpisodeSummary().header.stamp


def test_before_the_first_episode_there_are_no_rates():
    message = run_status(monitor(), "ram", [], stamp())
    assert message.episodes == 0
    for name in ("success_rate", "intervention_rate", "cycle_time", "mean_return", "episode_return"):
        assert math.isnan(getattr(message, name)), name


def test_rates_are_those_of_the_last_twenty_counted_episodes():
    subject = monitor()
    for number in range(5):
        subject.on_episode(ended(number, success=False, intervened_steps=10))
    for number in range(20):
        subject.on_episode(ended(5 + number, success=number % 2 == 0, intervened_steps=1))
    subject.on_episode(ended(25, aborted=True, episode_return=9.0))
    message = run_status(subject, "ram", [Advice("kind", "reason", "remedy")], stamp())
    assert (message.task, message.phase, message.window, message.episodes) == ("ram", "train", 20, 25)
    assert message.success_rate == message.mean_return == 0.5
    assert message.intervention_rate == pytest.approx(0.1)
    assert (message.cycle_time, message.episode_return, message.environment_steps) == (1.5, 0.0, 260)
    assert list(message.advice) == ["kind: reason. remedy."]


def test_the_control_rate_falls_to_zero_when_nobody_ticks():
    clock = Clock()
    subject = monitor(clock)
    for _ in range(200):
        clock.time += 0.1
        subject.on_intervention(InterventionState())
    assert subject.control_rate == pytest.approx(10.0, abs=0.3)
    clock.time += RATE_SPAN + 0.1
    assert subject.control_rate == 0.0


def level(status):
    return LEVEL[status.level]


def test_a_learner_that_is_gone_is_noticed_from_outside():
    clock = Clock()
    subject = monitor(clock)
    assert level(learner_status(subject)) == "warn"
    assert "not heard yet" in learner_status(subject).message
    report = LearnerStatus(
        phase="training", updates=7, owed_updates=21, skipped_updates=14, message="training"
    )
    subject.on_learner_status(report)
    status = learner_status(subject)
    assert (level(status), status.message) == ("ok", "training")
    values = {v.key: v.value for v in status.values}
    assert (values["updates"], values["updates_owed"], values["updates_skipped"]) == ("7", "21", "14")
    subject.on_learner_status(LearnerStatus(phase="training", message="refused step 7: NaN in state"))
    assert (level(learner_status(subject)), learner_status(subject).message) == (
        "warn",
        "refused step 7: NaN in state",
    )
    clock.time += LEARNER_SILENCE + 1
    assert level(learner_status(subject)) == "error"


def test_each_of_two_learners_has_a_line(tmp_path):
    subject = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", agents=("forward", "backward"))
    subject.on_learner_status(LearnerStatus(phase="training", message="training"), "forward")
    lines = [learner_status(subject, agent) for agent in subject.learners]
    assert [(line.name, level(line)) for line in lines] == [
        ("learner/forward/training", "ok"),
        ("learner/backward/training", "warn"),
    ]


def test_advice_warns():
    assert level(advice_status([])) == "ok"
    status = advice_status([Advice("kind", "reason", "remedy")])
    assert (level(status), status.message) == ("warn", "kind: reason. remedy.")


# ---------------------------------------------------------------------- the process


@pytest.fixture
def process(tmp_path):
    """The monitor as its own process, in a namespace that no other test uses."""
    running = []

    def start(*arguments):
        command = [sys.executable, "-m", "hil_serl_monitor.run_monitor_node", "--ros-args"]
        command += [part for argument in arguments for part in ("-p", argument)]
        command += ["-r", f"__ns:=/monitor_{os.getpid()}"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.communicate()


@pytest.fixture
def ros():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("peer", context=context, namespace=f"/monitor_{os.getpid()}")
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def until(condition, publish=lambda: None):
        def play():
            publish()
            executor.spin_once(timeout_sec=0.1)

        wait_for(condition, "the monitor", play)

    yield node, until
    node.destroy_node()
    context.try_shutdown()


def test_the_process_counts_reports_and_keeps_what_it_heard(process, ros, tmp_path):
    node, until = ros
    statuses, lines = [], {}
    node.create_subscription(RunStatus, names.RUN_STATUS, statuses.append, qos.RUN_STATUS)
    node.create_subscription(
        DiagnosticArray,
        names.DIAGNOSTICS,
        lambda message: lines.update({s.name: s for s in message.status}),
        qos.DIAGNOSTICS,
    )
    episodes = node.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
    learner = node.create_publisher(LearnerStatus, names.LEARNER_STATUS, qos.LEARNER_STATUS)
    child = process(f"task:='{find_task_file('ram_insertion')}'", f"run_dir:='{tmp_path}'")
    until(lambda: statuses and episodes.get_subscription_count() and learner.get_subscription_count())
    report = LearnerStatus(phase="training", message="training", updates=3)
    until(
        lambda: "learner/training" in lines and lines["learner/training"].message == "training",
        lambda: learner.publish(report),
    )
    for number in range(5):
        episodes.publish(ended(number, intervened_steps=9, interventions=1))
    until(lambda: statuses[-1].episodes == 5 and level(lines["monitor/advice"]) == "warn")
    assert statuses[-1].success_rate == 1.0
    assert statuses[-1].advice[0].startswith("long interventions: you carried 5 of the last 5")
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    assert len(read_episodes(tmp_path / "episodes.csv")) == 5
    assert (tmp_path / "learner-train.csv").exists()
    assert re.search(r"^train: \d+ s \| episodes 0 ", said), "progress from the start on"
    assert re.search(r"^train: \d+ s \| episodes 5 .* \| updates 3 .* \| over$", said, re.MULTILINE)


def run_of(path):
    return RunFolder.create(load_task(find_task_file("ram_insertion")), 0, "test", path=path)


@pytest.mark.parametrize(
    ("mode", "phase", "says"),
    [
        (Mode.RECORD_DEMOS, "record_demos", "1 demonstration, 10.0 steps each.\n"),
        (Mode.EVAL, "eval_2", "ram_insertion: 1 of 2 episodes solved, 50 % (95 %:"),
        (Mode.RECORD_CLASSIFIER, "record_classifier", "0 labelled steps: none.\n"),
    ],
)
def test_the_process_says_at_its_end_what_the_run_has_come_to(process, ros, tmp_path, mode, phase, says):
    """As the command of `hil-serl` does: of this evaluation, not of the one before it."""
    node, until = ros
    run = run_of(tmp_path)
    earlier = monitor_of(run, "eval_1")
    earlier.on_episode(ended(0))
    episodes = node.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
    words = "words:='Doing it'", f"mode:={mode}", f"phase:={phase}", "checkpoints:='/c/step_1'"
    child = process(f"task:='{run.task_file}'", f"run_dir:='{run.path}'", "episodes:=2", *words)
    until(episodes.get_subscription_count)
    for number, success in enumerate((True, False)):
        episodes.publish(ended(number, success))
    until(lambda: len([e for e in read_episodes(run.path / "episodes.csv") if e.phase == phase]) == 2)
    child.send_signal(signal.SIGINT)
    said, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, errors
    done = "1/2" if mode is Mode.RECORD_DEMOS else "2/2"
    assert re.search(rf"^Doing it: \d+ s \| episodes {done} .* \| over$", said, re.MULTILINE)
    assert says in said
    if mode is Mode.EVAL:
        found = json.loads((run.path / "eval_2.json").read_text())
        assert found["checkpoint"] == ["/c/step_1"]
        assert [agent["successes"] for agent in found["agents"]] == [1]


def monitor_of(run, phase):
    return RunMonitor(run.episode_log(), phase, now=Clock())


def test_the_process_refuses_what_it_cannot_use(process, tmp_path):
    child = process(f"task:='{find_task_file('ram_insertion')}'", f"run_dir:='{tmp_path}/none'")
    assert "error: parameter 'run_dir'" in child.communicate(timeout=PATIENCE)[1]
    assert child.returncode == 2
