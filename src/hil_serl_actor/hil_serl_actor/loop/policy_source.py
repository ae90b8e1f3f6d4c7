# SPDX-License-Identifier: Apache-2.0
"""Which weights the actor acts with, and when it changes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from hil_serl_core.episode import Proposal
from hil_serl_core.observation import Observation
from hil_serl_core.policy import Policy


@dataclass(frozen=True)
class VersionedWeights:
    """Checked weights of one PolicyWeights message.

    Attributes:
        version: Increasing version.
        trained_step: Environment transitions whose updates are in the weights.
        tensors: Trainable tensors by name.
    """

    version: int
    trained_step: int
    tensors: Mapping[str, torch.Tensor]


class WeightSchedule:
    """Decides which received weights apply at an environment transition.

    Free-running (``lag`` None): always the newest. Lockstep: at transition k exactly those trained on
    ``floor((k - lag) / every) * every`` transitions, however fast the learner is, so that a run does not depend on the
    machine's load; until they have arrived ``ready`` is false and simulated time stands still.
    """

    def __init__(self, lag: int | None, every: int) -> None:
        self._lag = lag
        self._every = every
        self._received: deque[VersionedWeights] = deque(maxlen=64)

    def put(self, weights: VersionedWeights) -> None:
        """Take newly received weights; a restarted learner may start again at an older version."""
        while self._received and self._received[-1].trained_step >= weights.trained_step:
            self._received.pop()
        self._received.append(weights)

    def required(self, transition: int) -> int:
        """Smallest acceptable ``trained_step`` at this transition."""
        if self._lag is None or transition < self._lag:
            return 0
        return (transition - self._lag) // self._every * self._every

    def ready(self, transition: int) -> bool:
        """Weights that may act at this transition have arrived."""
        return bool(self._received) and self._received[-1].trained_step >= self.required(transition)

    def select(self, transition: int) -> VersionedWeights:
        """Weights for this transition. Call only when ``ready``.

        The newest that are not newer than required; after a restart, when those are gone, the oldest that are newer.
        """
        if self._lag is None:
            return self._received[-1]
        required = self.required(transition)
        while len(self._received) > 1 and self._received[1].trained_step <= required:
            self._received.popleft()
        return self._received[0]


class PolicySource:
    """The acting policy: weights by schedule, actions by ``Policy``; randomness is seeded per transition."""

    def __init__(self, policy: Policy, schedule: WeightSchedule, deterministic: bool, seed: int) -> None:
        self._policy = policy
        self._schedule = schedule
        self._deterministic = deterministic
        self._seed = seed
        self._acting: VersionedWeights | None = None

    @property
    def version(self) -> int:
        """Version of the weights in use, -1 before the first."""
        return -1 if self._acting is None else self._acting.version

    def put(self, weights: VersionedWeights) -> None:
        """Take checked weights; they act from the transition the schedule says."""
        self._schedule.put(weights)

    def ready(self, transition: int) -> bool:
        """The weights this transition needs are there."""
        return self._schedule.ready(transition)

    def propose(self, observation: Observation, transition: int) -> Proposal:
        """Action for one observation.

        Args:
            observation: o_t.
            transition: Number of this transition in the run; fixes weights and exploration noise.
        """
        weights = self._schedule.select(transition)
        # Not by version: a learner that was killed and resumed may give a number again, to other weights.
        if weights is not self._acting:
            self._policy.load(weights.tensors)
            self._acting = weights
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([self._seed, transition]).generate_state(1)[0])
        )
        action = self._policy.act(observation.frames, observation.state, self._deterministic, generator)
        return Proposal(action=action, version=weights.version)
