# SPDX-License-Identifier: Apache-2.0
"""Operator that records classifier data: both classes, near misses, nothing that depends on the machine."""

import numpy as np

from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.cell import Cell
from hil_serl_sim.collector import Collector, Habits, Turn
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.rollout import Driver


def turns(seed: int, done: list[bool], habits: Habits | None = None) -> list[Turn]:
    collector = Collector(np.random.default_rng(seed), habits)
    return [collector.step(d) for d in done]


def test_success_is_kept_for_a_while_and_then_varied() -> None:
    for seed in range(5):
        sequence = turns(seed, [False] * 5 + [True] * 300)
        assert sequence[5] is Turn.STAY
        assert set(sequence[5:]) == {Turn.STAY, Turn.MISS, Turn.STRAY}


def test_lost_success_is_sought_again() -> None:
    sequence = turns(0, [True, True, False], Habits(done=(1.0, 0.0, 0.0)))
    assert sequence[1:] == [Turn.STAY, Turn.AIM]


def test_episodes_begin_in_every_way_and_end_up_aiming() -> None:
    starts = [turns(seed, [False] * 40) for seed in range(40)]
    assert {sequence[0] for sequence in starts} == {Turn.AIM, Turn.MISS, Turn.STRAY}
    assert all(Turn.AIM in sequence for sequence in starts)


def test_buttons_only_where_there_is_a_gripper() -> None:
    collector = Collector(np.random.default_rng(1), Habits(first=(0.0, 0.0, 1.0), press_chance=1.0))
    assert collector.step(False) is Turn.STRAY
    assert collector.device(None).buttons == (0, 0)
    pressed = {collector.device((2, 4)).buttons for _ in range(50)}
    assert pressed == {(0, 0, 1, 0, 0), (0, 0, 0, 0, 1)}


def test_recording_holds_success_and_near_misses(spec: TaskSpec) -> None:
    cell = Cell(spec)
    operator = ScriptedOperator(spec, cell.twin.guide(), seed=0)
    operator.mode = OperatorMode.COLLECT
    driver, arbiter = Driver(cell), InterventionArbiter(spec)
    solved, close = 0, 0
    for seed in range(5):
        driver.reset(seed)
        for _ in range(spec.episode.max_steps):
            view, truth = cell.view(), cell.truth()
            solved += truth.success
            tip = view.poses["card"][2] - view.poses["slot"][2]
            close += not truth.success and tip < 0.004
            devices = operator.act(view, cell.resets, truth.success or truth.failure)
            inputs = {arm: OperatorInput(view.stamp, d.axes) for arm, d in devices.items()}
            driver.step(arbiter.update(view.stamp, inputs).action)
    assert solved >= 20
    assert close >= 20
