# SPDX-License-Identifier: Apache-2.0
"""A camera or an arm goes silent in real time: who is told what, what moves, what is recorded, when it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from hil_serl_actor.loop.interruption import STEADY
from hil_serl_actor.loop.ports import Phase
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns

HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])
ELSEWHERE = np.array([0.45, 0.02, 0.2, 1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def interrupted(spec, played, arm_sample):
    """A cell whose second camera went silent at 1.0 s of an episode with one step; the time is 1.4 s."""
    cell = played(spec)
    cell.reset(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    cell.feed(1.4, cameras=("wrist_1",), arm=arm_sample(1.4, tcp_pose=ELSEWHERE))
    assert not cell.loop.tick(1.4)
    return cell


def go_on(cell, start, end, cameras=None):
    """Ticks at 10 Hz with these cameras; returns the steps made."""
    before = len(cell.world.steps)
    for now in np.arange(start, end, 0.1):
        cell.feed(now, cameras=cameras)
        cell.loop.tick(now)
    return cell.world.steps[before:]


def test_the_episode_ends_at_once_with_the_camera_named_and_the_arm_holds(interrupted):
    world = interrupted.world
    result = world.results[0]
    assert result.aborted
    assert result.reason == "lost camera/wrist_2 (0.40 s old, limit 0.25 s)"
    assert world.targets[-1][0] == 1.4
    assert np.allclose(world.targets[-1][1], ELSEWHERE), "where it is, not where it was going"
    assert any("paused: lost camera/wrist_2" in text for text in world.warnings)
    assert not any("wrist_1" in text for text in world.warnings)


def test_nothing_moves_while_it_is_away_and_people_see_what_is_missing(interrupted):
    resets = len(interrupted.world.resets)
    assert not go_on(interrupted, 1.5, 6.0, cameras=("wrist_1",))
    assert len(interrupted.world.resets) == resets
    assert all(
        np.allclose(pose, interrupted.world.targets[-1][1]) for _, pose in interrupted.world.targets[-30:]
    )
    assert [text.split(" (")[0] for text in interrupted.loop.waiting_for(6.0)] == ["camera/wrist_2"]


def test_it_goes_on_by_itself_with_a_reset_once_the_camera_stays(interrupted):
    world, resets = interrupted.world, len(interrupted.world.resets)
    go_on(interrupted, 1.5, 3.0, cameras=("wrist_1",))
    go_on(interrupted, 3.0, 3.0 + STEADY - 0.15)
    assert len(world.resets) == resets, "a loose cable comes and goes"
    go_on(interrupted, 3.0 + STEADY, 3.3 + STEADY)
    assert len(world.resets) == resets + 1
    assert interrupted.loop.phase is Phase.RESETTING
    interrupted.loop.reset_finished(True, "", 5.0)
    assert go_on(interrupted, 5.0, 5.3)
    assert "everything is back after: lost camera/wrist_2" in "\n".join(world.warnings)


def test_a_camera_that_flickers_starts_nothing(interrupted):
    resets = len(interrupted.world.resets)
    for start in np.arange(2.0, 8.0, 1.0):
        go_on(interrupted, start, start + 0.5)
        go_on(interrupted, start + 0.5, start + 1.0, cameras=("wrist_1",))
    assert len(interrupted.world.resets) == resets


def test_no_record_is_lost_and_no_transition_crosses_the_gap(interrupted):
    go_on(interrupted, 1.5, 4.0)
    interrupted.loop.reset_finished(True, "", 4.0)
    go_on(interrupted, 4.0, 4.3)
    steps = interrupted.world.steps
    assert [step.sequence for step in steps] == list(range(len(steps)))
    before, after = steps[0], steps[1]
    assert (before.episode, before.is_last, before.is_terminal) == (0, False, False)
    assert (after.episode, after.step_index, after.is_first) == (1, 0, True)
    assert after.stamp - before.stamp > 1.0


def test_a_lost_arm_is_not_commanded_blindly(spec, played):
    cell = played(spec)
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    commanded = len(cell.world.targets)
    for camera in spec.cameras:
        image = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
        cell.loop.inputs.put_image(camera.name, image_from_array(image, seconds_to_ns(1.4), camera.name))
    cell.loop.tick(1.4)
    assert cell.world.results[0].reason.startswith("lost arm_state (0.40 s old")
    cell.loop.tick(1.5)
    assert len(cell.world.targets) == commanded


@pytest.mark.parametrize("stopped", [True, False])
def test_an_arm_that_comes_back_elsewhere_is_held_there_and_not_pulled_back(
    spec, played, arm_sample, stopped
):
    """A person has guided it, or a joint reset has moved it, while its controller was inactive and silent."""
    cell = played(spec)
    cell.reset(1.0)
    go_on(cell, 1.0, 1.2)
    if stopped:
        cell.loop.stop("a test")
    else:
        cell.loop.pause(True)
    go_on(cell, 1.2, 1.4)
    assert np.allclose(cell.world.targets[-1][1], HOME)
    for now in (1.5, 1.6, 1.7, 1.8):
        cell.loop.tick(now)
    cell.loop.inputs.put_arm(arm_sample(5.0, tcp_pose=ELSEWHERE))
    cell.loop.tick(5.0)
    assert cell.world.targets[-1][0] == 5.0
    assert np.allclose(cell.world.targets[-1][1], ELSEWHERE)


def test_of_two_arms_the_one_that_is_there_is_held_on(handover, played, arm_sample):
    """The silence of the other one must not leave it to its watchdog, in the middle of its way."""
    cell = played(handover)
    cell.reset(1.0)
    go_on(cell, 1.0, 1.2)
    cell.loop.pause(True)
    for now in np.arange(1.3, 2.0, 0.1):
        cell.loop.inputs.put_arm(arm_sample(now, handover.arm("left").base_frame), "left")
        cell.loop.tick(now)
    assert list(cell.world.commands[-1]) == ["left"]
    assert cell.world.targets[-1][0] == pytest.approx(1.9)
    for name in ("left", "right"):
        frame = handover.arm(name).base_frame
        cell.loop.inputs.put_arm(arm_sample(2.0, frame, tcp_pose=ELSEWHERE), name)
    cell.loop.tick(2.0)
    held = cell.world.commands[-1]
    assert np.allclose(held["left"].pose, HOME)
    assert np.allclose(held["right"].pose, ELSEWHERE)


def test_an_arm_in_a_fault_is_held_where_it_is_when_that_ends_and_the_other_one_where_it_was(
    handover, played, arm_sample
):
    """Its controller ignores targets meanwhile, and people may have pushed it."""
    cell = played(handover)
    cell.reset(1.0)
    go_on(cell, 1.0, 1.2)
    cell.loop.pause(True)
    for now, fault in ((1.3, 3), (1.4, 3), (1.5, 0), (1.6, 0)):
        for name, state in (("left", fault), ("right", 0)):
            pose = HOME if now < 1.4 else ELSEWHERE
            frame = handover.arm(name).base_frame
            cell.loop.inputs.put_arm(arm_sample(now, frame, tcp_pose=pose, fault=state), name)
        cell.loop.tick(now)
    held = cell.world.commands[-1]
    assert np.allclose(held["left"].pose, ELSEWHERE)
    assert np.allclose(held["right"].pose, HOME)


def without_arm(cell, start, end):
    """Ticks at 10 Hz with every camera and no arm."""
    for now in np.arange(start, end, 0.1):
        for camera in cell.spec.cameras:
            image = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
            cell.loop.inputs.put_image(camera.name, image_from_array(image, seconds_to_ns(now), camera.name))
        cell.loop.tick(now)


@pytest.mark.parametrize("resetting", [False, True])
def test_an_arm_that_was_silent_for_long_waits_for_a_person(spec, played, resetting):
    """Who has released its emergency stop may stand beside it: it must not set off by itself."""
    cell = played(spec)
    if resetting:
        cell.feed(1.0)
        cell.loop.tick(1.0)
        cell.loop.reset_finished(False, "arm_state is 0.30 s old", 1.3)
    else:
        cell.reset(1.0)
        go_on(cell, 1.0, 1.3)
    without_arm(cell, 1.4, 3.0)
    assert cell.loop.phase is Phase.PAUSED
    told = next(text for text in cell.world.warnings if "no usable" in text)
    for part in ("arm_state", "hil-serl recover", "hil-serl unpause"):
        assert part in told
    resets = len(cell.world.resets)
    go_on(cell, 3.0, 6.0)
    assert len(cell.world.resets) == resets
    cell.loop.pause(False)
    go_on(cell, 6.0, 6.2 + STEADY)
    assert len(cell.world.resets) == resets + 1


def test_an_arm_that_is_not_there_yet_or_silent_while_the_cell_resets_it_is_waited_for(spec, played):
    cell = played(spec)
    without_arm(cell, 1.0, 3.0)
    assert cell.loop.phase is Phase.IDLE
    cell.reset(3.1)
    cell.play(3.1, 9)
    cell.feed(4.5)
    cell.loop.tick(4.5)
    assert cell.loop.phase is Phase.RESETTING
    without_arm(cell, 4.6, 8.0)
    cell.loop.reset_finished(True, "", 8.0)
    cell.loop.tick(8.0)
    assert cell.loop.phase is Phase.RUNNING
    assert go_on(cell, 8.1, 8.3)


def test_an_input_of_a_clock_that_runs_ahead_is_no_fresh_one(spec, played, arm_sample):
    """Its silence would go unnoticed for as long as that clock is ahead."""
    cell = played(spec)
    cell.feed(1.0, arm=arm_sample(61.0))
    cell.loop.tick(1.0)
    assert not cell.world.resets
    assert not cell.world.targets, "nor is such a pose held"
    problem = (
        "arm_state (stamped 60.00 s in the future, limit 0.25 s: synchronise the clocks of the machines)"
    )
    assert problem in cell.world.warnings[-1]


def test_a_camera_that_is_missing_from_the_start_keeps_the_arm_where_it_is(spec, played):
    cell = played(spec)
    go_on(cell, 1.0, 3.0, cameras=("wrist_1",))
    assert not cell.world.resets
    assert "waiting for camera/wrist_2 (nothing received)" in cell.world.warnings[-1]
    assert np.allclose(cell.world.targets[-1][1], HOME)


def test_a_camera_that_goes_silent_during_the_reset_delays_the_episode_and_the_arm_holds(spec, played):
    cell = played(spec)
    cell.reset(1.0)
    commanded = len(cell.world.targets)
    assert not go_on(cell, 1.1, 2.0, cameras=("wrist_1",))
    assert len(cell.world.targets) > commanded
    assert not cell.world.results
    assert [step.is_first for step in go_on(cell, 2.0, 2.25)] == [True, False, False]


def test_pictures_that_cannot_be_used_are_a_lost_camera_and_say_why(spec, played):
    cell = played(spec)
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    for now in (1.1, 1.2, 1.3, 1.4):
        cell.feed(now, cameras=("wrist_1",))
        small = image_from_array(np.zeros((10, 10, 3), np.uint8), seconds_to_ns(now), "wrist_2")
        cell.loop.inputs.put_image("wrist_2", small)
        cell.loop.tick(now)
    assert cell.world.results[0].reason.startswith("lost camera/wrist_2 (0.30 s old")
    assert any("delivers 10x10" in text for text in cell.world.warnings)
    assert cell.loop.inputs.cameras.health["wrist_2"].bad == 4


def test_a_stop_during_the_pause_stays_until_it_is_cleared(interrupted):
    interrupted.loop.stop("a test")
    assert not go_on(interrupted, 1.5, 4.0)
    assert interrupted.loop.phase is Phase.STOPPED
    resets = len(interrupted.world.resets)
    assert interrupted.loop.clear_stop() == ""
    go_on(interrupted, 4.0, 4.5 + STEADY)
    assert len(interrupted.world.resets) == resets + 1
