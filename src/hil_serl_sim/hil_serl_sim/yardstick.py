# SPDX-License-Identifier: Apache-2.0
"""What the scripted expert makes of a disturbed episode: how much of it can be solved at all (HIL-SERL paper, Sec. 4.4).

A disturbance may leave a state from which hardly anybody solves the task in the time that is left, such as a bar that two
opened grippers have dropped. A policy's success under it says something only beside the expert's from the same states.
"""

from collections.abc import Sequence

import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.cell import Cell
from hil_serl_sim.expert import Expert
from hil_serl_sim.repeating import deviation
from hil_serl_sim.rollout import Episode, run_episode
from hil_serl_sim.twin import SceneView


class Yardstick:
    """A cell whose every episode is disturbed, and the expert in it.

    Args:
        spec: The task.
        kind: One of the twin's perturbations; None: no disturbance.
        step: Control step at which it happens.

    Raises:
        ValueError: The twin cannot be disturbed in this way.
    """

    def __init__(self, spec: TaskSpec, kind: str | None, step: int) -> None:
        self._cell = Cell(spec, seed=0, perturbation=None if kind is None else (kind, step))
        self._expert = Expert(spec, self._cell.twin.guide())

    def episode(self, seed: int, lead: Sequence[np.ndarray] = (), poses: np.ndarray | None = None) -> Episode:
        """One episode, which the expert takes over from whoever made the first actions.

        Args:
            seed: Of the initial state.
            lead: Recorded actions (A,) from the first on; empty: the expert does everything.
            poses: (arms, 7) recorded tcp poses of the state in which the expert takes over, to compare; base frames.

        Raises:
            NotReproducedError: After these actions the arms are elsewhere.
        """
        actions = iter(lead)
        waiting = [poses] if poses is not None else []

        def act(view: SceneView) -> np.ndarray:
            action = next(actions, None)
            if action is not None:
                return action
            if waiting:
                self._compare(seed, waiting.pop())
            return self._expert.action(view)

        return run_episode(self._cell, seed, act)

    def _compare(self, seed: int, recorded: np.ndarray) -> None:
        poses = np.stack([self._cell.arm_state(arm).pose for arm in self._cell.spec.arm_names])
        deviation(f"the disturbed state of seed {seed}", poses, recorded)

    def close(self) -> None:
        """Free the cell."""
        self._cell.close()
