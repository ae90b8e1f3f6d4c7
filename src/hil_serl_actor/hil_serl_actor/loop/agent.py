# SPDX-License-Identifier: Apache-2.0
"""One policy in training or evaluation: what belongs to a task rather than to the cell."""

from __future__ import annotations

from hil_serl_actor.loop.policy_source import PolicySource
from hil_serl_core.action import ActionMapper
from hil_serl_core.episode import EpisodeRunner
from hil_serl_core.rewards import RewardModel
from hil_serl_core.spec import TaskSpec


class Agent:
    """A task, its episodes, its policy and its judge. Forward-backward training has two of them on one cell.

    Attributes:
        spec: The task.
        runner: Makes the records of its episodes.
        policy: None while demonstrations are recorded.
        reward: Judges observations; None: the verdict comes from the cell's truth or from a person.
        mapper: From its actions to commands.
        transition: Transitions made in this run; it selects weights and exploration noise.
    """

    def __init__(
        self,
        spec: TaskSpec,
        runner: EpisodeRunner,
        policy: PolicySource | None = None,
        reward: RewardModel | None = None,
        first_transition: int = 0,
    ) -> None:
        self.spec = spec
        self.runner = runner
        self.policy = policy
        self.reward = reward
        self.mapper = ActionMapper(spec, runner.grippers)
        self.transition = first_transition

    @property
    def ready(self) -> bool:
        """The weights that the next transition needs are there."""
        return self.policy is None or self.policy.ready(self.transition)
