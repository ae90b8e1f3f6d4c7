# SPDX-License-Identifier: Apache-2.0
"""Steps in the order of their sequence numbers, each once, also from a bag of what somebody heard on the topic ``step``.

The actor sends again what was not acknowledged, so a subscriber such as ``ros2 bag record`` hears records late, or twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from hil_serl_ros.bag.content import content_checksum
from hil_serl_ros.bag.errors import BagDamagedError

WINDOW = 1000
"""Records of an actor that are held back while an earlier one may still come; then there is a gap."""


class StepRecord(Protocol):
    """A serialized step and the topic it was on."""

    @property
    def topic(self) -> str: ...

    @property
    def data(self) -> bytes: ...


Record = TypeVar("Record", bound=StepRecord)


def identity(data: bytes) -> tuple[str, int] | None:
    """actor_id and sequence of a serialized Step, without decoding its pictures; None if the bytes are too few."""
    try:
        little = "<" if data[1] & 1 else ">"
        at = 12  # behind the CDR header of 4 bytes and the stamp; offsets below count from behind the CDR header
        (length,) = struct.unpack_from(f"{little}I", data, at)
        at += 4 + length
        at += -(at - 4) % 4
        (length,) = struct.unpack_from(f"{little}I", data, at)
        actor = data[at + 4 : at + 4 + length].rstrip(b"\0").decode()
        at += 4 + length
        at += -(at - 4) % 8
        (sequence,) = struct.unpack_from(f"{little}Q", data, at)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    return actor, sequence


@dataclass
class _Actor:
    """What is known of one actor's records on one topic."""

    next: int  # sequence number that is due
    held: dict[int, object] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)  # sequence -> checksum


def in_order(records: Iterable[Record]) -> Iterator[Record]:
    """The step records of one file, each actor's in sequence.

    A record that is there again is left out. One that comes late waits for nothing longer than ``WINDOW``
    later ones. One with a number that was used before but with another content belongs to another run under the same
    name: that run begins there. Bytes that are no step are passed on, for the reader to judge.
    """
    actors: dict[tuple[str, str], _Actor] = {}
    try:
        for record in records:
            found = identity(record.data)
            if found is None:
                yield record
                continue
            yield from _take(actors, (record.topic, found[0]), found[1], record)
    except BagDamagedError:
        for actor in actors.values():
            yield from _rest(actor)
        raise
    for actor in actors.values():
        yield from _rest(actor)


def _take(
    actors: dict[tuple[str, str], _Actor], key: tuple[str, str], sequence: int, record: Record
) -> Iterator[Record]:
    actor = actors.setdefault(key, _Actor(next=sequence))
    checksum = content_checksum(record.data)
    if actor.seen.get(sequence) == checksum:
        return
    if sequence in actor.seen:
        yield from _rest(actor)
        actor = actors[key] = _Actor(next=sequence)
    actor.seen[sequence] = checksum
    if sequence < actor.next:  # later than anybody waited for it
        yield record
        return
    actor.held[sequence] = record
    if len(actor.held) > WINDOW:
        actor.next = min(actor.held)
    while actor.next in actor.held:
        yield actor.held.pop(actor.next)  # type: ignore[misc]
        actor.next += 1


def _rest(actor: _Actor) -> Iterator[Record]:
    for sequence in sorted(actor.held):
        yield actor.held.pop(sequence)  # type: ignore[misc]
