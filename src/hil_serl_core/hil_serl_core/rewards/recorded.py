# SPDX-License-Identifier: Apache-2.0
"""Which rewards a task can pay: recorded ones are held against it before anybody learns from them."""

from __future__ import annotations

import numpy as np

from hil_serl_core.spec.rewards import RewardSpec
from hil_serl_core.step import Step

_ROUNDING = 1e-5
"""Of a log probability that went through float32."""


def reward_defect(spec: RewardSpec, step: Step) -> str | None:
    """Why this task cannot have paid a record's reward, or None if it can.

    A sparse reward is 0, or ``success_reward`` on the last record of an episode. One of form ``log_probability`` may also
    lie between ``least_log_probability`` and 0. Kind ``vice`` is relabelled by the learner, which looks at no recorded
    reward; it takes what either of the two can pay.

    Args:
        spec: Reward section of the task.
        step: The record; its reward must be finite.
    """
    reward = float(step.reward)
    if reward == float(np.float32(spec.success_reward)) and step.is_last:
        return None
    if reward == 0.0:
        return None
    if not spec.dense:
        return (
            f"its reward is {reward:.4g}, and {_kind(spec)} pays 0, or {spec.success_reward:g} on the last record of a "
            "solved episode. If an older version of the suite recorded it, mend the recording with: "
            "hil-serl dataset relabel RUN --mend-rewards --output NEW_RUN"
        )
    least = _least(spec)
    if least * (1.0 + _ROUNDING) <= reward <= 0.0:
        return None
    return (
        f"its reward is {reward:.4g}, and {_kind(spec)} pays {least:g} to 0, or {spec.success_reward:g} on the last record "
        "of a solved episode"
    )


def mended_reward(spec: RewardSpec, reward: float, *, is_last: bool) -> float:
    """What a sparse reward should have been where log p(success) was paid for every step.

    Success brought its reward on the last record then too, and a log probability is never positive, so nothing is guessed.
    """
    return spec.success_reward if is_last and reward > 0.0 else 0.0


def _kind(spec: RewardSpec) -> str:
    form = f" of form '{spec.form}'" if spec.kind in ("classifier", "vice") else ""
    return f"a reward of kind '{spec.kind}'{form}"


def _least(spec: RewardSpec) -> float:
    assert spec.classifier is not None  # only kinds with one are dense
    return spec.classifier.least_log_probability
