# SPDX-License-Identifier: Apache-2.0
"""Ledger of received records: each one counted once, handed on in order, refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from hil_serl_core.record_check import defect
from hil_serl_core.rewards import reward_defect
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step

# Records held for one actor while an earlier one is missing; what is beyond is sent again anyway.
MAX_HELD = 1000


@dataclass(frozen=True)
class Ack:
    """Mirrors ``hil_serl_msgs/StepAck``: what the learner has of one actor."""

    actor_id: str
    acknowledged: int
    records: int
    duplicates: int
    rejected: int


@dataclass
class _Account:
    cell: str | None = None  # None: known from bags alone
    acknowledged: int = -1
    records: int = 0
    duplicates: int = 0
    rejected: int = 0
    held: dict[int, Step] = field(default_factory=dict)


class Ledger:
    """Accepts each (actor_id, sequence) once and releases every actor's records in sequence.

    A record that can never be used (NaN, wrong image size, an action outside [-1, 1], a reward that the task cannot pay) is
    acknowledged, so that it is not sent for ever, but not handed on; it breaks the transitions on both of its sides. A
    record of another task spec is not acknowledged: it stays with its actor until a learner of that task asks for it. An
    actor_id belongs to the cell that used it first: records of another cell under the same name are not acknowledged
    either.

    Attributes:
        last_refusal: One line about the latest refused record, empty if there was none.
        wrong_rewards, last_wrong_reward: How many were refused because the task cannot have paid their reward, and the
            line about the latest of these.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._accounts: dict[str, _Account] = {}
        self._strangers: dict[tuple[str, str], int] = {}
        self.last_refusal = ""
        self.wrong_rewards = 0
        self.last_wrong_reward = ""

    def offer(self, step: Step, cell: str | None = None) -> list[Step]:
        """Takes a record; returns those that are now next in order, this one among them or not.

        Args:
            step: The record.
            cell: Namespace it was received from, None if it was read from a bag.
        """
        account = self._accounts.setdefault(step.actor_id, _Account())
        if cell is not None and account.cell is None:
            account.cell = cell
        if cell is not None and account.cell != cell:
            self._refuse_stranger(step, cell, account)
            return []
        if step.spec_hash != self._spec.hash:
            account.rejected += 1
            self._refuse(
                step,
                f"recorded under task spec {step.spec_hash}, the learner runs {self._spec.hash}; "
                "start both with the same task file",
            )
            return []
        if step.sequence <= account.acknowledged or step.sequence in account.held:
            account.duplicates += 1
            return []
        if step.sequence > account.acknowledged + 1 and len(account.held) >= MAX_HELD:
            return []
        account.held[step.sequence] = step
        return self._release(account)

    def _release(self, account: _Account) -> list[Step]:
        released = []
        while (step := account.held.pop(account.acknowledged + 1, None)) is not None:
            account.acknowledged += 1
            reason = defect(step, self._spec)
            wrong_reward = reward_defect(self._spec.reward, step) if reason is None else None
            if reason is None and wrong_reward is None:
                account.records += 1
                released.append(step)
                continue
            account.rejected += 1
            self._refuse(step, reason or wrong_reward or "")
            if wrong_reward is not None:
                self.wrong_rewards += 1
                self.last_wrong_reward = self.last_refusal
        return released

    def skip_to(self, actor_id: str, sequence: int) -> None:
        """Declares everything before ``sequence`` of an actor as not to come (its bags begin there)."""
        account = self._accounts.setdefault(actor_id, _Account())
        account.acknowledged = max(account.acknowledged, sequence - 1)

    def _refuse(self, step: Step, reason: str) -> None:
        self.last_refusal = f"record {step.sequence} of {step.actor_id} refused: {reason}"

    def _refuse_stranger(self, step: Step, cell: str, owner: _Account) -> None:
        key = step.actor_id, cell
        self._strangers[key] = self._strangers.get(key, 0) + 1
        self._refuse(
            step,
            f"actor_id '{step.actor_id}' is used in '{owner.cell}' and in '{cell}'; "
            "give every actor an actor_id of its own",
        )

    def acks(self, cell: str | None = None) -> list[Ack]:
        """One line per actor, sorted by name.

        Args:
            cell: Only what concerns the actors of this namespace: theirs, those whose cell is not known yet, and
                names they share with another cell's actor, with nothing acknowledged.
        """
        lines = [
            Ack(name, account.acknowledged, account.records, account.duplicates, account.rejected)
            for name, account in self._accounts.items()
            if cell is None or account.cell is None or account.cell == cell
        ]
        lines += [
            Ack(name, -1, 0, 0, rejected)
            for (name, origin), rejected in self._strangers.items()
            if cell == origin
        ]
        return sorted(lines, key=lambda ack: ack.actor_id)

    @property
    def rejected(self) -> int:
        """Refused records of all actors."""
        return sum(account.rejected for account in self._accounts.values()) + sum(self._strangers.values())
