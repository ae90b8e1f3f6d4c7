# SPDX-License-Identifier: Apache-2.0
"""Bags of what somebody heard on the topic ``step``: records late, twice, missing, of two runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message

from hil_serl_core.step import Step
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter, read_steps
from hil_serl_ros.bag.order import WINDOW, identity, in_order
from hil_serl_ros.conversions import step_to_message


@dataclass(frozen=True)
class Heard:
    data: bytes
    topic: str = "/step"


def heard(sequence: int, stamp: float = 0.0, actor: str = "actor_0") -> Heard:
    message = StepMessage(actor_id=actor, sequence=sequence)
    message.header.stamp.sec = int(stamp)
    message.header.frame_id = "base"
    return Heard(serialize_message(message))


def order_of(records: list[Heard]) -> list[tuple[str, int]]:
    return [found for record in in_order(records) if (found := identity(record.data)) is not None]


@settings(deadline=None)
@given(
    actor=st.text("abc_/0", min_size=0, max_size=9),
    frame=st.text("xyz", max_size=9),
    sequence=st.integers(0, 2**64 - 1),
)
def test_identity_is_read_from_the_bytes(actor: str, frame: str, sequence: int) -> None:
    message = StepMessage(actor_id=actor, sequence=sequence)
    message.header.frame_id = frame
    assert identity(serialize_message(message)) == (actor, sequence)


@pytest.mark.parametrize("data", [b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 40])
def test_bytes_that_are_no_step_are_passed_on(data: bytes) -> None:
    assert identity(data) is None
    assert list(in_order([Heard(data)])) == [Heard(data)]


@settings(deadline=None)
@given(
    order=st.permutations(range(20)),
    again=st.lists(st.integers(0, 19), max_size=10),
)
def test_late_and_repeated_records_come_once_and_in_sequence(order: list[int], again: list[int]) -> None:
    records = [heard(0), *(heard(k) for k in [*order, *again])]
    assert order_of(records) == [("actor_0", k) for k in range(20)]


def test_bytes_between_the_fields_make_no_other_record_of_it() -> None:
    """CDR's serializers leave what was in memory between an 8-byte text and a number that is aligned to 8 bytes."""
    first = heard(0, actor="a" * 9).data
    at = first.index(b"a" * 9) + 10
    again = first[:at] + b"\xff" * 2 + first[at + 2 :]
    assert identity(again) == identity(first)
    assert again != first
    assert order_of([Heard(first), heard(1, actor="a" * 9), Heard(again)]) == [("a" * 9, 0), ("a" * 9, 1)]


def test_actors_do_not_wait_for_each_other() -> None:
    records = [heard(0), heard(2), heard(7, actor="b"), heard(8, actor="b"), heard(1)]
    assert order_of(records) == [("actor_0", 0), ("b", 7), ("b", 8), ("actor_0", 1), ("actor_0", 2)]


def test_what_never_came_is_a_gap_and_nothing_else_is_lost() -> None:
    assert order_of([heard(k) for k in (5, 6, 9, 8)]) == [("actor_0", k) for k in (5, 6, 8, 9)]
    kept = [0, *range(2, WINDOW + 10), 1]
    assert sorted(order_of([heard(k) for k in kept])) == sorted(("actor_0", k) for k in kept)


def test_a_second_run_under_the_same_name_is_not_taken_for_a_repetition() -> None:
    first, second = [heard(k, 1.0) for k in range(4)], [heard(k, 2.0) for k in range(3)]
    assert list(in_order([*first, *second])) == [*first, *second]


def test_a_bag_of_the_topic_reads_like_the_actors_own(
    tmp_path: Path, make_step: Callable[..., Step], same_step: Callable
) -> None:
    with BagWriter(tmp_path / "heard") as bag:
        bag.add_topic("/step", StepMessage, qos.STEP)
        for count, sequence in enumerate([3, 4, 6, 7, 6, 5, 8]):
            bag.write("/step", step_to_message(make_step(sequence)), count)
    steps = list(read_steps(tmp_path / "heard"))
    assert [step.sequence for step in steps] == [3, 4, 5, 6, 7, 8]
    for step in steps:
        same_step(step, make_step(step.sequence))
