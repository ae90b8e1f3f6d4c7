# SPDX-License-Identifier: Apache-2.0
"""From a policy action to commands of the arms: layout of the vector, ego-centric twist, wrench, gripper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.grippers import GripperStates
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import ArmSpec, TaskSpec
from hil_serl_core.spec.action import WRENCH_AXES

CLOSE, STAY, OPEN = -1.0, 0.0, 1.0
"""Gripper commands in an action vector."""


class ActionLayout:
    """Parts of the action vector: continuous components arm by arm, then one command per gripper.

    The discrete action of the grasp critic is ``index = sum_k (g_k + 1) 3^k`` over grippers k with commands g_k in
    {-1 close, 0 stay, +1 open}: 3 actions for one gripper, 9 for two (Sec. 3.3).
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.continuous_size = spec.continuous_size
        self.gripper_count = spec.grippers
        self.size = spec.action_size
        self.choices = spec.grasp_choices
        self._weights = 3 ** np.arange(self.gripper_count)

    def split(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., A) into continuous components (..., C) and gripper commands (..., G)."""
        return action[..., : self.continuous_size], action[..., self.continuous_size :]

    def index(self, grippers: np.ndarray) -> np.ndarray:
        """Discrete action (...,) int64 of gripper commands (..., G), each rounded to -1, 0 or 1."""
        commands = np.clip(np.rint(grippers), -1, 1).astype(np.int64)
        return ((commands + 1) * self._weights).sum(axis=-1)

    def grippers(self, index: int) -> np.ndarray:
        """Gripper commands (G,) float32 of a discrete action."""
        return (index // self._weights % 3 - 1).astype(np.float32)

    def join(self, continuous: np.ndarray, index: int = 0) -> np.ndarray:
        """(A,) float32 from continuous components (C,) and a discrete action."""
        return np.concatenate([continuous, self.grippers(index)]).astype(np.float32)


@dataclass(frozen=True)
class ArmCommand:
    """What one arm is told at one tick.

    Attributes:
        pose: (7,) target of the tcp in the arm's base frame [m, xyzw]; in wrench tasks only to hold the arm, else None.
        wrench: (6,) feed-forward force and torque in the tcp frame [N, Nm]; None in twist tasks.
        gripper: Opening to hold, 0 closed to 1 open; None: as it was told last.
    """

    pose: np.ndarray | None = None
    wrench: np.ndarray | None = None
    gripper: float | None = None


class TwistMapper:
    """Maps a 6-D action in [-1, 1] (tcp frame) to a target pose in the base frame.

    The target is the *measured* pose displaced by the action, not the last target: a target that runs away in contact
    would press ever harder (42-50 N against 19-27 N in the RAM twin).
    """

    def __init__(self, spec: TaskSpec, arm: str = "") -> None:
        """Raises ValueError if the task's action is no twist."""
        action = spec.action
        if action.translation_scale is None or action.rotation_scale is None:
            raise ValueError(f"task '{spec.name}' has a {action.kind} action, not a twist")
        self._scale = np.repeat([action.translation_scale, action.rotation_scale], 3)
        self._nominal = nominal_pose(spec.arm(arm))
        workspace = spec.arm(arm).workspace
        self._lower = self._nominal[:3] + workspace.lower
        self._upper = self._nominal[:3] + workspace.upper
        self._max_rotation = workspace.max_rotation

    def target(self, action: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Target pose for one action.

        Args:
            action: (6,) in [-1, 1]; values outside are clipped.
            measured: (7,) measured tcp pose, base frame.

        Returns:
            (7,) target inside the workspace box, never further from ``measured`` than one full action reaches, even when
            ``measured`` lies outside the box: the arm comes back step by step instead of jumping.

        Raises:
            ValueError: ``action`` is not a finite (6,) vector.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (6,) or not np.isfinite(action).all():
            raise ValueError(f"a twist action needs 6 finite numbers, got {action.tolist()}")
        body_twist = np.clip(action, -1.0, 1.0) * self._scale
        # App. D.1: the body twist mapped to the base frame by the adjoint; exp(Ad V) T equals T exp(V).
        wanted = geometry.compose(geometry.exp(geometry.adjoint(measured) @ body_twist), measured)
        return self._inside(wanted, measured)

    def _inside(self, wanted: np.ndarray, measured: np.ndarray) -> np.ndarray:
        position = np.clip(wanted[:3], self._lower, self._upper)
        offset = position - measured[:3]
        reach = np.sqrt(3.0) * self._scale[0]
        distance = float(np.linalg.norm(offset))
        if distance > reach:
            position = measured[:3] + offset * (reach / distance)
        rotation = geometry.rotation_of(wanted)
        nominal = geometry.rotation_of(self._nominal)
        tilt = (nominal.inv() * rotation).as_rotvec()
        angle = float(np.linalg.norm(tilt))
        if angle > self._max_rotation:
            rotation = nominal * Rotation.from_rotvec(tilt * (self._max_rotation / angle))
            turn = (geometry.rotation_of(measured).inv() * rotation).as_rotvec()
            turn_reach = np.sqrt(3.0) * self._scale[3]
            turn_angle = float(np.linalg.norm(turn))
            if turn_angle > turn_reach:
                rotation = geometry.rotation_of(measured) * Rotation.from_rotvec(
                    turn * (turn_reach / turn_angle)
                )
        return geometry.make_pose(position, rotation)


class ActionMapper:
    """Maps an action vector to one command per arm."""

    def __init__(self, spec: TaskSpec, grippers: GripperStates | None = None) -> None:
        """Shares ``grippers`` with an episode runner if given; else it keeps its own."""
        self._layout = ActionLayout(spec)
        self._arms = spec.arm_names
        self._per_arm = spec.action.per_arm
        self._twist = (
            {arm: TwistMapper(spec, arm) for arm in self._arms} if spec.action.kind == "twist" else {}
        )
        self._wrench_index = [WRENCH_AXES.index(axis) for axis in spec.action.wrench_axes]
        self._wrench_scale = np.array(spec.action.wrench_scale)
        self.grippers = grippers or GripperStates(spec)

    def commands(self, action: np.ndarray, measured: Mapping[str, ArmSample]) -> dict[str, ArmCommand]:
        """Commands for one action.

        Args:
            action: (A,) in [-1, 1], see ``ActionLayout``.
            measured: Arm name to its measured state.

        Raises:
            ValueError: ``action`` is not a finite (A,) vector.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (self._layout.size,) or not np.isfinite(action).all():
            raise ValueError(
                f"this task's action has {self._layout.size} finite numbers, got {action.tolist()}"
            )
        continuous, grippers = self._layout.split(action)
        openings = self.grippers.command(grippers)
        result = {}
        for k, arm in enumerate(self._arms):
            part = continuous[k * self._per_arm : (k + 1) * self._per_arm]
            opening = openings[k] if openings else None
            if self._twist:
                pose = self._twist[arm].target(part, measured[arm].tcp_pose)
                result[arm] = ArmCommand(pose=pose, gripper=opening)
            else:
                result[arm] = ArmCommand(wrench=self._wrench(part), gripper=opening)
        return result

    def _wrench(self, part: np.ndarray) -> np.ndarray:
        wrench = np.zeros(6)
        wrench[self._wrench_index] = np.clip(part, -1.0, 1.0) * self._wrench_scale
        return wrench


def nominal_pose(arm: ArmSpec) -> np.ndarray:
    """(7,) nominal tcp pose at reset in the arm's base frame [m, xyzw]."""
    return geometry.make_pose(np.array(arm.nominal_position), Rotation.from_rotvec(arm.nominal_rotation))


def workspace_box(arm: ArmSpec) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of an arm's workspace, (3,) each, base frame [m]."""
    nominal = np.array(arm.nominal_position)
    return nominal + arm.workspace.lower, nominal + arm.workspace.upper
