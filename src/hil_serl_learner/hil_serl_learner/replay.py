# SPDX-License-Identifier: Apache-2.0
"""Replay: every record stored once, two lists of transitions over it.

A transition is named by the slot of its first record; the slot of the second is kept beside it, so no
transition ever crosses the end of an episode, a gap in an actor's records, or two actors whose records
interleave. The demonstration list holds demonstrations and intervened steps, the RL list the online steps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hil_serl_core.action import ActionLayout
from hil_serl_core.nn.observation import StateLayout
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Source, Step
from hil_serl_learner.index_list import IndexList


class ReplayFullError(RuntimeError):
    """Demonstrations alone fill the replay, or it does not fit into memory."""


@dataclass(frozen=True)
class Sample:
    """Slots of sampled transitions: ``start`` and ``end`` records, (B,) int64."""

    start: np.ndarray
    end: np.ndarray


class Replay:
    """Preallocated store of records; when full, the oldest online records make room.

    Demonstrations stay. Intervened steps stay until every other online record is gone, because they feed the
    demonstration half of each batch (the original release keeps them in a buffer of their own).

    Attributes:
        frames: Camera name to (capacity, H, W, 3) uint8; empty if frames are not kept.
        state: (capacity, S) float32, scaled.
        action: (capacity, C) float32, continuous components.
        grasp: (capacity,) int64, discrete action of the grippers.
        reward: (capacity,) float32, received on arrival.
        grasp_penalty: (capacity,) float32, received on arrival.
        stop: (capacity,) bool, no bootstrap from this record.
        demonstrations, online: The two lists of transitions.
    """

    def __init__(
        self,
        spec: TaskSpec,
        capacity: int | None = None,
        *,
        interventions_are_demonstrations: bool = True,
        pauses_are_demonstrations: bool = True,
        keeps_frames: bool = True,
    ) -> None:
        """Reserve the memory.

        Args:
            spec: The task.
            capacity: Records; None for the task's ``replay_capacity``.
            interventions_are_demonstrations: Intervened online steps go to the demonstration list too.
            pauses_are_demonstrations: So do steps of demonstrations in which the person did nothing at all.
            keeps_frames: False where features are cached: then nothing looks at the frames again.

        Raises:
            ReplayFullError: The memory cannot be reserved.
        """
        learner = spec.learner
        self.capacity = capacity or learner.replay_capacity
        self._layout = StateLayout(spec)
        self._actions = ActionLayout(spec)
        self._interventions_kept = interventions_are_demonstrations
        self._pauses_kept = pauses_are_demonstrations
        self._stay = int(self._actions.index(np.zeros(spec.grippers)))
        self._timeouts_are_terminal = learner.timeouts_are_terminal
        self._interventions_online = learner.interventions_in_rl_buffer
        n = self.capacity
        try:
            # Zero pages are committed by the system when they are first written.
            self.frames = {
                c.name: np.zeros((n, c.size, c.size, 3), np.uint8) for c in spec.cameras if keeps_frames
            }
            self.state = np.zeros((n, self._layout.size), np.float32)
        except MemoryError as error:
            raise ReplayFullError(
                f"{n} records do not fit into memory; lower learner.replay_capacity"
            ) from error
        self.action = np.zeros((n, spec.continuous_size), np.float32)
        self.grasp = np.zeros(n, np.int64)
        self.reward = np.zeros(n, np.float32)
        self.grasp_penalty = np.zeros(n, np.float32)
        self.stop = np.zeros(n, bool)
        self._goals: list[int] = []
        self.demonstrations = IndexList(n)
        self.online = IndexList(n)
        self._next = np.full(n, -1, np.int64)
        self._previous = np.full(n, -1, np.int64)
        self._used = 0
        self._evictable: deque[int] = deque()
        self._kept: deque[int] = deque()
        self._tails: dict[str, tuple[int, Step]] = {}

    def __len__(self) -> int:
        """Records stored."""
        return self._used

    def add(self, step: Step, *, demonstration: bool) -> int:
        """Stores a record and the transition it completes, if any.

        Args:
            step: The record; records of one actor must come in order.
            demonstration: Part of a demonstration recording rather than online experience.

        Returns:
            The record's slot.

        Raises:
            ValueError: A state part is missing, misshaped or not finite.
            ReplayFullError: Demonstrations fill the replay.
        """
        state = self._layout.flatten(step.state)
        slot = self._allocate()
        for name, frames in self.frames.items():
            frames[slot] = step.frames[name]
        self.state[slot] = state
        self.action[slot], self.grasp[slot] = self._split(step.action)
        self.reward[slot] = step.reward
        self.grasp_penalty[slot] = step.grasp_penalty
        self.stop[slot] = step.is_terminal or (step.is_last and self._timeouts_are_terminal)
        self._next[slot] = self._previous[slot] = -1
        if not demonstration:
            self._evictable.append(slot)
        elif step.is_terminal and step.reward > 0.0:
            self._goals.append(slot)
        tail = self._tails.get(step.actor_id)
        if tail is not None and step.follows(tail[1]):
            self._link(tail[0], slot, tail[1].source, demonstration)
        self._tails[step.actor_id] = (slot, step)
        return slot

    def _split(self, action: np.ndarray | None) -> tuple[np.ndarray | float, int]:
        if action is None:
            return 0.0, 0
        continuous, grippers = self._actions.split(action)
        return continuous, int(self._actions.index(grippers))

    def goals(self) -> np.ndarray:
        """(N,) int64 slots of the final records of successful demonstrations."""
        return np.array(self._goals, np.int64)

    def _link(self, start: int, end: int, source: Source, demonstration: bool) -> None:
        self._next[start], self._previous[end] = end, start
        intervened = self._interventions_kept and source == Source.HUMAN and not demonstration
        pause = demonstration and not self._pauses_kept and self._is_pause(start)
        if (demonstration and not pause) or intervened:
            self.demonstrations.add(start)
        if not demonstration and (self._interventions_online or not intervened):
            self.online.add(start)

    def _is_pause(self, slot: int) -> bool:
        """Nothing was commanded at a record: no motion, and no gripper."""
        return bool(not self.action[slot].any() and self.grasp[slot] == self._stay)

    def _allocate(self) -> int:
        if self._used < self.capacity:
            self._used += 1
            return self._used - 1
        while self._evictable:
            slot = self._evictable.popleft()
            if self._feeds_demonstrations(slot):
                self._kept.append(slot)
            else:
                return self._evict(slot)
        if not self._kept:
            raise ReplayFullError(
                f"{self.capacity} records of demonstrations fill the replay; raise learner.replay_capacity"
            )
        return self._evict(self._kept.popleft())

    def _feeds_demonstrations(self, slot: int) -> bool:
        previous = self._previous[slot]
        return slot in self.demonstrations or (previous >= 0 and previous in self.demonstrations)

    def _evict(self, slot: int) -> int:
        """Removes both transitions the record takes part in."""
        previous, following = self._previous[slot], self._next[slot]
        for start in (slot, previous):
            if start >= 0:
                self.demonstrations.discard(start)
                self.online.discard(start)
        if previous >= 0:
            self._next[previous] = -1
        if following >= 0:
            self._previous[following] = -1
        self._tails = {actor: tail for actor, tail in self._tails.items() if tail[0] != slot}
        return slot

    def sample(self, rng: np.random.Generator, size: int, demonstration_share: float) -> Sample:
        """Uniform sample of each list; one list alone fills the batch while the other is empty.

        Raises:
            ValueError: Both lists are empty, or only demonstrations are asked for and there are none.
        """
        demonstrations, online = len(self.demonstrations), len(self.online)
        wanted = round(size * demonstration_share)
        if not demonstrations and (not online or wanted == size):
            raise ValueError("the replay holds no transitions to train on; record demonstrations first")
        if not online and not wanted:
            raise ValueError("the replay holds no online transitions to train on yet")
        demos = 0 if not demonstrations else wanted if online else size
        parts = [
            source.sample(rng, count)
            for source, count in ((self.demonstrations, demos), (self.online, size - demos))
            if count
        ]
        start = np.concatenate(parts)
        return Sample(start, self._next[start])

    def transitions(self) -> list[tuple[int, int]]:
        """(start, end) slots of all transitions of both lists, for inspection."""
        starts = sorted({*self.demonstrations.slots().tolist(), *self.online.slots().tolist()})
        return [(start, int(self._next[start])) for start in starts]
