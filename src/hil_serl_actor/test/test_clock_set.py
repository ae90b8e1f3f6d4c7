# SPDX-License-Identifier: Apache-2.0
"""The clock is set by a minute or an hour, back or forward, while the actor runs in real time; without ROS."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hil_serl_actor.loop.ports import Phase
from hil_serl_actor.senses.camera_health import CameraHealth

STEPS = [-3600.0, -60.0, 60.0, 3600.0]


class Clocked:
    """A cell in real time whose clock can be set; everything is stamped by it."""

    def __init__(self, cell, start=10_000.0):
        self.cell, self.now = cell, start
        cell.reset(start)

    def set(self, step):
        self.now += step
        self.cell.loop.clock_was_set(self.now, step)

    def play(self, seconds, feed=True, **inputs):
        before = len(self.cell.world.steps)
        for _ in range(round(10 * seconds)):
            self.now += 0.1
            if feed:
                self.cell.feed(self.now, **inputs)
            self.cell.loop.tick(self.now)
        return self.cell.world.steps[before:]


@pytest.fixture
def running(spec, played):
    """A cell with two steps of an episode."""
    clocked = Clocked(played(spec))
    assert len(clocked.play(0.2)) == 2
    return clocked


@pytest.mark.parametrize("step", STEPS)
def test_the_actor_goes_on_within_seconds_with_a_word_that_names_the_clock(running, step):
    world, resets = running.cell.world, len(running.cell.world.resets)
    running.set(step)
    assert world.results[0].aborted
    way = "back" if step < 0 else "forward"
    assert world.results[0].reason.startswith(f"the clock was set {way} by ")
    assert any(f"the clock was set {way}" in text for text in world.warnings)
    running.play(1.5)
    assert len(world.resets) == resets + 1
    assert not any("synchronise" in text or "old, limit" in text for text in world.warnings)
    running.cell.loop.reset_finished(True, "", running.now)
    assert len(running.play(0.3)) == 3


@pytest.mark.parametrize("step", STEPS)
def test_nothing_that_was_heard_before_is_used(running, step):
    running.set(step)
    inputs = running.cell.loop.inputs
    assert inputs.arms is None
    assert inputs.operators.take() == {}
    missing = inputs.missing(running.now)
    assert len(missing) == 1 + len(running.cell.spec.cameras) + 1
    assert all("nothing received" in text for text in missing)


@pytest.mark.parametrize("step", STEPS)
def test_a_device_that_was_pushed_does_not_drive_on(running, step):
    assert running.play(0.1, push=1.0)[0].source.name == "HUMAN"
    running.set(step)
    running.play(1.5)
    running.cell.loop.reset_finished(True, "", running.now)
    assert [s.source.name for s in running.play(0.2)] == ["POLICY"] * 2


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("phase", ["paused", "stopped"])
def test_a_pause_and_a_stop_stay_and_can_be_ended(running, step, phase):
    loop = running.cell.loop
    loop.pause(True) if phase == "paused" else loop.stop("a test")
    running.set(step)
    running.play(0.5)
    assert loop.phase is (Phase.PAUSED if phase == "paused" else Phase.STOPPED)
    sent, last = running.cell.world.targets, running.now
    assert sent[-1][0] == pytest.approx(last), "the hold goes on by the new clock"
    if phase == "paused":
        loop.pause(False)
    else:
        assert loop.clear_stop() == ""
    resets = len(running.cell.world.resets)
    running.play(1.5)
    assert len(running.cell.world.resets) == resets + 1


@pytest.mark.parametrize("step", STEPS)
def test_a_reset_that_was_under_way_ends_as_it_should(running, step):
    running.cell.loop.label(None)
    running.play(0.3)
    assert running.cell.loop.phase is Phase.RESETTING
    running.set(step)
    running.play(0.5)
    assert running.cell.loop.phase is Phase.RESETTING
    running.cell.loop.reset_finished(True, "", running.now)
    assert len(running.play(0.2)) == 2


@pytest.mark.parametrize("step", STEPS)
def test_an_episode_that_waits_for_its_first_observation_is_not_ended(spec, played, step):
    clocked = Clocked(played(spec))
    clocked.set(step)
    assert len(clocked.play(0.2)) == 2
    assert not clocked.cell.world.results


@pytest.mark.parametrize("step", STEPS)
def test_an_arm_that_falls_silent_with_the_clock_still_needs_a_person(running, step):
    running.set(step)
    running.play(0.5, feed=False)
    assert running.cell.loop.phase is not Phase.PAUSED, "not old because the clock jumped"
    running.play(1.0, feed=False)
    assert running.cell.loop.phase is Phase.PAUSED
    assert any("no usable arm_state" in text for text in running.cell.world.warnings)


@pytest.mark.parametrize("step", STEPS)
def test_a_record_that_the_disk_refused_is_kept(running, step):
    world = running.cell.world
    world.disk_full = True
    running.play(0.1)
    running.set(step)
    world.disk_full = False
    running.play(2.5)
    assert [s.sequence for s in world.steps] == [0, 1, 2]
    assert world.results[0].aborted


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_rates_of_cameras_are_taken_anew(step):
    health = CameraHealth("wrist")
    for k in range(30):
        health.arrived(1e6 + 0.033 * k, 0.01)
    health.clock_was_set()
    assert math.isnan(health.rate)
    for k in range(10):
        health.arrived(1e6 + step + 0.033 * k, 0.01)
    assert health.rate == pytest.approx(1 / 0.033)
    assert np.isclose(health.longest_gap, 0.033)
