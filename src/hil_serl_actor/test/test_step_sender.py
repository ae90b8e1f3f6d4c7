# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_serl_actor.sending.step_sender import DeliveryConflict, StepSender
from hil_serl_core.step import Source, Step


def step(sequence: int) -> Step:
    return Step(
        stamp=float(sequence),
        actor_id="actor",
        sequence=sequence,
        episode=0,
        step_index=sequence,
        frames={},
        state={},
        tcp_poses=np.array([[0, 0, 0, 0, 0, 0, 1.0]]),
        action=np.zeros(6, np.float32),
        policy_action=None,
        source=Source.POLICY,
        reward=0.0,
        grasp_penalty=0.0,
        is_first=sequence == 0,
        is_last=False,
        is_terminal=False,
        policy_version=0,
        spec_hash="spec",
    )


class ListLog:
    """A log that outlives its process, and fails when told to."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.full = False

    @property
    def next_sequence(self) -> int:
        return len(self.steps)

    def append(self, new: Step) -> None:
        if self.full:
            raise OSError("disk full")
        assert new.sequence == self.next_sequence
        self.steps.append(new)

    def iter_from(self, sequence: int) -> Iterator[Step]:
        yield from self.steps[sequence:]


def sequences(steps: list[Step]) -> list[int]:
    return [item.sequence for item in steps]


def filled(count: int, **options: float) -> tuple[ListLog, StepSender]:
    log = ListLog()
    sender = StepSender(log, **options)
    for sequence in range(count):
        sender.append(step(sequence))
    return log, sender


def test_each_step_is_due_once_while_all_goes_well() -> None:
    _, sender = filled(0)
    for sequence in range(5):
        sender.append(step(sequence))
        assert sequences(sender.due(0.1 * sequence)) == [sequence]
        assert sender.due(0.1 * sequence) == []
        sender.on_ack("run", sequence, 0.1 * sequence)
    assert sender.unacknowledged == 0
    assert sender.resent == 0


def test_step_that_is_not_logged_is_not_sent_and_can_be_tried_again() -> None:
    log, sender = filled(1)
    sender.due(0.0)
    log.full = True
    with pytest.raises(OSError, match="full"):
        sender.append(step(1))
    assert sender.due(0.1) == []
    log.full = False
    sender.append(step(1))
    assert sequences(sender.due(0.2)) == [1]


def test_without_progress_it_goes_back_to_the_first_missing_step() -> None:
    _, sender = filled(4, timeout=2.0)
    sender.on_ack("run", -1, 0.0)
    assert sequences(sender.due(0.0)) == [0, 1, 2, 3]
    sender.on_ack("run", 1, 1.0)
    sender.on_ack("run", 1, 2.9)
    assert sender.due(2.9) == []
    sender.on_ack("run", 1, 3.0)
    assert sequences(sender.due(3.0)) == [2, 3]


def test_repetitions_in_vain_become_rarer_and_progress_ends_that() -> None:
    _, sender = filled(1, timeout=1.0, max_timeout=4.0)
    times = []
    for tick in range(200):
        now = 0.1 * tick
        sender.on_ack("run", -1, now)
        if sender.due(now):
            times.append(round(now, 1))
    gaps = np.diff(times).round(1).tolist()
    assert gaps[:3] == [1.0, 2.0, 4.0]
    assert set(gaps[2:]) == {4.0}
    sender.on_ack("run", 0, 20.0)
    sender.append(step(1))
    assert sequences(sender.due(20.0)) == [1]
    sender.on_ack("run", 0, 21.0)
    assert sequences(sender.due(21.0)) == [1]


def test_silent_learner_is_not_flooded_with_repetitions() -> None:
    _, sender = filled(3)
    sender.on_ack("run", -1, 0.0)
    sent = sequences(sender.due(0.0))
    for tick in range(1, 1000):
        sent += sequences(sender.due(float(tick)))
    assert sent == [0, 1, 2]


def test_new_learner_gets_what_it_lacks_at_once() -> None:
    _, sender = filled(5)
    sender.on_ack("first", -1, 0.0)
    sender.due(0.0)
    sender.on_ack("first", 4, 0.1)
    sender.on_ack("second", 1, 0.2)
    assert sequences(sender.due(0.2)) == [2, 3, 4]


def test_old_report_of_the_same_learner_takes_nothing_back() -> None:
    _, sender = filled(3)
    sender.on_ack("run", -1, 0.0)
    sender.due(0.0)
    sender.on_ack("run", 2, 0.1)
    sender.on_ack("run", 0, 0.2)
    assert sender.acknowledged == 2
    assert sender.due(0.2) == []


def test_what_was_only_late_is_not_sent_again() -> None:
    _, sender = filled(6, burst=2, timeout=1.0)
    sender.on_ack("run", -1, 0.0)
    for _ in range(3):
        sender.due(0.0)
    sender.on_ack("run", -1, 1.0)
    assert sequences(sender.due(1.0)) == [0, 1]
    sender.on_ack("run", 4, 1.1)
    assert sequences(sender.due(1.1)) == [5]


def test_present_learner_is_at_most_a_window_behind() -> None:
    _, sender = filled(30, window=10, burst=100)
    sender.on_ack("run", -1, 0.0)
    assert sequences(sender.due(0.0)) == list(range(10))
    assert sender.due(0.1) == []
    sender.on_ack("run", 4, 0.2)
    assert sequences(sender.due(0.2)) == list(range(10, 15))


def test_rate_is_bounded() -> None:
    _, sender = filled(30, burst=7)
    sender.on_ack("run", -1, 0.0)
    assert [len(sender.due(0.0)) for _ in range(5)] == [7, 7, 7, 7, 2]


def test_without_any_learner_every_step_is_published_once() -> None:
    _, sender = filled(0, window=10)
    sent = []
    for sequence in range(50):
        sender.append(step(sequence))
        sent += sequences(sender.due(0.1 * sequence))
    assert sent == list(range(50))


def test_learner_that_knows_more_than_was_ever_made_is_a_conflict() -> None:
    _, sender = filled(3)
    with pytest.raises(DeliveryConflict, match=r"up to 3.*ends at 2.*actor_id"):
        sender.on_ack("run", 3, 0.0)


class Learner:
    """Stores strictly in sequence; on a restart it knows again what it had stored, or less."""

    def __init__(self) -> None:
        self.run = 0
        self.stored: list[int] = []

    def receive(self, sequence: int) -> None:
        if sequence == len(self.stored):
            self.stored.append(sequence)

    def restart(self, forgotten: int) -> None:
        self.run += 1
        del self.stored[max(len(self.stored) - forgotten, 0) :]

    @property
    def report(self) -> tuple[str, int]:
        return f"run{self.run}", len(self.stored) - 1


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("steps"), st.integers(1, 30)),
        st.tuples(st.just("actor_restart"), st.just(0)),
        st.tuples(st.just("learner_restart"), st.integers(0, 40)),
        st.tuples(st.just("time"), st.integers(1, 80)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(events=EVENTS, loss=st.floats(0, 0.7), repeat=st.floats(0, 0.5), seed=st.integers(0, 2**16))
def test_every_step_arrives_exactly_once_whatever_happens(
    events: list[tuple[str, int]], loss: float, repeat: float, seed: int
) -> None:
    """Lossy, repeating, reordering channels both ways, restarts of either side; then an hour of quiet."""
    chance = random.Random(seed)
    log, learner = ListLog(), Learner()
    options = {"window": 12, "burst": 5, "timeout": 0.5, "max_timeout": 2.0, "silence": 1.0}
    sender = StepSender(log, **options)
    to_learner: list[int] = []
    to_actor: list[tuple[str, int]] = []
    now = 0.0

    def send(channel: list, item: object) -> None:
        for _ in range(2 if chance.random() < repeat else 1):
            if chance.random() >= loss:
                channel.insert(chance.randint(max(len(channel) - 4, 0), len(channel)), item)

    def tick(new_step: bool) -> None:
        nonlocal now
        now += 0.1
        if new_step:
            sender.append(step(log.next_sequence))
        for item in sender.due(now):
            send(to_learner, item.sequence)
        while to_learner and chance.random() < 0.8:
            learner.receive(to_learner.pop(0))
        send(to_actor, learner.report)
        while to_actor and chance.random() < 0.8:
            run, acknowledged = to_actor.pop(0)
            sender.on_ack(run, acknowledged, now)

    for kind, amount in events:
        if kind == "actor_restart":
            sender = StepSender(log, **options)
        elif kind == "learner_restart":
            learner.restart(amount)
        else:
            for _ in range(amount):
                tick(kind == "steps")
        assert learner.stored == list(range(len(learner.stored)))
        assert len(learner.stored) <= log.next_sequence

    for _ in range(36_000):
        tick(False)
        if len(learner.stored) == log.next_sequence and sender.unacknowledged == 0:
            break
    assert learner.stored == list(range(log.next_sequence))
    assert sender.unacknowledged == 0


def test_a_backlog_goes_out_in_portions_of_any_size() -> None:
    log, _ = filled(7)
    sender = StepSender(log)  # a new process: nothing of it is in memory
    sender.on_ack("run", 1, 0.0)
    assert sequences(sender.due(0.0, most=1)) == [2]
    assert sequences(sender.due(0.0, most=3)) == [3, 4, 5]
    assert sequences(sender.due(0.0)) == [6]
    assert sender.due(0.0, most=1) == []
