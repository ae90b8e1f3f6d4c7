# SPDX-License-Identifier: Apache-2.0
"""Episodes in a cell without ROS, with the actor's own mapping of actions and arbitration of the operator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hil_serl_core.action import ActionMapper, ArmCommand
from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.observation import ArmSample
from hil_serl_sim.cell import Cell
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.twin import SceneView

Policy = Callable[[SceneView], np.ndarray]
"""From what a person sees to an action vector (A,), see hil_serl_core.action.ActionLayout."""


@dataclass(frozen=True)
class Episode:
    """How an episode went.

    Attributes:
        success: the cell's truth at its end.
        steps: transitions.
        intervened: transitions with an action of the operator.
        interventions: lengths of the operator's uninterrupted turns [steps].
        toggles: gripper commands that opened or closed a gripper.
        largest_force: of the environment on a tool at the end of a step [N].
    """

    success: bool
    steps: int
    intervened: int = 0
    interventions: tuple[int, ...] = ()
    toggles: int = 0
    largest_force: float = 0.0


class Driver:
    """Applies action vectors to a cell.

    Args:
        cell: the cell; reset it through the driver, so that both agree on what the grippers were told.
    """

    def __init__(self, cell: Cell):
        self.cell = cell
        self._mapper = ActionMapper(cell.spec)

    def reset(self, seed: int | None = None, arm_only: bool = False) -> None:
        """New initial state, see :meth:`Cell.reset`."""
        self.cell.reset(seed, arm_only)
        self._mapper.grippers.reset()
        self.observe()

    def toggles(self, action: np.ndarray) -> int:
        """How many grippers an action (A,) would open or close."""
        return self._mapper.grippers.toggles(action[self.cell.spec.continuous_size :])

    def step(self, action: np.ndarray) -> None:
        """One control period of an action (A,)."""
        self.cell.advance(self.commands(action))
        self.observe()

    def observe(self) -> None:
        """Once a control period, for those who advance the cell by themselves: see :meth:`GripperStates.observe`."""
        self._mapper.grippers.observe(self._samples())

    def commands(self, action: np.ndarray) -> dict[str, ArmCommand]:
        """What an action (A,) makes the actor tell each arm in the present state."""
        return self._mapper.commands(action, self._samples())

    def _samples(self) -> dict[str, ArmSample]:
        return {name: self.cell.sample(name) for name in self.cell.spec.arm_names}


def run_episode(
    cell: Cell,
    seed: int | None,
    policy: Policy | None,
    operator: ScriptedOperator | None = None,
    arm_only: bool = False,
) -> Episode:
    """One episode, until success, failure or the task's time limit.

    Args:
        cell: the cell.
        seed: of the initial state.
        policy: drives where the operator does not; None: the arms stand still then.
        operator: a person with a mode; None: nobody.
        arm_only: see :meth:`Cell.reset`.
    """
    driver, arbiter = Driver(cell), InterventionArbiter(cell.spec)
    driver.reset(seed, arm_only)
    steps = intervened = toggles = 0
    turns, largest = [0], 0.0
    while steps < cell.spec.episode.max_steps:
        view, truth = cell.view(), cell.truth()
        if truth.success or truth.failure:
            break
        driven, action = False, np.zeros(cell.spec.action_size, dtype=np.float32)
        if operator is not None:
            devices = operator.act(view, cell.resets)
            inputs = {
                arm: OperatorInput(view.stamp, d.axes, [bool(b) for b in d.buttons])
                for arm, d in devices.items()
            }
            decision = arbiter.update(view.stamp, inputs)
            driven, action = decision.active, decision.action
            intervened += decision.driven
            turns = [*turns[:-1], turns[-1] + 1] if driven else [*turns, 0] if turns[-1] else turns
        demonstrated = operator is not None and operator.mode is OperatorMode.DEMONSTRATE
        if policy is not None and not driven and not demonstrated:
            action = policy(view)
        toggles += driver.toggles(action)
        driver.step(action)
        largest = max(largest, *(float(np.linalg.norm(a.reading().wrench[:3])) for a in cell.arms.values()))
        steps += 1
    return Episode(cell.truth().success, steps, intervened, tuple(t for t in turns if t), toggles, largest)
