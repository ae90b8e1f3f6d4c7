# SPDX-License-Identifier: Apache-2.0
"""Replay.

Transitions never cross what they must not, whatever the order of records and however small the store.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_serl_core.step import Source
from hil_serl_learner.algorithms import ALGORITHMS
from hil_serl_learner.index_list import IndexList
from hil_serl_learner.replay import Replay, ReplayFullError

# An episode of an actor: transitions made, how it ends (killed: without a last record), intervened.
EPISODE = st.tuples(st.integers(1, 6), st.sampled_from(["terminal", "timeout", "killed"]), st.booleans())


def _records(toy, spec, actor, episodes, first_tag):
    """Records of one actor.

    Each carries a unique tag in its gripper state, so that stored slots can be told apart.
    """
    sequence, tag = 0, first_tag
    for episode, (length, ending, intervened) in enumerate(episodes):
        for index in range(length + (ending != "killed")):
            last = index == length
            yield (
                toy.step(
                    spec,
                    sequence,
                    actor_id=actor,
                    episode=episode,
                    step_index=index,
                    is_first=index == 0,
                    is_last=last,
                    is_terminal=last and ending == "terminal",
                    reward=float(tag),
                    source=Source.HUMAN if intervened else Source.POLICY,
                ),
                tag,
            )
            sequence, tag = sequence + 1, tag + 1


@settings(max_examples=60, deadline=None)
@given(
    one=st.lists(EPISODE, min_size=1, max_size=5),
    two=st.lists(EPISODE, max_size=5),
    demos=st.lists(EPISODE, max_size=2),
    order=st.randoms(use_true_random=False),
    capacity=st.integers(30, 60),
)
def test_transitions_stay_within_an_episode_of_one_actor(toy, spec, one, two, demos, order, capacity):
    replay = Replay(spec, capacity)
    by_tag = {}
    for step, tag in _records(toy, spec, "demo", demos, 1):
        replay.add(step, demonstration=True)
        by_tag[tag] = step
    streams = [list(_records(toy, spec, "a", one, 1000)), list(_records(toy, spec, "b", two, 2000))]
    while any(streams):
        stream = order.choice([s for s in streams if s])
        step, tag = stream.pop(0)
        replay.add(step, demonstration=False)
        by_tag[tag] = step
        listed = replay.transitions()
        for start, end in listed:
            first, second = by_tag[int(replay.reward[start])], by_tag[int(replay.reward[end])]
            assert second.follows(first)
            np.testing.assert_array_equal(replay.action[start], first.action)
            np.testing.assert_array_equal(replay.frames["left_eye"][start], first.frames["left_eye"])
            np.testing.assert_array_equal(replay.frames["left_eye"][end], second.frames["left_eye"])
            assert replay.stop[end] == second.is_terminal
            human = first.source == Source.HUMAN or first.actor_id == "demo"
            assert (start in replay.demonstrations) == human
            assert (start in replay.online) == (first.actor_id != "demo")
        assert len(replay) <= capacity
    expected = sum(length if ending != "killed" else length - 1 for length, ending, _ in demos)
    kept = [s for s, _ in replay.transitions() if by_tag[int(replay.reward[s])].actor_id == "demo"]
    assert len(kept) == expected


def test_all_transitions_of_a_roomy_store_are_there(toy, spec):
    replay = Replay(spec)
    for step in toy.episodes(spec, 3, length=8):
        replay.add(step, demonstration=False)
    assert len(replay.online) == 24
    assert len(replay.demonstrations) == 0


def test_oldest_online_records_make_room_and_interventions_outlive_them(toy, spec):
    replay = Replay(spec, 30)
    for step in toy.episodes(spec, 1, length=4, actor_id="helped", source=Source.HUMAN):
        replay.add(step, demonstration=False)
    for step in toy.episodes(spec, 10, length=8, actor_id="alone"):
        replay.add(step, demonstration=False)
    assert len(replay.demonstrations) == 4
    assert len(replay) == 30
    assert len(replay.online) >= 4 + 20


def test_demonstrations_alone_filling_the_store_is_an_error(toy, spec):
    replay = Replay(spec, 20)
    records = list(toy.episodes(spec, 3, length=8))
    for step in records[:20]:
        replay.add(step, demonstration=True)
    with pytest.raises(ReplayFullError, match="replay_capacity"):
        replay.add(records[20], demonstration=True)


def test_timeout_bootstraps_unless_asked_otherwise(toy):
    for terminal in (False, True):
        spec = toy.spec(timeouts_are_terminal=terminal)
        replay = Replay(spec)
        replay.add(toy.step(spec, 0), demonstration=False)
        slot = replay.add(toy.step(spec, 1, is_last=True), demonstration=False)
        assert replay.stop[slot] == terminal


def test_a_gap_in_an_actors_records_makes_no_transition(toy, spec):
    replay = Replay(spec)
    for sequence in (0, 1, 3, 4):
        replay.add(toy.step(spec, sequence), demonstration=False)
    assert sorted(replay.transitions()) == [(0, 1), (2, 3)]


def test_batches_are_half_demonstrations_and_fall_back_to_what_is_there(toy, spec):
    replay = Replay(spec)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="record demonstrations"):
        replay.sample(rng, 16, 0.5)
    for step in toy.episodes(spec, 2, actor_id="demo"):
        replay.add(step, demonstration=True)
    assert all(s in replay.demonstrations for s in replay.sample(rng, 16, 0.5).start)
    for step in toy.episodes(spec, 2):
        replay.add(step, demonstration=False)
    start = replay.sample(rng, 16, 0.5).start
    assert sum(s in replay.demonstrations for s in start) == 8
    assert all(s in replay.demonstrations for s in replay.sample(rng, 16, 1.0).start)


def test_interventions_can_be_kept_out_of_the_rl_list(toy):
    spec = toy.spec(interventions_in_rl_buffer=False)
    replay = Replay(spec)
    for step in toy.episodes(spec, 1, source=Source.HUMAN):
        replay.add(step, demonstration=False)
    assert (len(replay.online), len(replay.demonstrations)) == (0, 8)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_index_list_is_a_set(operations):
    listed, model = IndexList(10), set()
    for insert, slot in operations:
        if insert and slot not in model:
            listed.add(slot)
            model.add(slot)
        elif not insert:
            listed.discard(slot)
            model.discard(slot)
        assert set(listed.slots().tolist()) == model
        assert len(listed) == len(model)
        assert all((s in listed) == (s in model) for s in range(10))


def test_gripper_commands_are_stored_as_one_discrete_action_and_penalties_on_arrival(toy):
    spec = toy.spec(gripper=True)
    replay = Replay(spec)
    command = np.concatenate([np.full(6, 0.5), [-1.0]]).astype(np.float32)
    start = replay.add(toy.step(spec, 0, action=command), demonstration=False)
    end = replay.add(
        toy.step(spec, 1, is_last=True, is_terminal=True, grasp_penalty=-0.02), demonstration=False
    )
    assert replay.action.shape[1] == 6
    np.testing.assert_array_equal(replay.action[start], command[:6])
    assert replay.grasp[start] == 0
    assert replay.grasp_penalty[end] == np.float32(-0.02)
    assert replay.grasp_penalty[start] == 0.0


@pytest.mark.parametrize("pauses", [True, False])
def test_pauses_of_demonstrations_are_kept_unless_actions_are_cloned(toy, spec, pauses):
    """The end of an intervention, at which nobody gave the zero, teaches no method as a demonstration."""
    replay = Replay(spec, pauses_are_demonstrations=pauses)
    still, wait = np.zeros(spec.action_size, np.float32), {2, 5}
    for step in toy.episodes(spec, 1, length=8, actor_id="demo", source=Source.HUMAN):
        if step.step_index in wait:
            step = dataclasses.replace(step, action=still)
        replay.add(step, demonstration=True)
    assert len(replay.demonstrations) == (8 if pauses else 6)
    assert len(replay.online) == 0
    for step in toy.episodes(spec, 1, length=8, actor_id="helped", source=Source.HUMAN):
        if step.step_index in wait:
            step = dataclasses.replace(step, action=still, source=Source.SCRIPT)
        replay.add(step, demonstration=False)
    assert len(replay.demonstrations) == (14 if pauses else 12)
    assert len(replay.online) == 8, "what was executed is experience"


def test_a_gripper_command_without_motion_is_no_pause(toy):
    spec = toy.spec(gripper=True)
    replay = Replay(spec, pauses_are_demonstrations=False)
    action = np.zeros(spec.action_size, np.float32)
    action[-1] = -1.0
    for step in toy.episodes(spec, 1, length=4, actor_id="demo", source=Source.HUMAN):
        replay.add(
            dataclasses.replace(step, action=action if step.action is not None else None), demonstration=True
        )
    assert len(replay.demonstrations) == 4


def test_only_methods_that_clone_leave_pauses_out():
    assert {name for name, kind in ALGORITHMS.items() if not kind.pauses_are_demonstrations} == {
        "bc",
        "hg_dagger",
    }
