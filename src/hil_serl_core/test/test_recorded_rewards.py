# SPDX-License-Identifier: Apache-2.0
"""Recorded rewards against what a task can pay, case by case."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from hil_serl_core.rewards import mended_reward, reward_defect
from hil_serl_core.spec.rewards import RewardSpec
from hil_serl_core.step import Source, Step

CLASSIFIER = {"cameras": ["wrist_1"], "least_log_probability": -3.0}
SPARSE = RewardSpec(kind="classifier", classifier=CLASSIFIER, success_reward=0.1)
DENSE = RewardSpec(kind="classifier", classifier={**CLASSIFIER, "form": "log_probability"})
VICE = RewardSpec(kind="vice", classifier=CLASSIFIER)
STEP = Step(
    0.0,
    "actor",
    3,
    0,
    3,
    {},
    {},
    np.zeros((1, 7)),
    None,
    None,
    Source.NONE,
    0.0,
    0.0,
    False,
    False,
    False,
    -1,
    "",
)


def record(reward: float, **changes: Any) -> Step:
    """A record whose reward went through the float32 of its message."""
    return dataclasses.replace(STEP, reward=float(np.float32(reward)), **changes)


@pytest.mark.parametrize("spec", [SPARSE, RewardSpec(), RewardSpec(kind="operator")])
def test_a_sparse_reward_is_nothing_until_the_last_record(spec: RewardSpec) -> None:
    paid = spec.success_reward
    assert reward_defect(spec, record(0.0)) is None
    assert reward_defect(spec, record(0.0, is_last=True)) is None
    assert reward_defect(spec, record(paid, is_last=True, is_terminal=True)) is None
    for wrong in (record(paid), record(-3.5), record(-3.5, is_last=True), record(2.0 * paid, is_last=True)):
        reason = reward_defect(spec, wrong)
        assert reason is not None
        assert f"its reward is {wrong.reward:.4g}" in reason
        assert f"'{spec.kind}'" in reason
        assert "hil-serl dataset relabel RUN --mend-rewards" in reason


@pytest.mark.parametrize("spec", [DENSE, VICE])
def test_a_dense_reward_is_a_log_probability_or_success(spec: RewardSpec) -> None:
    for right in (record(-0.7), record(-3.0), record(0.0), record(1.0, is_last=True)):
        assert reward_defect(spec, right) is None
    for wrong in (record(-3.1), record(0.2), record(1.0)):
        assert "pays -3 to 0, or 1" in str(reward_defect(spec, wrong))


def test_mending_keeps_success_and_nothing_else() -> None:
    assert mended_reward(SPARSE, -2.8, is_last=False) == 0.0
    assert mended_reward(SPARSE, -2.8, is_last=True) == 0.0
    assert mended_reward(SPARSE, 0.1, is_last=True) == 0.1
