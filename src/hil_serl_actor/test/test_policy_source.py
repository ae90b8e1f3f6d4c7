# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_actor.loop.policy_source import PolicySource, VersionedWeights, WeightSchedule
from hil_serl_core.observation import Observation


def weights(trained_step):
    return VersionedWeights(version=trained_step // 50, trained_step=trained_step, tensors={})


class Loaded:
    """In place of a policy: what was loaded, and an action that tells."""

    def __init__(self):
        self.tensors = []

    def load(self, tensors):
        self.tensors.append(tensors)

    def act(self, frames, state, deterministic, generator):
        return self.tensors[-1]["action"]


def test_a_version_that_a_resumed_learner_gives_again_is_loaded_all_the_same():
    policy = Loaded()
    source = PolicySource(policy, WeightSchedule(None, 50), deterministic=True, seed=0)
    observation = Observation(0.0, {}, {}, {})
    for action in ("before the kill", "after the resume"):
        source.put(VersionedWeights(7, 350, {"action": action}))
        for transition in range(3):
            proposal = source.propose(observation, transition)
            assert (proposal.action, proposal.version) == (action, 7)
    assert len(policy.tensors) == 2, "the same weights are loaded once"
    assert source.version == 7


def test_free_running_takes_the_newest():
    schedule = WeightSchedule(None, 50)
    assert not schedule.ready(0)
    for step in (0, 50, 100):
        schedule.put(weights(step))
    assert schedule.ready(10_000)
    assert schedule.select(0).trained_step == 100


@pytest.mark.parametrize(
    ("transition", "trained"), [(0, 0), (49, 0), (99, 0), (100, 50), (149, 50), (150, 100)]
)
def test_lockstep_applies_exactly_the_scheduled_weights(transition, trained):
    schedule = WeightSchedule(50, 50)
    for step in (0, 50, 100, 150):
        schedule.put(weights(step))
    assert schedule.select(transition).trained_step == trained


def test_lockstep_waits_for_a_slow_learner():
    schedule = WeightSchedule(50, 50)
    schedule.put(weights(0))
    assert schedule.ready(99)
    assert not schedule.ready(100)
    schedule.put(weights(50))
    assert schedule.ready(100)


def test_after_a_restart_of_the_actor_newer_weights_will_do():
    schedule = WeightSchedule(50, 50)
    schedule.put(weights(500))
    assert schedule.ready(530)
    assert schedule.select(530).trained_step == 500


def test_after_a_restart_of_the_learner_from_a_checkpoint_the_schedule_holds():
    schedule = WeightSchedule(50, 50)
    for step in (400, 450, 500):
        schedule.put(weights(step))
    schedule.put(weights(400))
    assert not schedule.ready(520)
    schedule.put(weights(450))
    assert schedule.ready(520)
    assert schedule.select(520).trained_step == 450


@given(st.integers(1, 80), st.integers(1, 60), st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_choice_never_depends_on_how_fast_the_learner_is(lag, every, bursts):
    """Whenever the actor may act at all, it acts with the same weights."""
    schedule = WeightSchedule(lag, every)
    schedule.put(weights(0))
    learnt, k = 0, 0
    for burst in bursts:
        for _ in range(burst):
            if learnt + every <= k:  # the learner never knows more than what was acted
                learnt += every
                schedule.put(weights(learnt))
        while schedule.ready(k) and k < learnt + lag + every:
            assert schedule.select(k).trained_step == (0 if k < lag else (k - lag) // every * every)
            k += 1
