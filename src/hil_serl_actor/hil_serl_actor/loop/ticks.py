# SPDX-License-Identifier: Apache-2.0
"""The ticks of a running episode: look, decide, make the record durable, send it, and only then act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.judge import Judge
from hil_serl_actor.loop.ports import LogFull, Ports
from hil_serl_actor.senses.inputs import Inputs
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeResult, Outcome, Tick
from hil_serl_core.observation import Observation


@dataclass(frozen=True)
class Seen:
    """What a tick decides on: the observation, the devices by arm, and how the episode stands."""

    observation: Observation
    operators: Mapping[str, OperatorInput]
    outcome: Outcome


class Ticks:
    """Makes the ticks of one episode after another.

    Attributes:
        pending: Tick whose record the disk has refused; it is kept until it can be written.
    """

    def __init__(
        self, inputs: Inputs, judge: Judge, ports: Ports, finish: Callable[[EpisodeResult, float], None]
    ) -> None:
        """``finish``: called with the result of an episode that a tick has ended, and the tick's stamp [s]."""
        self._inputs, self._judge, self._ports, self._finish = inputs, judge, ports, finish
        self.pending: Tick | None = None
        self._class: str | None = None  # of the state of the last tick, for classifier data
        self._reset_poses: dict[str, np.ndarray] | None = None

    @property
    def begun(self) -> bool:
        """The present episode has had a tick."""
        return self._reset_poses is not None

    def begin(self) -> None:
        """The next tick is the first of an episode."""
        self._reset_poses = None

    def look(self, agent: Agent, now: float) -> Seen:
        """Take the inputs of the tick at ``now`` [s]; call only when nothing is missing."""
        if self._reset_poses is None:
            self._reset_poses = self._inputs.poses
        observation = self._inputs.assembler.assemble(now, self._reset_poses)
        operators = self._inputs.operators.take()
        return Seen(observation, operators, self._judge.judge(agent, observation, operators))

    def act(self, agent: Agent, seen: Seen) -> bool:
        """Decide and execute. False when the disk is full: nothing was executed, the tick is pending."""
        policy = agent.policy
        propose = None if policy is None else (lambda view: policy.propose(view, agent.transition))
        tick = agent.runner.tick(seen.observation, seen.outcome, seen.operators, propose)
        self._class = self._judge.state_class(agent, seen.outcome)
        for arm in tick.reopened:
            self._ports.warn(
                f"the {arm + ' ' if arm else ''}gripper is open though it was told to close: something else opened it, or "
                "it did not obey within action.gripper.travel_time of the task file; it counts as open until it is told to "
                "close again"
            )
        return self._commit(agent, tick)

    def retry(self, agent: Agent) -> bool:
        """Make the pending tick as if its time were now (lockstep). False when the disk is still full."""
        assert self.pending is not None
        return self._commit(agent, self.pending)

    def save_pending(self) -> bool:
        """Keep a record that the disk had refused, without acting on it; it may end its episode. False if still full."""
        tick = self.pending
        if tick is None:
            return True
        if not self._record(tick):
            return False
        if tick.result is not None:
            self._finish(tick.result, tick.step.stamp)
        return True

    def _commit(self, agent: Agent, tick: Tick) -> bool:
        if not self._record(tick, "; the arm holds until the record can be written"):
            return False
        if tick.action is not None:
            arms = self._inputs.arms
            assert arms is not None
            agent.transition += 1
            self._ports.send_commands(agent.mapper.commands(tick.action, arms), tick.step.stamp)
        self._ports.report_tick(tick, agent.runner)
        if tick.result is not None:
            self._finish(tick.result, tick.step.stamp)
        return True

    def _record(self, tick: Tick, consequence: str = "") -> bool:
        self.pending = None
        try:
            self._ports.log_step(tick.step)
        except LogFull as error:
            self.pending = tick
            self._ports.warn(f"{error}{consequence}")
            return False
        if self._class is not None:
            self._ports.label_step(tick.step, self._class)
        self._ports.send_step(tick.step)
        return True
