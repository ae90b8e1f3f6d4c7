# SPDX-License-Identifier: Apache-2.0
"""Rates, the stop rule and the episode log against cases worked by hand."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_runs.statistics import Episode, EpisodeLog, StopRule, rates, read_episodes, rolling

BASE = Episode("train", 1.5, 10, "actor", 0, True, False, False, "success", 10, 0, 0, 1.0, 3, 7)


def episode(**fields) -> Episode:
    return dataclasses.replace(BASE, **fields)


def test_rates_by_hand():
    result = rates(
        [
            episode(steps=10, intervened_steps=0, duration=1.0),
            episode(steps=30, intervened_steps=10, duration=3.0),
            episode(steps=60, intervened_steps=0, duration=6.0, success=False, truncated=True),
            episode(steps=60, intervened_steps=60, duration=6.0, success=False, aborted=True),
        ]
    )
    assert (result.episodes, result.success) == (3, pytest.approx(2 / 3))
    assert result.intervention == pytest.approx(10 / 100)
    assert (result.cycle_time, result.cycle_steps) == (2.0, 20.0)


def test_nothing_to_average_is_nan_not_zero():
    assert math.isnan(rates([]).success)
    assert math.isnan(rates([episode(success=False)]).cycle_time)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 25))
def test_rolling_is_the_mean_of_the_last_window(successes, window):
    result = rolling([episode(success=success) for success in successes], window)
    for end, value in enumerate(result, start=1):
        last = successes[max(0, end - window) : end]
        assert value.success == pytest.approx(sum(last) / len(last))


class TestStopRule:
    rule = StopRule(window=30, success=0.97, interventions=0, min_steps=100, max_seconds=600)

    def test_needs_the_whole_window(self):
        assert self.rule.reason([episode()] * 29, 10, 1000) is None
        assert "100% success" in self.rule.reason([episode()] * 30, 10, 1000)

    def test_an_intervention_in_the_window_prevents_it(self):
        assert self.rule.reason([episode()] * 29 + [episode(interventions=1)], 10, 1000) is None
        assert self.rule.reason([episode(interventions=1)] + [episode()] * 30, 10, 1000)

    def test_one_failure_of_thirty_is_below_97_percent(self):
        assert self.rule.reason([episode()] * 29 + [episode(success=False)], 10, 1000) is None

    def test_aborted_episodes_do_not_count(self):
        assert self.rule.reason([episode()] * 29 + [episode(aborted=True, success=False)], 10, 1000) is None
        assert self.rule.reason([episode()] * 30 + [episode(aborted=True, success=False)], 10, 1000)

    def test_minimum_and_limits(self):
        assert self.rule.reason([episode()] * 30, 10, 99) is None
        assert "600 s" in self.rule.reason([], 600, 0)
        assert "step limit" in StopRule(max_steps=5).reason([], 0, 5)


def test_the_log_survives_a_restart_and_a_torn_line(tmp_path):
    path = tmp_path / "episodes.csv"
    log = EpisodeLog(path)
    first, second = episode(reason='a, "quoted" reason'), episode(phase="eval", success=False)
    log.append(first)
    log.append(second)
    with path.open("a") as file:
        file.write("train,1.0,12,act")
    again = EpisodeLog(path)
    assert again.episodes == [first, second] == read_episodes(path)
    assert again.of("eval") == [second]
    again.append(first)
    assert read_episodes(path) == [first, second, first]
