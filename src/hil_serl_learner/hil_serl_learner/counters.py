# SPDX-License-Identifier: Apache-2.0
"""How far a training is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass
class Counters:
    """What survives a resume.

    Of the updates that online records owe, each is done, skipped, or still to come:
    ``owed_updates`` = updates done on them + ``skipped_updates`` + ``credit``.

    Attributes:
        environment_steps: Online records that carry an action.
        episodes: Online episodes completed.
        updates: Gradient updates, those on the demonstrations alone included.
        version: Version of the weights packed last; -1 before the first.
        credit: Updates owed to the records received so far and still to come.
        owed_updates: Updates that the records received so far have asked for, ``update_to_data`` each.
        skipped_updates: Of these, updates that will never be done, because a free-running learner was too slow.
    """

    environment_steps: int = 0
    episodes: int = 0
    updates: int = 0
    version: int = -1
    credit: float = 0.0
    owed_updates: float = 0.0
    skipped_updates: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Counters as ``state.json`` has them; those that an older version did not count are 0.

        Raises:
            TypeError, ValueError: One is unknown, no number, or impossible.
        """
        counters = cls(**values)
        for field in fields(cls):
            value = getattr(counters, field.name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole and (
                field.type == "int" or not isinstance(value, float) or not math.isfinite(value)
            ):
                raise ValueError(f"counter '{field.name}' is {value!r}")
            least = {"version": -1, "credit": -math.inf}.get(field.name, 0)
            if value < least:
                raise ValueError(f"counter '{field.name}' is {value!r}, below {least}")
        return counters

    def owe(self, updates: float) -> None:
        """A record has come that asks for so many updates."""
        self.credit += updates
        self.owed_updates += updates

    def skip_beyond(self, updates: float) -> None:
        """Gives up what is owed beyond so many updates, and counts it."""
        self.skipped_updates += max(0.0, self.credit - updates)
        self.credit = min(self.credit, updates)

    def trained(self, update_to_data: float) -> int:
        """Records that owe nothing any more, when each owes ``update_to_data``."""
        return max(0, self.environment_steps - math.ceil(math.floor(self.credit) / update_to_data))

    def to_read_again(self, trained_step: int, update_to_data: float) -> Counters:
        """Counters of a resume, before any record is read again.

        Records up to ``trained_step`` will owe nothing. What the networks had of the next one's updates is taken off
        beforehand, and a share of an update that was owed stays owed.
        """
        untrained = max(0, self.environment_steps - trained_step) * update_to_data
        return Counters(
            updates=self.updates,
            version=self.version,
            credit=self.credit - untrained,
            owed_updates=max(0.0, self.owed_updates - untrained),
            skipped_updates=self.skipped_updates,
        )
