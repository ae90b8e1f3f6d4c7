# SPDX-License-Identifier: Apache-2.0
"""Which reset the next episode needs."""

from __future__ import annotations

import numpy as np

from hil_serl_actor.loop.ports import LoopConfig, Reset
from hil_serl_actor.loop.rotation import Rotation
from hil_serl_core.episode import Mode


class ResetPlan:
    """Resets of the cell, by what the last episode left behind.

    Attributes:
        scene_is_lost: The scene is not one that the next episode can begin with: an episode failed or was cut off, or
            an agent has given its turn away unsolved. It is until the episode begins.
        answer_due: The cell is resetting, even if the loop no longer waits for it.
        seed: Of the initial state asked for last.
    """

    def __init__(self, config: LoopConfig, rotation: Rotation) -> None:
        self._config, self._rotation = config, rotation
        self.scene_is_lost = True
        self.answer_due = False
        self.seed = -1

    def next(self) -> Reset | None:
        """Reset before the next episode; None for a task without resets whose scene is as the last episode left it."""
        agent = self._rotation.agent
        entropy = [self._config.seed, list(Mode).index(self._config.mode), agent.runner.episode + 1]
        if self._rotation.turn:
            entropy.append(self._rotation.turn)
        self.seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        if agent.spec.reset.method == "none" and not self.scene_is_lost:
            return None
        goal = (agent.spec.sim.goal if agent.spec.sim else None) or ""
        return Reset(self.seed, self._rotation.resets_arm_only(self.scene_is_lost), goal)

    def left_to_person(self, objects_reset: bool) -> str:
        """What a person has to do before the episode can begin, for people; empty for nothing.

        Args:
            objects_reset: The cell has put the objects back with the arms.
        """
        task = self._rotation.agent.spec
        if task.reset.method == "human":
            return "reset the scene"
        # Reset-free until nobody knows where the objects are: a real cell moves its arms, but cannot lay objects back.
        if task.reset.method == "arm" and self.scene_is_lost and not objects_reset:
            return f"put the objects where task '{task.name}' begins"
        return ""
