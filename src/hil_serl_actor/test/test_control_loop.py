# SPDX-License-Identifier: Apache-2.0
"""The control loop against a cell played by hand: what is recorded, commanded and reported, and in which order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hil_serl_actor.loop.ports import Phase
from hil_serl_core.episode import Mode, Outcome
from hil_serl_core.step import Source

HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])


def test_a_step_is_durable_before_it_is_sent_and_sent_before_it_is_executed(spec, played):
    cell = played(spec, lockstep=True)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    assert world.events[-4:] == [("log", 0), ("send", 0), ("target", 1.0), ("tick", False)]


def test_lockstep_ticks_once_per_stamp_and_only_when_complete(spec, played, arm_sample):
    cell = played(spec, lockstep=True, await_operator=True)
    cell.reset(1.0)
    cell.feed(1.0, cameras=("wrist_1",))
    assert not cell.loop.tick(1.0)
    assert "camera/wrist_2 (nothing received)" in cell.loop.waiting_for(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    assert not cell.loop.tick(1.0)
    cell.loop.inputs.put_arm(arm_sample(1.1))
    assert not cell.loop.tick(1.1)
    assert any("spacenav/joy" in text for text in cell.loop.waiting_for(1.1))


def test_lockstep_holds_simulated_time_until_the_weights_are_there(spec, played):
    cell = played(spec, lockstep=True)
    world, policy = cell.world, cell.policy
    cell.reset(1.0)
    cell.feed(1.0)
    policy.available = False
    assert not cell.loop.tick(1.0)
    assert world.targets == []
    policy.available = True
    assert cell.loop.tick(1.0)


def test_inputs_from_before_the_reset_are_not_used(spec, played):
    cell = played(spec, lockstep=True)
    world = cell.world
    cell.feed(0.9)
    cell.reset(1.0)
    assert not cell.loop.tick(0.9)
    cell.feed(0.9)
    assert not cell.loop.tick(0.9)
    assert not world.steps


def test_episode_to_success_then_next_reset_with_another_seed(spec, played):
    cell = played(spec, lockstep=True)
    world = cell.world
    cell.reset(1.0)
    for i in range(3):
        cell.feed(1.0 + 0.1 * i, success=i == 2)
        cell.loop.tick(1.0 + 0.1 * i)
    assert [s.is_last for s in world.steps] == [False, False, True]
    assert len(world.targets) == 2, "no target after the last record"
    assert world.results[0].success
    assert world.results[0].steps == 2
    assert cell.loop.transition == 2
    cell.loop.tick(1.3)
    assert len(set(world.seeds)) == 2


def test_seeds_of_initial_states_follow_seed_mode_and_episode(spec, played):
    def first_seed(seed, mode):
        cell = played(spec, mode=mode, seed=seed)
        cell.reset(1.0)
        return cell.world.seeds[0]

    assert first_seed(1, Mode.EVAL) == first_seed(1, Mode.EVAL)
    assert len({first_seed(1, Mode.EVAL), first_seed(2, Mode.EVAL), first_seed(1, Mode.TRAIN)}) == 3


def test_demonstrations_count_only_successes(spec, played):
    cell = played(spec, mode=Mode.RECORD_DEMOS, lockstep=True, episodes=1)
    world = cell.world
    now = 1.0
    for success_at in (99, 1):
        cell.reset(now)
        for i in range(spec.episode.max_steps + 1):
            cell.feed(now, success=i == success_at)
            cell.loop.tick(now)
            now += 0.1
            if world.results and cell.loop.phase is not Phase.RUNNING:
                break
    assert [r.success for r in world.results] == [False, True]
    assert cell.loop.phase is Phase.DONE


def test_full_disk_holds_the_record_and_loses_nothing_in_lockstep(spec, played):
    cell = played(spec, lockstep=True)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0)
    world.disk_full = True
    assert not cell.loop.tick(1.0)
    assert not cell.loop.tick(1.0)
    assert world.steps == []
    assert world.targets == []
    assert "no space left in /data" in world.warnings[0]
    world.disk_full = False
    assert cell.loop.tick(1.0)
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert [s.sequence for s in world.steps] == [0, 1]
    assert len(world.targets) == 2


def test_full_disk_in_real_time_never_executes_an_old_action(spec, played):
    cell = played(spec)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0)
    world.disk_full = True
    cell.loop.tick(1.0)
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert [np.allclose(pose, HOME) for _, pose in world.targets] == [True]
    world.disk_full = False
    cell.loop.tick(1.2)
    assert [s.sequence for s in world.steps] == [0]
    assert world.results[0].reason == "the disk was full"


def test_controller_fault_pauses_until_a_person_clears_it(spec, played, arm_sample):
    cell = played(spec)
    world = cell.world
    cell.reset(1.0)
    sample = arm_sample(1.0, fault=3, fault_text="stale target")
    cell.feed(1.0, arm=sample)
    assert not cell.loop.tick(1.0)
    assert cell.loop.phase is Phase.PAUSED
    assert "stale target" in world.warnings[-1]
    cell.loop.pause(False)
    assert cell.loop.phase is Phase.IDLE


def test_operators_labels_end_the_episode(spec, played):
    cell = played(spec)
    world = cell.world
    assert not cell.loop.label(Outcome(success=True))
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    assert cell.loop.label(Outcome(success=True))
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert world.results[0].success
    assert world.steps[-1].is_terminal
    cell.reset(2.0)
    cell.feed(2.0)
    cell.loop.tick(2.0)
    assert cell.loop.label(None)
    assert world.results[1].aborted
    assert world.results[1].reason == "discarded by the operator"


def test_intervention_is_executed_and_recorded(spec, played):
    cell = played(spec)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0, push=1.0)
    cell.loop.tick(1.0)
    step = world.steps[0]
    assert step.source is Source.HUMAN
    assert step.action[0] == 1.0
    assert step.policy_action[0] == 0.5
    assert np.allclose(world.targets[0][1][:3], HOME[:3] + np.array([0.01, 0, 0]))


@pytest.mark.parametrize("change", [{"frame_id": "world"}, {"tcp_twist": np.full(6, np.nan)}])
def test_bad_arm_state_is_reported_and_never_acted_on(spec, played, arm_sample, change):
    cell = played(spec)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0, arm=dataclasses.replace(arm_sample(1.0), **change))
    assert not cell.loop.tick(1.0)
    assert world.warnings
    assert not world.steps


def test_failed_reset_is_reported_and_tried_again(spec, played):
    cell = played(spec)
    world = cell.world
    cell.feed(0.0)
    cell.loop.tick(0.0)
    cell.loop.reset_finished(False, "gripper blocked", 0.0)
    assert "gripper blocked" in world.warnings[0]
    cell.loop.tick(0.1)
    assert len(world.seeds) == 2
