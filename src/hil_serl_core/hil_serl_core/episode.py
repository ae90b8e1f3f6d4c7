# SPDX-License-Identifier: Apache-2.0
"""Episode logic: observation and outcome in, executed action and Step out. Knows nothing of topics or devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hil_serl_core.action import ActionLayout
from hil_serl_core.arbiter import Arbitration, InterventionArbiter, OperatorInput
from hil_serl_core.grippers import GripperStates
from hil_serl_core.observation import Observation
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Source, Step


class Mode(StrEnum):
    """What episodes are run for."""

    RECORD_DEMOS = "record_demos"
    RECORD_CLASSIFIER = "record_classifier"
    TRAIN = "train"
    EVAL = "eval"


@dataclass(frozen=True)
class Outcome:
    """Verdict on the present state, from the reward model or from the operator's label.

    Attributes:
        success: The task is solved.
        failure: It can no longer be solved.
        reward: Reward of this state if the model gives one; None: the sparse one of the task.
        final: A person's verdict, which ends the episode even if it is to run to its limit.
    """

    success: bool = False
    failure: bool = False
    reward: float | None = None
    final: bool = False


@dataclass(frozen=True)
class Proposal:
    """The policy's action, (A,) float32 in [-1, 1], and the version of its weights."""

    action: np.ndarray
    version: int


@dataclass(frozen=True)
class EpisodeResult:
    """Mirrors ``hil_serl_msgs/EpisodeSummary``."""

    episode: int
    success: bool
    truncated: bool
    aborted: bool
    reason: str
    steps: int
    intervened_steps: int
    interventions: int
    duration: float
    episode_return: float
    policy_version: int
    seed: int


@dataclass(frozen=True)
class Tick:
    """What one control tick decided.

    Attributes:
        step: The record of this tick.
        action: (A,) action to execute (see ``ActionLayout``), None when the episode is over.
        arbitration: Who drives.
        result: Set on the last tick of the episode.
        reopened: Arms whose gripper was told to close and was opened by something else; it counts as open now.
    """

    step: Step
    action: np.ndarray | None
    arbitration: Arbitration
    result: EpisodeResult | None
    reopened: tuple[str, ...] = ()


class EpisodeRunner:
    """Runs one episode after another and numbers their records without gaps."""

    def __init__(
        self, spec: TaskSpec, actor_id: str, mode: Mode, next_sequence: int = 0, next_episode: int = 0
    ) -> None:
        self._spec = spec
        self._hash = spec.hash
        self._actor_id = actor_id
        self._mode = mode
        self._arbiter = InterventionArbiter(spec)
        # Classifier data must show the solved state for more than one frame.
        self._runs_to_limit = spec.episode.run_to_limit or mode is Mode.RECORD_CLASSIFIER
        self._layout = ActionLayout(spec)
        self.grippers = GripperStates(spec)
        self._sequence = next_sequence
        self._episode = next_episode - 1
        self._running = False
        self._seed = -1
        self._zero_counters()

    def _zero_counters(self) -> None:
        self._index = 0
        self._intervened = 0
        self._segments = 0
        self._return = 0.0
        self._was_active = False
        self._start: float | None = None
        self._last_stamp = 0.0
        self._penalty = 0.0
        self._version = -1

    @property
    def actor_id(self) -> str:
        """Under which its records are kept."""
        return self._actor_id

    @property
    def running(self) -> bool:
        """An episode is under way."""
        return self._running

    @property
    def episode(self) -> int:
        """Number of the present or last episode, -1 before the first."""
        return self._episode

    @property
    def step_index(self) -> int:
        """Index of the next record."""
        return self._index

    @property
    def intervened_steps(self) -> int:
        """Intervened steps of the present episode."""
        return self._intervened

    def begin(self, seed: int = -1) -> None:
        """Start the next episode; its first tick makes the record with ``is_first``."""
        self._episode += 1
        self._running = True
        self._seed = seed
        self._zero_counters()
        self._arbiter.reset()
        if self._spec.reset.method != "none":
            self.grippers.reset()

    def tick(
        self,
        observation: Observation,
        outcome: Outcome,
        operators: Mapping[str, OperatorInput],
        propose: Callable[[Observation], Proposal] | None,
    ) -> Tick:
        """One control tick.

        Args:
            observation: o_t.
            outcome: Verdict on the state of o_t.
            operators: Arm name to the latest input of its device.
            propose: The policy; None when there is none (demonstrations).

        Returns:
            The record of this tick and what to execute. Terminal states are those of the task; the time limit only
            truncates.
        """
        if not self._running:
            raise RuntimeError("tick() without begin()")
        if self._start is None:
            self._start = observation.stamp
        self._last_stamp = observation.stamp
        reopened = tuple(self.grippers.observe(observation.arms))
        terminal, truncated = self._ended(outcome)
        reward = self._reward(outcome, terminal or truncated)
        self._return += reward
        arbitration = self._arbiter.update(observation.stamp, operators)
        if terminal or truncated:
            step = self._record(observation, None, None, Source.NONE, reward, True, terminal)
            reason = "success" if outcome.success else "failure" if outcome.failure else "time_limit"
            result = self._finish(outcome.success, truncated, False, reason)
            return Tick(step, None, arbitration, result, reopened)
        proposal = propose(observation) if propose is not None else None
        source = self._source(arbitration, proposal)
        if proposal is not None:
            self._version = proposal.version
        action = arbitration.action if source is not Source.POLICY or proposal is None else proposal.action
        action = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        step = self._record(observation, action, proposal, source, reward, False, False)
        self._move_grippers(action)
        self._count(source)
        self._index += 1
        return Tick(step, action, arbitration, None, reopened)

    @staticmethod
    def _source(arbitration: Arbitration, proposal: Proposal | None) -> Source:
        """Who gives the action: without a policy always the person, whose pauses are then pauses of the demonstration."""
        if proposal is None or arbitration.driven:
            return Source.HUMAN
        return Source.SCRIPT if arbitration.holding else Source.POLICY

    def _count(self, source: Source) -> None:
        """An intervention lasts until the policy drives again."""
        self._intervened += source is Source.HUMAN
        self._segments += source is Source.HUMAN and not self._was_active
        self._was_active = source is not Source.POLICY

    def _ended(self, outcome: Outcome) -> tuple[bool, bool]:
        """Whether the episode is terminated by the task, or truncated by the time limit."""
        at_limit = self._index >= self._spec.episode.max_steps
        decided = outcome.success or outcome.failure
        if self._runs_to_limit and not outcome.final and not at_limit:
            decided = False
        return decided, at_limit and not decided

    def _reward(self, outcome: Outcome, last: bool) -> float:
        if self._index == 0:
            return 0.0
        if outcome.reward is not None:
            return outcome.reward
        succeeded = outcome.success and (last or not self._runs_to_limit)
        return self._spec.reward.success_reward if succeeded else 0.0

    def _move_grippers(self, action: np.ndarray) -> None:
        """Notes the penalty that the next record carries, and what the grippers are told."""
        _, commands = self._layout.split(action)
        gripper = self._spec.action.gripper
        self._penalty = 0.0 if gripper is None else gripper.penalty * self.grippers.toggles(commands)
        self.grippers.command(commands)

    def abort(self, reason: str) -> EpisodeResult:
        """End the episode without a last record: its last step starts no transition, nothing false is learnt."""
        if not self._running:
            raise RuntimeError("abort() without an episode under way")
        return self._finish(False, True, True, reason)

    def _record(
        self,
        observation: Observation,
        action: np.ndarray | None,
        proposal: Proposal | None,
        source: Source,
        reward: float,
        is_last: bool,
        is_terminal: bool,
    ) -> Step:
        step = Step(
            stamp=observation.stamp,
            actor_id=self._actor_id,
            sequence=self._sequence,
            episode=self._episode,
            step_index=self._index,
            frames=observation.frames,
            state=observation.state,
            tcp_poses=observation.tcp_poses,
            action=action,
            policy_action=None if proposal is None else np.asarray(proposal.action, dtype=np.float32),
            source=source,
            reward=reward,
            grasp_penalty=self._penalty,
            is_first=self._index == 0,
            is_last=is_last,
            is_terminal=is_terminal,
            policy_version=-1 if proposal is None else proposal.version,
            spec_hash=self._hash,
        )
        self._sequence += 1
        return step

    def _finish(self, success: bool, truncated: bool, aborted: bool, reason: str) -> EpisodeResult:
        self._running = False
        start = self._start if self._start is not None else self._last_stamp
        return EpisodeResult(
            episode=self._episode,
            success=success,
            truncated=truncated,
            aborted=aborted,
            reason=reason,
            steps=self._index,
            intervened_steps=self._intervened,
            interventions=self._segments,
            duration=self._last_stamp - start,
            episode_return=self._return,
            policy_version=self._version,
            seed=self._seed,
        )
