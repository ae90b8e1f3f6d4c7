# SPDX-License-Identifier: Apache-2.0
"""Learning rate that falls once, when the policy succeeds often enough (Table 11)."""

from __future__ import annotations

from collections import deque

from hil_serl_core.spec import LearnerSpec
from hil_serl_core.step import Step


class LearningRateSchedule:
    """3e-4, or 3e-5 once 70 % of the last 20 online episodes succeeded (the task file's numbers).

    An episode succeeded if its last record brings a positive reward. The rate never rises again. It follows from the
    records alone, so a resumed run, which reads them again, has it without a checkpoint's help.

    Attributes:
        rate: The present learning rate.
    """

    def __init__(self, learner: LearnerSpec) -> None:
        self.rate = learner.learning_rate
        self._decay = learner.learning_rate_decay
        self._outcomes: deque[bool] = deque(maxlen=self._decay.window if self._decay else 1)

    def add(self, step: Step) -> bool:
        """Takes an online record; True if it changed the rate."""
        if self._decay is None or not step.is_last or self.rate == self._decay.to:
            return False
        self._outcomes.append(step.reward > 0.0)
        if len(self._outcomes) < self._decay.window:
            return False
        if sum(self._outcomes) / self._decay.window < self._decay.at_success:
            return False
        self.rate = self._decay.to
        return True
