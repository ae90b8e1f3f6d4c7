# SPDX-License-Identifier: Apache-2.0
"""What keeps the loop from its next episode, or a running one from its next tick."""

from __future__ import annotations

from dataclasses import dataclass

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.interruption import Interruption
from hil_serl_actor.loop.judge import Judge
from hil_serl_actor.loop.ports import LoopConfig, Ports
from hil_serl_actor.loop.reset_plan import ResetPlan
from hil_serl_actor.senses.faults import RECOVERY, SILENT_ARM, names_an_arm
from hil_serl_actor.senses.inputs import Inputs


@dataclass(frozen=True)
class Obstacle:
    """What a running episode's next tick fails on.

    Attributes:
        fault: Error of an arm, which pauses until a person has looked; empty for none.
        lost: Reason for which the episode ends; empty: it waits.
        warning: For people; empty: nothing to say.
    """

    fault: str = ""
    lost: str = ""
    warning: str = ""


class Readiness:
    """Looks at inputs, weights, labels and the cell, and tells people what is awaited."""

    def __init__(
        self,
        config: LoopConfig,
        inputs: Inputs,
        resets: ResetPlan,
        judge: Judge,
        interruption: Interruption,
        ports: Ports,
    ) -> None:
        self._lockstep, self._inputs, self._resets, self._judge = config.lockstep, inputs, resets, judge
        self._interruption, self._ports = interruption, ports

    def problems(self, agent: Agent, now: float) -> list[str]:
        """What is missing for a tick of an agent at ``now`` [s], for people."""
        found = self._inputs.missing(now)
        if self._lockstep and not agent.ready:
            found.append("policy_weights (waiting for the learner)")
        return found

    def obstacle(self, agent: Agent, now: float, begun: bool) -> Obstacle | None:
        """What keeps an agent's running episode from its tick at ``now`` [s]; None: nothing.

        Args:
            agent: Whose episode it is.
            now: Time [s].
            begun: The episode has had a tick; without its inputs nothing more can be decided in it.
        """
        missing = "; ".join(self.problems(agent, now))
        if missing and self._lockstep:  # time stands still until it is there
            return Obstacle()
        if missing and not begun:
            return Obstacle(warning=f"no complete observation: {missing}")
        if missing:
            return Obstacle(
                lost=f"lost {missing}",
                warning=f"paused: lost {missing}; the arm holds, every recorded step counts, and the next episode begins "
                "with a reset once everything is back",
            )
        if fault := self._inputs.fault():
            return Obstacle(fault=fault)
        if self._judge.waits_for_person(agent):  # the arm holds until the verdict is there (Table 11)
            return Obstacle(
                warning="the episode is over: label it success or failure (buttons, or the service label_episode)"
            )
        return None

    def silent_arms(self, now: float) -> str:
        """Arms that have been silent for so long that only a person may let them go on; empty for none.

        An emergency stop, a reflex or an inactive controller look like this, and who ends them may stand beside the arm.
        """
        if self._lockstep:
            return ""
        limit = max(SILENT_ARM, self._inputs.timeout)
        return " and ".join(self._inputs.silent_arms(now, limit))

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
