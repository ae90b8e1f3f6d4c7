# SPDX-License-Identifier: Apache-2.0
"""Learning methods by name: what each takes from demonstrations, operator and robot. No torch, no ROS."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from hil_serl_core.spec import TaskSpec


@dataclass(frozen=True)
class Method:
    """What a method uses; actor, learner and bringup read it here.

    Attributes:
        name: Value of ``algorithm:=``.
        summary: One line for people.
        uses_demonstrations: Demonstrations must be recorded before training.
        needs_operator: Interventions are part of the method; without it nobody drives while it trains.
        needs_online_data: The actor runs while the learner trains; without it training is offline and ends by
            itself.
        explores: The actor samples actions while it trains; else it takes the policy's mode, because cloning
            trains no standard deviation.
    """

    name: str
    summary: str
    uses_demonstrations: bool
    needs_operator: bool
    needs_online_data: bool
    explores: bool

    def check(self, spec: TaskSpec) -> None:
        """Refuses a task that the method cannot be used on.

        Raises:
            MethodError: Says why and what to do.
        """
        if spec.reward.kind == "vice" and not self.uses_demonstrations:
            raise MethodError(
                f"algorithm '{self.name}' cannot be used on task '{spec.name}': the reward 'vice' takes goal "
                "pictures from demonstrations, which this algorithm goes without; use serl or hil_serl, or "
                "another reward"
            )
        if spec.reward.kind == "operator" and self.needs_online_data and not self.needs_operator:
            raise MethodError(
                f"algorithm '{self.name}' cannot be used on task '{spec.name}': its reward is the operator's "
                "label, and this algorithm runs without an operator; use hil_serl, or another reward"
            )


class MethodError(ValueError):
    """No such method, or one that a task cannot use; the message says what to do."""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("hil_serl", "RLPD with demonstrations and interventions", True, True, True, True),
        Method("serl", "RLPD with demonstrations, nobody intervenes", True, False, True, True),
        Method(
            "rlpd_scratch", "RL from scratch: no demonstrations, nobody intervenes", False, False, True, True
        ),
        Method("bc", "behaviour cloning on the demonstrations", True, False, False, False),
        Method("hg_dagger", "cloning of demonstrations and interventions", True, True, True, False),
    )
}
"""Every method, in the order of a menu."""


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        MethodError: There is none; names the nearest and all.
    """
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise MethodError(f"no algorithm named '{name}'; {hint}use one of {', '.join(METHODS)}")
