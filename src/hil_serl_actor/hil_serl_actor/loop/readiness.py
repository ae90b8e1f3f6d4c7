# SPDX-License-Identifier: Apache-2.0
"""What keeps the loop from its next episode, or a running one from its next tick."""

from __future__ import annotations

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.interruption import Interruption
from hil_serl_actor.loop.ports import LoopConfig, Ports
from hil_serl_actor.loop.reset_plan import ResetPlan
from hil_serl_actor.senses.faults import RECOVERY, names_an_arm
from hil_serl_actor.senses.inputs import Inputs


class Readiness:
    """Looks at inputs, weights and the cell, and tells people what is awaited."""

    def __init__(
        self, config: LoopConfig, inputs: Inputs, resets: ResetPlan, interruption: Interruption, ports: Ports
    ) -> None:
        self._lockstep, self._inputs, self._resets = config.lockstep, inputs, resets
        self._interruption, self._ports = interruption, ports

    def problems(self, agent: Agent, now: float) -> list[str]:
        """What is missing for a tick of an agent at ``now`` [s], for people."""
        found = self._inputs.missing(now)
        if self._lockstep and not agent.ready:
            found.append("policy_weights (waiting for the learner)")
        return found

    def may_begin(self, agent: Agent, now: float) -> bool:
        """Whether the next episode may begin with its reset; in real time nothing is moved blindly."""
        if self._resets.answer_due:
            self._ports.warn("waiting for the end of the reset that the cell is still making")
            return False
        if not self._lockstep:
            missing = self._inputs.missing(now)
            if missing:
                hint = f"; if an arm had an error: {RECOVERY}" if names_an_arm(missing) else ""
                self._ports.warn("waiting for " + "; ".join(missing) + hint)
            if not self._interruption.over(now, not missing):
                return False
        if not agent.ready:
            self._ports.warn("waiting for policy_weights from the learner")
            return False
        if cause := self._interruption.end():
            self._ports.warn(f"everything is back after: {cause}; going on")
        return True
