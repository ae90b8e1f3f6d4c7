# SPDX-License-Identifier: Apache-2.0
"""Which relabeller a task's reward asks for."""

from __future__ import annotations

from hil_serl_core.spec import TaskSpec
from hil_serl_learner.reward_hook import RelabellerFactory
from hil_serl_learner.vice import Vice


def relabeller_for(spec: TaskSpec) -> RelabellerFactory | None:
    """The relabeller that a task's reward kind asks for; None where recorded rewards are trained on."""
    return Vice if spec.reward.kind == "vice" else None
