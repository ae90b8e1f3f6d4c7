# SPDX-License-Identifier: Apache-2.0
"""The monitor against messages as the nodes send them."""

import csv
import math
from types import SimpleNamespace

from hil_serl_monitor.state import RunMonitor, intervention_free
from hil_serl_monitor.testing.messages import status, summary
from hil_serl_runs.statistics import EpisodeLog


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


def test_announcements_are_not_episodes(tmp_path):
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train")
    assert monitor.on_episode(summary(started=True)) is None
    assert monitor.episodes == []
    assert monitor.env_steps == 0


def test_an_episode_is_kept_with_time_and_steps(tmp_path):
    clock = Clock()
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", now=clock)
    clock.time += 7
    episode = monitor.on_episode(summary())
    assert (episode.wall, episode.env_steps, episode.phase) == (7.0, 12, "train")
    assert monitor.recent().intervention == 3 / 12


def test_a_resumed_phase_goes_on_where_it_was(tmp_path):
    path, clock = tmp_path / "e.csv", Clock()
    first = RunMonitor(EpisodeLog(path), "train", now=clock)
    clock.time += 60
    first.on_episode(summary())
    again = RunMonitor(EpisodeLog(path), "train", now=clock)
    clock.time += 5
    assert again.elapsed == 65
    assert again.env_steps == 12
    assert len(again.episodes) == 1
    assert RunMonitor(EpisodeLog(path), "eval", now=clock).elapsed == 0


def test_a_phase_is_complete_with_its_counted_episodes_and_takes_no_more(tmp_path):
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "eval", target=2)
    monitor.on_episode(summary(aborted=True))
    monitor.on_episode(summary())
    assert not monitor.complete
    monitor.on_episode(summary())
    assert monitor.complete
    assert monitor.on_episode(summary()) is None
    assert len(monitor.episodes) == 2


def test_learner_counters_are_kept_once_a_second(tmp_path):
    clock, path = Clock(), tmp_path / "learner.csv"
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", path, now=clock)
    for number in range(17):
        monitor.on_learner_status(status(updates=number))
        clock.time += 0.125
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["updates"]) for row in rows] == [0, 8, 16]
    assert monitor.learner.updates == 16
    assert monitor.env_steps == 40


def test_skipped_updates_are_kept_too_also_in_a_file_of_a_version_without_them(tmp_path):
    clock, path = Clock(), tmp_path / "learner.csv"
    path.write_text("wall,phase,updates,message\n1.0,training,7,fine\n2.0,trai")  # and torn by a crash
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", path, now=clock)
    for number in range(2):
        monitor.on_learner_status(status(updates=20 + number))
        clock.time += 2.0
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["updates"], row["owed_updates"], row["skipped_updates"]) for row in rows] == [
        ("7", "", ""),
        ("", "", ""),
        ("20", "120", "3"),
        ("21", "120", "3"),
    ]
    assert rows[0]["message"] == "fine"
    assert monitor.learner.done_share == 117 / 120


def test_two_agents_have_their_own_counters(tmp_path):
    monitor = RunMonitor(
        EpisodeLog(tmp_path / "e.csv"), "train", tmp_path / "learner.csv", agents=("forward", "backward")
    )
    monitor.on_learner_status(status(updates=3), "forward")
    assert math.isnan(monitor.learner_silent("backward"))
    monitor.on_learner_status(status(updates=5), "backward")
    monitor.on_learner_status(status(updates=9))  # another run's
    for agent, updates in (("forward", 3), ("backward", 5)):
        with (tmp_path / agent / "learner.csv").open() as file:
            assert [int(row["updates"]) for row in csv.DictReader(file)] == [updates]
    assert monitor.learner.updates == 8
    assert monitor.env_steps == 80
    assert monitor.learner.q_mean == 0.5


def test_counters_of_a_resumed_phase_are_those_it_had_until_its_learner_has_loaded(tmp_path):
    path, agents = tmp_path / "learner.csv", ("forward", "backward")
    first = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", path, agents=agents)
    first.on_learner_status(status(updates=300, environment_steps=150), "forward")
    first.on_learner_status(status(updates=80, environment_steps=40), "backward")
    with (tmp_path / "forward" / path.name).open("a") as file:
        file.write("9.0,training,17")  # torn by a crash
    again = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train", path, agents=agents)
    counted = {agent: (s.environment_steps, s.updates) for agent, s in again.counters.items()}
    assert counted == {"forward": (150, 300), "backward": (40, 80)}
    again.on_learner_status(status(phase="loading", updates=0), "forward")
    assert again.counters["forward"].updates == 300
    assert again.learners["forward"].updates == 0, "what the view shows is what the learner says"
    again.on_learner_status(status(updates=290), "forward")  # from its last checkpoint
    assert again.counters["forward"].updates == 290
    assert RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train").counters[""].updates == 0


def test_who_drives(tmp_path):
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train")
    monitor.on_intervention(SimpleNamespace(active=True, episode=3, step_index=7, input_norm=0.5))
    assert monitor.driving.active
    assert monitor.driving.step_index == 7


def test_intervention_free_run_length(tmp_path):
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train")
    for interventions in (0, 2, 0, 0, 0):
        monitor.on_episode(summary(interventions=interventions))
    assert intervention_free(monitor.episodes) == 3


def test_a_stop_is_known_until_it_is_cleared(tmp_path):
    monitor = RunMonitor(EpisodeLog(tmp_path / "e.csv"), "train")
    assert not monitor.stopped
    monitor.on_stopped(SimpleNamespace(data=True))
    assert monitor.stopped
    monitor.on_stopped(SimpleNamespace(data=False))
    assert not monitor.stopped
