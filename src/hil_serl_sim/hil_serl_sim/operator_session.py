# SPDX-License-Identifier: Apache-2.0
"""Lines up what the scripted operator sees by stamp and follows the actor's announcements. No ROS."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil_serl_sim.operator import DeviceInput, OperatorMode, ScriptedOperator

MODES = {"record_demos": OperatorMode.DEMONSTRATE, "train": OperatorMode.SUPERVISE, "eval": OperatorMode.OFF}
"""Actor mode, as in EpisodeSummary.mode, to what the operator does in it."""


@dataclass(frozen=True)
class SceneView:
    """One SceneTruth message."""

    stamp_ns: int
    resets: int
    done: bool
    poses: Mapping[str, np.ndarray]


class OperatorSession:
    """Answers each view of the scene once both views of its tick are there.

    Args:
        operator: the person.
        mode: fixed mode, or None: the one that the actor announces at the start of each episode.
        lockstep: arm state and scene must carry one stamp, and an episode's first answer waits for its
            announcement, so that it does not depend on which message came first. Else the latest arm state
            serves.
        period: time between answers [s], when not in lockstep.
        patience: wall time to wait for an announcement [s]; an operator started late has missed it.
    """

    def __init__(
        self,
        operator: ScriptedOperator,
        mode: OperatorMode | None,
        lockstep: bool,
        period: float,
        patience: float = 3.0,
    ):
        self._operator, self._fixed, self._lockstep = operator, mode, lockstep
        self._period, self._patience = period, patience
        operator.mode = mode or OperatorMode.OFF
        self._arm: tuple[int, np.ndarray] | None = None
        self._scene: SceneView | None = None
        self._announced = -1  # stamp of the last announced episode start
        self._episode: tuple[int, int, float] = (
            -1,
            0,
            0.0,
        )  # resets, first stamp, wall time of the first sight
        self._last = -math.inf

    def announce(self, actor_mode: str, stamp_ns: int) -> None:
        """The actor starts an episode whose first state has this stamp.

        Raises:
            ValueError: the actor is in a mode that the operator does not know.
        """
        if actor_mode not in MODES:
            raise ValueError(f"the actor announces mode '{actor_mode}', the operator knows {sorted(MODES)}")
        self._announced = max(self._announced, stamp_ns)
        if self._fixed is None:
            self._operator.mode = MODES[actor_mode]

    def see_arm(self, stamp_ns: int, tcp_pose: np.ndarray) -> None:
        """Take an arm state."""
        self._arm = (stamp_ns, tcp_pose)

    def see_scene(self, scene: SceneView, wall: float) -> None:
        """Take a view of the scene, at a wall time [s]."""
        self._scene = scene
        if scene.resets != self._episode[0]:
            self._episode = (scene.resets, scene.stamp_ns, wall)

    def answer(self, wall: float) -> tuple[int, DeviceInput] | None:
        """Stamp [ns] and device input for the present tick, or None while something is missing.

        The same tick may be asked for again and gets the same answer.
        """
        arm, scene = self._arm, self._scene
        if arm is None or scene is None:
            return None
        if self._lockstep:
            if arm[0] != scene.stamp_ns or not self._mode_known(wall):
                return None
        elif scene.stamp_ns * 1e-9 < self._last + self._period - 1e-3:
            return None
        self._last = scene.stamp_ns * 1e-9
        return scene.stamp_ns, self._operator.act(
            scene.stamp_ns * 1e-9, scene.resets, arm[1], scene.poses, scene.done
        )

    def _mode_known(self, wall: float) -> bool:
        _, first, since = self._episode
        return self._fixed is not None or self._announced >= first or wall - since > self._patience
