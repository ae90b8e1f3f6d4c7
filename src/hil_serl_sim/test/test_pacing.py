# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_core.action import ArmCommand
from hil_serl_sim.pacing import Lockstep, RealTime, make_pacing

TARGET = ArmCommand(pose=np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0]))


class CountingCell:
    """Counts what is asked of it."""

    def __init__(self):
        self.ticks, self.period_ticks, self.commands, self.resets = 0, 100, [], []

    def advance(self, commands, ticks=None):
        assert commands is None
        self.ticks += self.period_ticks if ticks is None else ticks

    def command(self, command, stamp, frame=None, arm=""):
        self.commands.append((arm, command, stamp, frame))

    def reset(self, seed=None, arm_only=False, goal=None):
        self.ticks += self.period_ticks
        self.resets.append((seed, goal))


def test_lockstep_moves_one_period_per_answer_and_only_for_the_present_tick():
    cell = CountingCell()
    pacing = Lockstep(cell)
    for step in range(5):
        stamp = pacing.stamp_ns
        assert not pacing.target("", TARGET, stamp + 1, "base")
        assert cell.ticks == 100 * step
        due = pacing.target("", TARGET, stamp, "base")
        assert due.arm
        assert due.scene
        assert not pacing.target("", TARGET, stamp, "base")  # the same answer once more
        assert cell.ticks == 100 * (step + 1)
    assert len(cell.commands) == 5


def test_lockstep_shows_again_after_silence_without_moving():
    cell = CountingCell()
    pacing = Lockstep(cell, patience=0.5)
    assert pacing.poll(0.0)
    pacing.shown(0.0)
    assert not pacing.poll(0.4)
    assert pacing.poll(0.6)
    assert cell.ticks == 0


def test_reset_comes_under_a_later_stamp():
    for pacing in (Lockstep(CountingCell()), RealTime(CountingCell(), 1.0)):
        before = pacing.stamp_ns
        assert pacing.reset(4, goal="backward")
        assert pacing.stamp_ns > before
        assert pacing._cell.resets == [(4, "backward")]


@given(factor=st.floats(0.2, 5.0), poll=st.floats(0.001, 0.01))
def test_real_time_keeps_pace(factor, poll):
    cell = CountingCell()
    pacing = RealTime(cell, factor)
    for wall in np.arange(0.0, 2.0, poll):
        while pacing.poll(wall):
            pass
    assert cell.ticks == pytest.approx(2000 * factor, abs=10 + 1000 * poll * factor + 1)


def test_real_time_slows_down_rather_than_jump():
    cell = CountingCell()
    pacing = RealTime(cell, 1.0)
    pacing.poll(0.0)
    slices = 0
    while pacing.poll(10.0):  # ten seconds were lost
        slices += 1
    assert slices <= 2
    assert cell.ticks <= 20


def test_real_time_shows_the_scene_less_often_than_the_arm():
    pacing = RealTime(CountingCell(), 1.0)
    shown = [pacing.poll(wall) for wall in np.arange(0.0, 1.0, 0.01)]
    assert sum(due.scene for due in shown) * 5 == pytest.approx(sum(due.arm for due in shown), abs=5)


@pytest.mark.parametrize("speed", ["fast", "0", "-2", "nan", "inf", ""])
def test_speed_is_checked(speed):
    with pytest.raises(ValueError, match="lockstep"):
        make_pacing(CountingCell(), speed)


def test_speed_by_name():
    assert isinstance(make_pacing(CountingCell(), "lockstep"), Lockstep)
    assert isinstance(make_pacing(CountingCell(), "1.5"), RealTime)


def test_lockstep_waits_for_every_arm_and_gripper_of_this_tick():
    cell = CountingCell()
    pacing = Lockstep(cell, ("left", "right"), grippers=True)
    for step in range(3):
        stamp = pacing.stamp_ns
        assert not pacing.gripper("left", 1.0)
        assert not pacing.target("left", TARGET, stamp, "left_base")
        assert not pacing.target("right", TARGET, stamp, "right_base")
        assert not pacing.target("right", TARGET, stamp, "right_base")
        assert cell.ticks == 100 * step
        assert pacing.gripper("right", 0.0)  # the last of the four, whichever it is
        assert cell.ticks == 100 * (step + 1)
    told = [(arm, command.gripper, frame) for arm, command, _, frame in cell.commands[-4:]]
    assert told == [
        ("left", None, "left_base"),
        ("left", 1.0, None),
        ("right", None, "right_base"),
        ("right", 0.0, None),
    ]


def test_lockstep_forgets_half_an_answer_at_a_reset():
    cell = CountingCell()
    pacing = Lockstep(cell, grippers=True)
    pacing.gripper("", 0.0)
    pacing.reset(1)
    assert not pacing.target("", TARGET, pacing.stamp_ns, "base")
    assert pacing.gripper("", 1.0)
    assert cell.commands[-1][1].gripper == 1.0


def test_real_time_hands_commands_on_at_once():
    cell = CountingCell()
    pacing = RealTime(cell, 1.0)
    assert not pacing.target("", TARGET, 5_000_000, "base")
    assert not pacing.gripper("", 0.5)
    assert [command.gripper for _, command, _, _ in cell.commands] == [None, 0.5]
