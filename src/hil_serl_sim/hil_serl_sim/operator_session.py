# SPDX-License-Identifier: Apache-2.0
"""Lines up what the scripted operator sees by stamp and follows the actor's announcements. No ROS."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.operator import DeviceInput, OperatorMode, ScriptedOperator
from hil_serl_sim.twin import Guide, SceneView, base_pose

MODES = {
    "record_demos": OperatorMode.DEMONSTRATE,
    "record_classifier": OperatorMode.COLLECT,
    "train": OperatorMode.SUPERVISE,
    "eval": OperatorMode.OFF,
}
"""Actor mode, as in EpisodeSummary.mode, to what the operator does in it."""


@dataclass(frozen=True)
class ArmSight:
    """One ArmState message; pose and twist in the arm's base frame.

    Attributes:
        stamp_ns: time.
        tcp_pose: (7,)
        tcp_twist: (6,)
        gripper: opening 0..1, NaN without.
    """

    stamp_ns: int
    tcp_pose: np.ndarray
    tcp_twist: np.ndarray
    gripper: float


@dataclass(frozen=True)
class ScenePoses:
    """One SceneTruth message; poses in the world frame."""

    stamp_ns: int
    resets: int
    success: bool
    failure: bool
    poses: Mapping[str, np.ndarray]
    goals: Mapping[str, bool] = field(default_factory=dict)


class OperatorSession:
    """Answers each view of the scene once all views of its tick are there.

    Args:
        spec: for the arms' bases.
        operator: the person.
        mode: fixed mode, or None: the one that the actor announces at the start of each episode.
        lockstep: arm states and scene must carry one stamp, and an episode's first answer waits for its
            announcement, so that it does not depend on which message came first. Else the latest arm states
            serve.
        patience: wall time to wait for an announcement [s]; an operator started late has missed it.
        partners: further tasks of the same cell (forward and backward) and how they are done; the actor announces
            which one an episode is of.
    """

    def __init__(
        self,
        spec: TaskSpec,
        operator: ScriptedOperator,
        mode: OperatorMode | None,
        lockstep: bool,
        patience: float = 3.0,
        partners: Sequence[tuple[TaskSpec, Guide]] = (),
    ):
        self._guides = {
            task.name: (guide, _goal(task)) for task, guide in [(spec, operator.guide), *partners]
        }
        self._goal = _goal(spec)
        self._operator, self._fixed, self._lockstep = operator, mode, lockstep
        self._period, self._patience = spec.period, patience
        self._bases = {arm: base_pose(spec, arm) for arm in spec.arm_names}
        operator.mode = mode or OperatorMode.OFF
        self._arms: dict[str, ArmSight] = {}
        self._scene: ScenePoses | None = None
        self._announced = -1  # stamp of the last announced episode start
        self._episode: tuple[int, int, float] = (
            -1,
            0,
            0.0,
        )  # resets, first stamp, wall time of the first sight
        self._last = -math.inf

    def announce(self, actor_mode: str, stamp_ns: int, task: str = "") -> None:
        """The actor starts an episode whose first state has this stamp.

        Args:
            actor_mode: as in EpisodeSummary.
            stamp_ns: of the first state.
            task: name of the episode's task; empty: the only one.

        Raises:
            ValueError: the actor is in a mode, or at a task, that the operator does not know.
        """
        if task and task not in self._guides:
            raise ValueError(
                f"the actor announces task '{task}', the operator was started for {sorted(self._guides)}"
            )
        if task:
            self._operator.guide, self._goal = self._guides[task]
        if actor_mode not in MODES:
            raise ValueError(f"the actor announces mode '{actor_mode}', the operator knows {sorted(MODES)}")
        self._announced = max(self._announced, stamp_ns)
        if self._fixed is None:
            self._operator.mode = MODES[actor_mode]

    def see_arm(self, arm: str, sight: ArmSight) -> None:
        """Take an arm state."""
        self._arms[arm] = sight

    def see_scene(self, scene: ScenePoses, wall: float) -> None:
        """Take a view of the scene, at a wall time [s]."""
        self._scene = scene
        if scene.resets != self._episode[0]:
            self._episode = (scene.resets, scene.stamp_ns, wall)

    def answer(self, wall: float) -> tuple[int, Mapping[str, DeviceInput]] | None:
        """Stamp [ns] and device inputs for the present tick, or None while something is missing.

        The same tick may be asked for again and gets the same answer.
        """
        scene = self._scene
        if scene is None or len(self._arms) < len(self._bases):
            return None
        if self._lockstep:
            if any(arm.stamp_ns != scene.stamp_ns for arm in self._arms.values()) or not self._mode_known(
                wall
            ):
                return None
        elif 0.0 <= scene.stamp_ns * 1e-9 - self._last < self._period - 1e-3:  # not where time began anew
            return None
        self._last = scene.stamp_ns * 1e-9
        done = scene.failure or scene.goals.get(self._goal, scene.success)
        return scene.stamp_ns, self._operator.act(self._view(scene), scene.resets, done)

    def _view(self, scene: ScenePoses) -> SceneView:
        tcp, twist, gripper = {}, {}, {}
        for name, base in self._bases.items():
            arm, turn = self._arms[name], geometry.rotation_of(base)
            tcp[name] = geometry.compose(base, arm.tcp_pose) if name else arm.tcp_pose
            twist[name] = np.concatenate([turn.apply(arm.tcp_twist[:3]), turn.apply(arm.tcp_twist[3:])])
            gripper[name] = arm.gripper
        return SceneView(scene.stamp_ns * 1e-9, tcp, twist, gripper, scene.poses)

    def _mode_known(self, wall: float) -> bool:
        _, first, since = self._episode
        return self._fixed is not None or self._announced >= first or wall - since > self._patience


def _goal(spec: TaskSpec) -> str:
    return (spec.sim.goal if spec.sim is not None else None) or ""
