# SPDX-License-Identifier: Apache-2.0
"""Who says how an episode stands: a person, the task's reward model, the simulated cell's truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.ports import LoopConfig
from hil_serl_actor.senses.inputs import Inputs
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import Mode, Outcome
from hil_serl_core.observation import Observation
from hil_serl_core.rewards import label_of


class Judge:
    """A person's label rules over the reward model, and that over the cell's truth."""

    def __init__(self, config: LoopConfig, inputs: Inputs) -> None:
        self._recording = config.mode is Mode.RECORD_CLASSIFIER
        self._trusts_truth = config.await_truth
        self._inputs = inputs
        self._label: Outcome | None = None
        self._person: Outcome | None = None  # of the state judged last

    def begin(self, agent: Agent) -> None:
        """An episode of an agent begins."""
        self._label = None
        if agent.reward is not None:
            agent.reward.begin_episode()

    def label(self, outcome: Outcome) -> None:
        """A person's verdict; in classifier data it names the state of one step and ends nothing."""
        self._label = replace(outcome, final=False) if self._recording else outcome

    def waits_for_person(self, agent: Agent) -> bool:
        """The episode has run to its limit and a person is to judge it (Table 11), who has not done so yet."""
        by_person = agent.spec.reward.kind == "operator" and not self._recording
        at_limit = agent.runner.step_index >= agent.spec.episode.max_steps
        return by_person and at_limit and self._label is None

    def judge(
        self, agent: Agent, observation: Observation, operators: Mapping[str, OperatorInput]
    ) -> Outcome:
        """How the episode stands at this observation; takes a person's label."""
        if self._recording:
            button = agent.spec.intervention.success_button
            if any(device.pressed(button) for device in operators.values()):
                self._label = Outcome(success=True)
        judged = agent.reward.judge(observation) if agent.reward is not None else None
        self._person, self._label = self._label, None
        return self._person or judged or self._truth(agent) or Outcome()

    def state_class(self, agent: Agent, outcome: Outcome) -> str | None:
        """What is known about the state judged last besides a reward model's opinion, None for nothing.

        It labels classifier data, and shows later what a classifier got wrong while a policy trained on it.
        """
        known: Outcome | None = outcome
        if not self._recording:
            known = None if agent.reward is None else self._person or self._truth(agent)
        return None if known is None else label_of(known, agent.spec.reward.classifier)

    def _truth(self, agent: Agent) -> Outcome | None:
        """The simulated cell's verdict for the agent's goal."""
        verdict = self._inputs.verdict
        if not self._trusts_truth or verdict is None:
            return None
        return verdict.outcome(agent.spec.sim.goal if agent.spec.sim else None)
