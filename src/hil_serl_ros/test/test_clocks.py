# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import rclpy
from rclpy.clock import ClockType
from rclpy.parameter import Parameter

from hil_serl_ros.clocks import ClockWatch, ThrottledLog, step_in_words, timer_clock


class Clocks:
    """A clock that can be set beside one that cannot; reading them may take a while."""

    def __init__(self, simulated=False):
        self.time, self.offset, self.delays = 50.0, 1000.0, []
        self.watch = ClockWatch(self._now, simulated=simulated, steady=self._steady)

    def _now(self):
        now = self.time + self.offset
        self.time += self.delays.pop(0) if self.delays else 0.0
        return now

    def _steady(self):
        return self.time

    def look(self, seconds=0.1):
        self.time += seconds
        return self.watch.look()


@pytest.mark.parametrize("step", [-3600.0, -60.0, -1.0, 1.0, 60.0, 3600.0])
def test_a_step_is_noticed_at_the_next_look_and_only_there(step):
    clocks = Clocks()
    assert [clocks.look()[1] for _ in range(5)] == [0.0] * 5
    clocks.offset += step
    now, noticed = clocks.look()
    assert noticed == pytest.approx(step)
    assert now == pytest.approx(clocks.time + clocks.offset)
    assert [clocks.look()[1] for _ in range(5)] == [0.0] * 5


def test_a_clock_that_is_slewed_was_not_set():
    clocks = Clocks()
    for _ in range(1000):
        clocks.offset += 0.0005
        assert clocks.look()[1] == 0.0


@pytest.mark.parametrize("pause", [0.66, 5.0])
def test_a_process_that_was_kept_waiting_between_two_looks_or_readings_sees_no_step(pause):
    clocks = Clocks()
    clocks.look()
    assert clocks.look(pause)[1] == 0.0
    clocks.delays = [pause]
    assert clocks.look()[1] == 0.0
    clocks.delays = [pause] * 9
    assert clocks.look()[1] == 0.0
    clocks.delays = []
    assert clocks.look()[1] == 0.0
    clocks.offset -= 60.0
    assert clocks.look()[1] == pytest.approx(-60.0), "though no reading succeeded meanwhile"


def test_simulated_time_may_go_at_any_pace_but_not_back():
    clocks = Clocks(simulated=True)
    clocks.look()
    for pace in (0.0, 5.0, 0.2):
        clocks.offset += pace
        assert clocks.look()[1] == 0.0
    clocks.offset -= 30.0
    assert clocks.look()[1] < -25.0


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (-3600.0, "the clock was set back by 60 min"),
        (-7205.0, "the clock was set back by 2.0 h"),
        (1.5, "the clock was set forward by 1.5 s"),
    ],
)
def test_words(step, words):
    assert step_in_words(step) == words


def test_a_text_is_said_again_after_a_while_whatever_its_digits():
    said, time = [], [10.0]
    log = ThrottledLog(said.append, period=5.0, steady=lambda: time[0])
    for text in ("0.26 s old", "0.27 s old", "another"):
        log(text)
    assert said == ["0.26 s old", "another"]
    time[0] += 5.0
    log("0.90 s old")
    assert said[-1] == "0.90 s old"


def test_timers_run_by_the_steady_clock_unless_time_is_simulated():
    rclpy.init()
    try:
        for simulated, kind in ((False, ClockType.STEADY_TIME), (True, ClockType.ROS_TIME)):
            override = [Parameter("use_sim_time", value=simulated)]
            node = rclpy.create_node("timers", parameter_overrides=override)
            assert timer_clock(node).clock_type == kind
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
