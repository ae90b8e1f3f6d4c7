# SPDX-License-Identifier: Apache-2.0
"""How far a training is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Counters:
    """What survives a resume.

    Attributes:
        environment_steps: Online records that carry an action.
        episodes: Online episodes completed.
        updates: Gradient updates.
        version: Version of the weights packed last; -1 before the first.
        credit: Updates owed to the records received so far.
    """

    environment_steps: int = 0
    episodes: int = 0
    updates: int = 0
    version: int = -1
    credit: float = 0.0

    def trained(self, update_to_data: float) -> int:
        """Records whose updates are all done, when each owes ``update_to_data``."""
        return max(0, self.environment_steps - math.ceil(math.floor(self.credit) / update_to_data))

    def to_read_again(self, trained_step: int, update_to_data: float) -> Counters:
        """Counters of a resume, before any record is read again.

        Records up to ``trained_step`` will owe nothing. What the networks had of the next one's updates is taken off
        beforehand, and a share of an update that was owed stays owed.
        """
        untrained = max(0, self.environment_steps - trained_step)
        credit = self.credit - untrained * update_to_data
        return Counters(updates=self.updates, version=self.version, credit=credit)
