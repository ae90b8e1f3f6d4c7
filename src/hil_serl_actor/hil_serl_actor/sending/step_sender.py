# SPDX-License-Identifier: Apache-2.0
"""Delivery of steps to the learner: each one exactly once, whatever the network or either process does.

The learner stores steps strictly in sequence and reports the highest one it has
(:class:`hil_serl_msgs.msg.StepAck`). The sender goes back to the step after that one whenever the learner is
new or does not get on. Together with the log this is a go-back-N protocol whose window survives restarts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from hil_serl_core.step import Step


class DeliveryConflict(Exception):
    """The learner has steps under this actor's name that this actor never made."""


class Log(Protocol):
    """What the sender needs of a :class:`hil_serl_actor.sending.step_log.StepLog`."""

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next step to append."""

    def append(self, step: Step) -> None:
        """Make a step durable or raise."""

    def iter_from(self, sequence: int) -> Iterator[Step]:
        """Steps from a sequence number on."""


class StepSender:
    """Decides which steps to publish when. Time is passed in; nothing here blocks on the learner."""

    def __init__(
        self,
        log: Log,
        *,
        window: int = 200,
        burst: int = 50,
        timeout: float = 2.0,
        max_timeout: float = 16.0,
        silence: float = 5.0,
    ) -> None:
        """Begin with nothing sent.

        Args:
            log: Where steps are made durable, and read back from.
            window: Steps kept in memory, and sent ahead of the acknowledgement of a learner that is there. Not more
                than the depth of the step topic.
            burst: Most steps that one call of :meth:`due` returns.
            timeout: Time without progress [s] after which to send again, while the learner reports. Doubles with
                every repetition in vain.
            max_timeout: Where the doubling ends [s].
            silence: After so long without a report [s] the learner counts as away. Steps are then published as they
                are made, for other listeners; what the learner misses it gets on its return.
        """
        self._log = log
        self._window = window
        self._burst = burst
        self._base_timeout = timeout
        self._max_timeout = max_timeout
        self._silence = silence
        self._recent: deque[Step] = deque(maxlen=window)
        self._run_id: str | None = None
        self._acknowledged = -1
        self._sent = log.next_sequence - 1
        self._timeout = timeout
        self._waiting_since = 0.0
        self._reported = float("-inf")
        self._resent = 0

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next step to append."""
        return self._log.next_sequence

    @property
    def acknowledged(self) -> int:
        """Highest sequence number that the present learner has, -1 for none."""
        return self._acknowledged

    @property
    def unacknowledged(self) -> int:
        """Steps in the log that the present learner has not acknowledged."""
        return self._log.next_sequence - 1 - self._acknowledged

    @property
    def resent(self) -> int:
        """How often a step was published again."""
        return self._resent

    def append(self, step: Step) -> None:
        """Log a step; :meth:`due` will return it.

        Raises:
            BagWriteError: It is not logged and will not be sent; the same step can be tried again.
        """
        self._log.append(step)
        self._recent.append(step)

    def on_ack(self, run_id: str, acknowledged: int, now: float) -> None:
        """Take a report of the learner.

        Args:
            run_id: Changes when a learner process starts anew. acknowledged: Highest contiguous sequence of
            this actor that it has; -1 if it does not know the actor. now: Time [s], monotonic.

        Raises:
            DeliveryConflict: It has more than was ever logged, so new steps would be taken for duplicates.
        """
        if acknowledged >= self._log.next_sequence:
            last = self._log.next_sequence - 1
            raise DeliveryConflict(
                f"the learner has steps up to {acknowledged}, but this log ends at {last}; another actor has "
                "the same actor_id, or its bags were removed: choose a new actor_id"
            )
        self._reported = now
        if run_id != self._run_id:
            # A new learner has what it has, be it less than the last one had.
            self._run_id = run_id
            self._acknowledged = acknowledged
            self._timeout = self._base_timeout
            self._rewind(now)
        elif acknowledged > self._acknowledged:
            self._acknowledged = acknowledged
            # What a slower path delivered meanwhile need not be sent again.
            self._sent = max(self._sent, acknowledged)
            self._timeout = self._base_timeout
            self._waiting_since = now
        elif self._sent > self._acknowledged and now - self._waiting_since >= self._timeout:
            self._timeout = min(2 * self._timeout, self._max_timeout)
            self._rewind(now)

    def due(self, now: float, most: int | None = None) -> list[Step]:
        """Steps to publish now, in order: new ones, and again what the learner lacks.

        Args:
            now: Time [s], monotonic.
            most: Most steps to return, if fewer than ``burst``.

        Raises:
            BagDamagedError: A step that is no longer in memory cannot be read back.
        """
        last = self._log.next_sequence - 1
        if now - self._reported <= self._silence:
            last = min(last, self._acknowledged + self._window)
        count = min(last - self._sent, self._burst if most is None else min(most, self._burst))
        if count <= 0:
            return []
        if self._sent <= self._acknowledged:
            self._waiting_since = now
        steps = self._read(self._sent + 1, count)
        self._sent += count
        return steps

    def _rewind(self, now: float) -> None:
        self._resent += max(self._sent - self._acknowledged, 0)
        self._sent = self._acknowledged
        self._waiting_since = now

    def _read(self, sequence: int, count: int) -> list[Step]:
        """Steps from memory if they are all there, else from the log."""
        if self._recent and self._recent[0].sequence <= sequence:
            start = sequence - self._recent[0].sequence
            return list(islice(self._recent, start, start + count))
        return list(islice(self._log.iter_from(sequence), count))
