# SPDX-License-Identifier: Apache-2.0
"""Ledger: whatever is lost, doubled or reordered on the way, each record is handed on once and in order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.observation import ArmSample, Observation
from hil_serl_core.record_check import beyond_range, defect
from hil_serl_learner import ingest
from hil_serl_learner.ingest import Ledger


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_record_once_and_in_order(toy, spec, data):
    actors = {
        name: [toy.step(spec, i, actor_id=name) for i in range(data.draw(st.integers(1, 8)))] for name in "ab"
    }
    everything = [step for steps in actors.values() for step in steps]
    sent = data.draw(st.lists(st.sampled_from(everything), max_size=40)) + everything
    order = data.draw(st.permutations(range(len(sent))))
    ledger, received = Ledger(spec), {"a": [], "b": []}
    for index in order:
        for step in ledger.offer(sent[index]):
            received[step.actor_id].append(step.sequence)
        for ack in ledger.acks():
            assert ack.acknowledged == len(received[ack.actor_id]) - 1
    for name, steps in actors.items():
        assert received[name] == list(range(len(steps)))
    acks = {ack.actor_id: ack for ack in ledger.acks()}
    assert sum(a.records + a.duplicates for a in acks.values()) == len(sent)
    assert sum(a.records for a in acks.values()) == len(everything)


def test_a_record_of_another_task_is_refused_and_not_acknowledged(toy, spec):
    ledger = Ledger(spec)
    assert ledger.offer(toy.step(spec, 0, spec_hash="0" * 16)) == []
    (ack,) = ledger.acks()
    assert (ack.acknowledged, ack.rejected, ack.records) == (-1, 1, 0)
    assert "same task file" in ledger.last_refusal


def _broken(toy, spec):
    good = toy.step(spec, 1)
    nan_state = {**good.state, "gripper": np.array([np.nan], np.float32)}
    small = {**good.frames, "left_eye": np.zeros((16, 16, 3), np.uint8)}
    return {
        "NaN": {"state": nan_state},
        "16, 16": {"frames": small},
        "'left_eye' is missing": {"frames": {"right_eye": good.frames["right_eye"]}},
        "'gripper' is missing": {"state": {"tcp_pose": good.state["tcp_pose"]}},
        "action": {"action": np.full(6, np.inf, np.float32)},
        "reward": {"reward": float("nan")},
    }


@pytest.mark.parametrize(
    "reason", ["NaN", "16, 16", "'left_eye' is missing", "'gripper' is missing", "action", "reward"]
)
def test_an_unusable_record_is_counted_skipped_and_explained(toy, spec, reason):
    ledger = Ledger(spec)
    ledger.offer(toy.step(spec, 0))
    bad = dataclasses.replace(toy.step(spec, 1), **_broken(toy, spec)[reason])
    assert ledger.offer(bad) == []
    assert [s.sequence for s in ledger.offer(toy.step(spec, 2))] == [2]
    (ack,) = ledger.acks()
    assert (ack.acknowledged, ack.records, ack.rejected) == (2, 2, 1)
    assert reason in ledger.last_refusal
    assert "record 1 of actor" in ledger.last_refusal


def test_a_reward_that_the_task_cannot_pay_is_refused_with_the_remedy(toy, spec):
    ledger = Ledger(spec)
    ledger.offer(toy.step(spec, 0, is_first=True))
    assert ledger.offer(toy.step(spec, 1, reward=-3.51)) == []
    assert (ledger.wrong_rewards, ledger.rejected, ledger.acks()[0].acknowledged) == (1, 1, 1)
    assert ledger.offer(dataclasses.replace(toy.step(spec, 2), reward=float("nan"))) == []
    assert ledger.wrong_rewards == 1, "NaN is damage, not another task's reward"
    assert "its reward is -3.51" in ledger.last_wrong_reward
    assert "--mend-rewards" in ledger.last_wrong_reward


@pytest.mark.parametrize("demonstration", [False, True])
def test_an_action_beyond_full_deflection_is_refused_with_its_number(toy, spec, demonstration):
    """Nobody can have executed it: cells clip what they are told."""
    action = toy.step(spec, 0).action.copy()
    action[3] = -1.7
    ledger = Ledger(spec)
    assert ledger.offer(toy.step(spec, 0, action=action), None if demonstration else "cell") == []
    (ack,) = ledger.acks()
    assert (ack.acknowledged, ack.records, ack.rejected) == (0, 0, 1), "acknowledged: it is not sent for ever"
    assert "component 3 of the action is -1.7, outside [-1, 1]" in ledger.last_refusal


@pytest.mark.parametrize(("value", "fits"), [(1.0, True), (-1.0, True), (1.0 + 5e-7, True), (1.00001, False)])
def test_rounding_is_let_pass(toy, value, fits):
    spec = toy.spec(gripper=True)
    for component in (0, spec.action_size - 1):
        action = np.zeros(spec.action_size, np.float32)
        action[component] = value
        assert (defect(toy.step(spec, 0, action=action), spec) is None) is fits


@given(st.data())
def test_whatever_the_actor_executes_is_taken(toy, data):
    """An operator's device at its stops and beyond, a policy at its limits: what the runner records fits."""
    spec = toy.spec(gripper=True)
    number = st.floats(-3.0, 3.0, width=32)
    raw = np.array(data.draw(st.lists(number, min_size=7, max_size=7)), np.float32)
    pose = np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0])
    arm = ArmSample(0.1, "base", pose, *(np.zeros(size) for size in (6, 6, 7, 7)), gripper=0.5)
    example = toy.step(spec, 0)
    runner = EpisodeRunner(spec, "actor", Mode.TRAIN)
    runner.begin()
    seen = Observation(0.1, example.frames, example.state, {"": arm})
    tick = runner.tick(seen, Outcome(), {}, lambda _: Proposal(raw, 0))
    assert defect(tick.step, spec) is None
    device = OperatorInput(0.1, raw[:6], (bool(raw[6] > 0), bool(raw[6] < 0)))
    action = InterventionArbiter(spec).update(0.1, {"": device}).action
    assert beyond_range(action) is None


def test_held_records_are_bounded(toy, spec, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_HELD", 2)
    ledger = Ledger(spec)
    for sequence in (1, 2, 3):
        assert ledger.offer(toy.step(spec, sequence)) == []
    assert [s.sequence for s in ledger.offer(toy.step(spec, 0))] == [0, 1, 2]
    assert [s.sequence for s in ledger.offer(toy.step(spec, 3))] == [3]


def test_bags_may_begin_later_than_zero(toy, spec):
    ledger = Ledger(spec)
    ledger.skip_to("actor", 5)
    assert [s.sequence for s in ledger.offer(toy.step(spec, 5))] == [5]
    assert ledger.acks()[0].records == 1


def test_an_actor_id_belongs_to_one_cell_and_another_cell_is_told_so(toy, spec):
    ledger = Ledger(spec)
    assert len(ledger.offer(toy.step(spec, 0), "cell_1")) == 1
    assert ledger.offer(toy.step(spec, 0), "cell_2") == []
    assert ledger.offer(toy.step(spec, 1), "cell_2") == []
    assert [step.sequence for step in ledger.offer(toy.step(spec, 1), "cell_1")] == [1]
    (own,), (other,) = ledger.acks("cell_1"), ledger.acks("cell_2")
    assert (own.acknowledged, own.duplicates, own.rejected) == (1, 0, 0)
    assert (other.actor_id, other.acknowledged, other.rejected) == ("actor", -1, 2)
    assert "'cell_1' and in 'cell_2'" in ledger.last_refusal
    assert ledger.rejected == 2


def test_each_cell_hears_of_its_own_actors_and_of_those_known_from_bags(toy, spec):
    ledger = Ledger(spec)
    ledger.offer(toy.step(spec, 0, actor_id="resumed"))
    ledger.offer(toy.step(spec, 0, actor_id="a"), "cell_1")
    ledger.offer(toy.step(spec, 0, actor_id="b"), "cell_2")
    assert [ack.actor_id for ack in ledger.acks("cell_1")] == ["a", "resumed"]
    assert [ack.actor_id for ack in ledger.acks("cell_2")] == ["b", "resumed"]
    ledger.offer(toy.step(spec, 1, actor_id="resumed"), "cell_2")
    assert [ack.actor_id for ack in ledger.acks("cell_1")] == ["a"]
    assert [ack.actor_id for ack in ledger.acks()] == ["a", "b", "resumed"]
