# SPDX-License-Identifier: Apache-2.0
"""Checksums that the bytes between the fields of a serialized message have no part in."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Pose
from rclpy.serialization import deserialize_message, serialize_message

from hil_serl_msgs.msg import ArmState, Frame, NamedVector, Step
from hil_serl_ros.bag.content import content_checksum


def message(actor: str) -> Step:
    step = Step(actor_id=actor, sequence=5, step_index=2, spec_hash="abc", source=1, reward=0.5)
    step.frames = [
        Frame(camera="wrist", height=1, width=1, data=np.array([1, 2, 3], np.uint8)) for _ in range(2)
    ]
    step.state = [NamedVector(name="tcp_pose", values=[1.0, 2.0]), NamedVector(name="empty")]
    step.tcp_poses = [Pose()]
    step.action = [0.25]
    return step


def said(data: bytes) -> Step | None:
    try:
        return deserialize_message(data, Step)
    except Exception:  # whatever a serializer says to a changed length
        return None


@pytest.mark.parametrize("actor", ["a", "actor_0", "longer_actor"])
def test_every_byte_that_says_something_counts_and_no_other(actor: str) -> None:
    data = serialize_message(message(actor))
    checksum, idle, ignored = content_checksum(data), set(), set()
    for at in range(4, len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :]
        if content_checksum(changed) == checksum:
            ignored.add(at)
        if said(changed) == message(actor):
            idle.add(at)
    assert ignored
    assert ignored <= idle
    # What else means nothing are a string's last zero and the bits of a boolean beyond the first: always written alike.
    assert all(data[at] in (0, 1) for at in idle - ignored)


def test_it_goes_on_from_a_checksum_and_knows_other_types() -> None:
    one, other = (serialize_message(message(actor)) for actor in "ab")
    assert content_checksum(other, start=content_checksum(one)) != content_checksum(other)
    arm = ArmState(fault_message="none")
    assert content_checksum(serialize_message(arm), ArmState) == content_checksum(
        serialize_message(arm), ArmState
    )


@pytest.mark.parametrize("data", [b"", b"\0\1", b"\0\1\0\0" + b"\xff" * 40])
def test_bytes_that_are_no_message_have_their_plain_checksum(data: bytes) -> None:
    assert content_checksum(data) == content_checksum(bytes(data))
    assert content_checksum(data + b"\1") != content_checksum(data)
