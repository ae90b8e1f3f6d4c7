# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil_serl_core.step import Source, Step
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter
from hil_serl_ros.conversions import step_to_message


def build_step(sequence: int, *, size: int = 4, **changes: Any) -> Step:
    """A step whose contents depend on its sequence number, so that a mix-up shows."""
    rng = np.random.default_rng(sequence)
    values: dict[str, Any] = {
        "stamp": 10.0 + 0.1 * sequence,
        "actor_id": "actor",
        "sequence": sequence,
        "episode": sequence // 10,
        "step_index": sequence % 10,
        "frames": {f"wrist_{i}": rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for i in (1, 2)},
        "state": {"tcp_pose": rng.normal(size=6).astype(np.float32), "gripper": np.zeros(1, np.float32)},
        "tcp_poses": np.concatenate([rng.normal(size=3), [0.0, 0.0, 0.0, 1.0]])[None],
        "action": rng.uniform(-1, 1, 6).astype(np.float32),
        "policy_action": None,
        "source": Source.HUMAN,
        "reward": 0.5,
        "grasp_penalty": -0.25,
        "is_first": sequence % 10 == 0,
        "is_last": False,
        "is_terminal": False,
        "policy_version": 3,
        "spec_hash": "0123456789abcdef",
    }
    return Step(**(values | changes))


def assert_same_step(actual: Step, expected: Step) -> None:
    """Equal field by field, arrays included."""
    for name, value in vars(expected).items():
        got = getattr(actual, name)
        if isinstance(value, dict):
            assert list(got) == list(value), name
            for key, array in value.items():
                np.testing.assert_array_equal(got[key], array)
                assert got[key].dtype == array.dtype
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(got, value)
            assert got.dtype == value.dtype
        else:
            assert got == value, name


@pytest.fixture
def make_step() -> Callable[..., Step]:
    return build_step


@pytest.fixture
def same_step() -> Callable[[Step, Step], None]:
    return assert_same_step


@pytest.fixture
def write_bag() -> Callable[..., BagWriter]:
    """Write steps 0 ... count - 1 into a bag; closed, or left as a killed writer leaves it."""

    def write(folder: Path, count: int, *, close: bool = True, first: int = 0) -> BagWriter:
        writer = BagWriter(folder)
        writer.add_topic("/step", StepMessage, qos.STEP)
        for sequence in range(first, first + count):
            step = build_step(sequence)
            writer.write("/step", step_to_message(step), round(step.stamp * 1e9), sequence)
        if close:
            writer.close()
        else:
            writer.abandon()
        return writer

    return write
