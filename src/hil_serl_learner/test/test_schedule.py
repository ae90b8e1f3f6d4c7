# SPDX-License-Identifier: Apache-2.0
"""Decay of the learning rate: when, to what, only once, and on all optimisers."""

from __future__ import annotations

from hil_serl_learner.schedule import LearningRateSchedule

DECAY = {"at_success": 0.7, "window": 10, "to": 3e-5}


def ends(toy, spec, outcomes):
    """Last records of episodes; reward as the outcome says."""
    for sequence, reward in enumerate(outcomes):
        yield toy.step(spec, sequence, is_last=True, is_terminal=reward > 0, reward=reward)


def test_falls_when_seven_of_the_last_ten_episodes_succeeded_and_stays(toy):
    spec = toy.spec(learning_rate_decay=DECAY)
    schedule = LearningRateSchedule(spec.learner)
    # Six early successes do not count once they have left the window.
    outcomes = [1.0] * 6 + [0.0] * 10 + [1.0] * 7 + [0.0] * 10
    changed = [schedule.add(step) for step in ends(toy, spec, outcomes)]
    assert [index for index, change in enumerate(changed) if change] == [22]
    assert schedule.rate == 3e-5


def test_a_share_that_a_float_cannot_hold_is_reached_all_the_same(toy):
    spec = toy.spec(learning_rate_decay={"at_success": 0.56, "window": 25, "to": 3e-5})
    schedule = LearningRateSchedule(spec.learner)
    changed = [schedule.add(step) for step in ends(toy, spec, [1.0] * 14 + [0.0] * 11)]
    assert changed == [False] * 24 + [True]  # 14 of 25, although 0.56 * 25 > 14


def test_a_short_history_is_no_success_rate(toy):
    spec = toy.spec(learning_rate_decay=DECAY)
    schedule = LearningRateSchedule(spec.learner)
    assert not any(schedule.add(step) for step in ends(toy, spec, [1.0] * 9))
    assert schedule.rate == spec.learner.learning_rate


def test_without_a_decay_nothing_changes(toy, spec):
    schedule = LearningRateSchedule(spec.learner)
    assert not any(schedule.add(step) for step in ends(toy, spec, [1.0] * 40))


def test_the_trainer_passes_it_to_every_optimiser(toy):
    spec = toy.spec(gripper=True, learning_rate_decay={**DECAY, "window": 2})
    trainer = toy.started(spec, demonstrations=1)
    rates = []
    for step in toy.episodes(spec, 3):
        trainer.consume(step)
        rates.append({adam.learning_rate for adam in trainer.algorithm.optimizers.values()})
    assert rates[16] == {3e-4}
    assert rates[17] == {3e-5}
    assert trainer.metrics["learning_rate"] == 3e-5
