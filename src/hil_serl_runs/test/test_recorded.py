# SPDX-License-Identifier: Apache-2.0
"""Episodes read back from bags, and how they complete what was heard."""

import dataclasses

import pytest

from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter
from hil_serl_ros.conversions import step_to_message
from hil_serl_runs.recorded import episodes_of, recorded_episodes
from hil_serl_runs.statistics import EpisodeLog, read_episodes
from hil_serl_runs.testing.records import H, P, S, records


def test_steps_interventions_and_ends_by_hand():
    steps = [
        *records(0, [P, H, H, P, H], success=True),
        *records(1, [P, P]),
        *records(2, [P, P, P], cut=True),
    ]
    won, timed_out, cut = episodes_of(steps, "train")
    assert (won.steps, won.intervened_steps, won.interventions) == (5, 3, 2)
    assert (won.success, won.reason, won.duration) == (True, "success", pytest.approx(0.5))
    assert (timed_out.success, timed_out.truncated, timed_out.reason) == (False, True, "time_limit")
    assert (cut.aborted, cut.steps, cut.reason) == (True, 3, "cut off")


def test_the_still_arm_after_a_release_is_neither_a_persons_step_nor_the_end_of_their_intervention():
    (episode,) = episodes_of(records(0, [P, H, S, H, H, S, P, H, S], success=True), "train")
    assert (episode.steps, episode.intervened_steps, episode.interventions) == (9, 4, 2)


def test_a_bag_is_read_and_no_bag_is_no_episode(tmp_path):
    assert recorded_episodes(tmp_path / "none", "eval") == []
    with BagWriter(tmp_path / "eval" / "000") as bag:
        bag.add_topic("/step", StepMessage, qos.STEP)
        for step in records(0, [P, P], success=True):
            bag.write("/step", step_to_message(step), round(step.stamp * 1e9), step.sequence)
    (episode,) = recorded_episodes(tmp_path / "eval", "eval")
    assert (episode.phase, episode.steps, episode.success) == ("eval", 2, True)


def test_missed_episodes_are_added_in_their_place_and_heard_ones_stay(tmp_path):
    log = EpisodeLog(tmp_path / "episodes.csv")
    recorded = episodes_of([s for n in range(4) for s in records(n, [P] * 10, success=True)], "train")
    other = dataclasses.replace(recorded[0], phase="record_demos")
    log.append(other)
    for number, wall in ((1, 5.0), (3, 9.0)):
        log.append(dataclasses.replace(recorded[number], wall=wall, seed=40 + number, interventions=7))
    added = log.complete("train", recorded)
    assert [e.episode for e in added] == [0, 2]
    train = log.of("train")
    assert [e.episode for e in train] == [0, 1, 2, 3]
    assert [e.env_steps for e in train] == [10, 20, 30, 40]
    assert [e.wall for e in train] == [0.0, 5.0, 5.0, 9.0]
    assert [e.seed for e in train] == [-1, 41, -1, 43]
    assert train[1].interventions == 7
    assert log.of("record_demos") == [other]
    assert read_episodes(tmp_path / "episodes.csv") == log.episodes
    assert log.complete("train", recorded) == []
