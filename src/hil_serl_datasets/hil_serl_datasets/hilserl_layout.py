# SPDX-License-Identifier: Apache-2.0
"""Where HIL-SERL's original release keeps what our record keeps, as an explicit mapping with a default."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.camera import CameraSpec
from hil_serl_datasets.errors import DatasetError

Ranges = tuple[tuple[int, int], ...]

ARM_SIZE = 19
ARM_LAYOUT: dict[str, Ranges] = {
    "gripper": ((0, 1),),
    "tcp_wrench": ((1, 4), (10, 13)),
    "tcp_pose": ((4, 10),),
    "tcp_twist": ((13, 19),),
}
"""HIL-SERL's state of one arm, 19 numbers, its parts sorted by name: gripper_pose 1, tcp_force 3, tcp_pose 6, tcp_torque 3,
tcp_vel 6. With two arms the left one's stand before the right one's. Units and frames are ours: [m, rad, N, Nm], the pose
relative to the reset pose, velocity and force in the tcp frame; its rotation is in extrinsic xyz Euler angles."""

_OPTION = re.compile(r"(?P<part>[a-z_/]+)=(?P<ranges>\d+:\d+(,\d+:\d+)*)")


@dataclass(frozen=True)
class Layout:
    """Mapping of one task.

    Attributes:
        spec: The task.
        state: State part to the ranges of the state vector that make it up, in order.
        size: Length that the state vector must have, None if only its ranges matter.
        euler: ``tcp_pose`` holds Euler angles, not a rotation vector.
        cameras: Camera to key of the observation.
        absolute: ``tcp_pose`` is the pose in the base frame, not relative to the reset pose.
        resets: Arm to its (7,) reset pose in the base frame, where a person said it.
    """

    spec: TaskSpec
    state: Mapping[str, Ranges]
    size: int | None
    euler: bool
    cameras: Mapping[str, str]
    absolute: bool = False
    resets: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        spec: TaskSpec,
        state: Sequence[str] = (),
        rotation: str = "euler",
        cameras: Sequence[str] = (),
        *,
        absolute: bool = False,
        resets: Sequence[str] = (),
    ) -> Layout:
        """HIL-SERL's layout, or what a person says.

        Args:
            spec: The task.
            state: ``PART=FIRST:END[,FIRST:END]`` each; all that the task has, or none.
            rotation: ``euler`` or ``rotation_vector``.
            cameras: ``CAMERA=KEY`` each.
            absolute: ``tcp_pose`` is in the base frame.
            resets: ``[ARM=]X,Y,Z,ROLL,PITCH,YAW`` each [m, rad], as HIL-SERL's ``RESET_POSE``.

        Raises:
            DatasetError: An option names no part or camera of the task, its ranges have another length, or a part of the
                task is nowhere.
        """
        given = dict(_parse_state(text, spec) for text in state)
        ranges = given or {
            f"{arm}/{part}" if arm else part: tuple((a + k * ARM_SIZE, b + k * ARM_SIZE) for a, b in where)
            for k, arm in enumerate(spec.arm_names)
            for part, where in ARM_LAYOUT.items()
        }
        missing = [part for part in spec.state_sizes if part not in ranges]
        if missing:
            parts = " ".join(f"--state {part}=FIRST:END" for part in spec.state_sizes)
            raise DatasetError(
                f"where is the task's state part '{missing[0]}' in the file? Say it for all: {parts}"
            )
        size = None if given else ARM_SIZE * len(spec.arm_names)
        known = dict(_parse_reset(text, spec) for text in resets)
        return cls(spec, ranges, size, rotation == "euler", _parse_cameras(cameras, spec), absolute, known)

    def state_of(self, observation: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
        """State parts, float32, of an observation; DatasetError with the numbers if its vector is another."""
        vector = np.asarray(_get(observation, "state", where), dtype=np.float64)
        vector = vector[0] if vector.ndim == 2 and len(vector) == 1 else vector
        least = self.size or max(end for ranges in self.state.values() for _, end in ranges)
        if vector.ndim != 1 or len(vector) < least or (self.size is not None and len(vector) != self.size):
            want = f"{self.size} numbers ({ARM_SIZE} an arm)" if self.size else f"at least {least} numbers"
            raise DatasetError(
                f"{where}: the state has shape {vector.shape}, expected {want}; say where its parts are with --state"
            )
        parts = {}
        for part in self.spec.state_sizes:
            values = np.concatenate([vector[first:end] for first, end in self.state[part]])
            if self.euler and part.endswith("tcp_pose"):
                values[3:] = Rotation.from_euler("xyz", values[3:]).as_rotvec()
            parts[part] = values.astype(np.float32)
        return parts

    def frames_of(self, observation: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
        """Camera to (H, W, 3) uint8 of an observation; DatasetError with the numbers if a size is another."""
        return {
            camera.name: _frame(_get(observation, self.cameras[camera.name], where), camera, where)
            for camera in self.spec.cameras
        }

    def recorded_action(self, action: Any, where: str) -> np.ndarray:
        """(arms, A / arms) float64 as recorded; HIL-SERL's order is arm by arm, each with its gripper last."""
        values = np.asarray(action, dtype=np.float64).ravel()
        if len(values) != self.spec.action_size:
            raise DatasetError(
                f"{where}: the action has {len(values)} numbers, task '{self.spec.name}' has {self.spec.action_size}"
            )
        if not np.isfinite(values).all():
            raise DatasetError(f"{where}: the action holds NaN or infinity")
        return values.reshape(len(self.spec.arm_names), -1)

    def action_of(self, action: Any, where: str) -> np.ndarray:
        """(A,) float32 as it was executed: clipped to [-1, 1], grippers last, each -1 close, 0 stay or 1 open."""
        arms = self.recorded_action(action, where)
        continuous = np.clip(arms[:, : self.spec.action.per_arm], -1.0, 1.0)
        grippers = arms[:, self.spec.action.per_arm :]
        commands = np.sign(grippers) * (np.abs(grippers) > 0.5)
        return np.concatenate([continuous.ravel(), commands.ravel()]).astype(np.float32)


def _get(observation: Mapping[str, Any], key: str, where: str) -> Any:
    if not isinstance(observation, dict) or key not in observation:
        have = ", ".join(observation) if isinstance(observation, dict) else type(observation).__name__
        raise DatasetError(
            f"{where}: there is no '{key}' in the observation, only {have}; see --camera and --state"
        )
    return observation[key]


def _frame(pixels: Any, camera: CameraSpec, where: str) -> np.ndarray:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DatasetError(f"{where}: the picture of camera '{camera.name}' is {kind}, expected uint8 pixels")
    image = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    if image.shape != (camera.size, camera.size, 3):
        size = "x".join(str(n) for n in image.shape)
        raise DatasetError(
            f"{where}: the picture of camera '{camera.name}' is {size}, the task file says {camera.size}x{camera.size}x3; "
            "import under a task file with that size"
        )
    return np.ascontiguousarray(image)


def _parse_state(text: str, spec: TaskSpec) -> tuple[str, Ranges]:
    match = _OPTION.fullmatch(text)
    if match is None or match["part"] not in spec.state_sizes:
        raise DatasetError(
            f"--state {text}: write PART=FIRST:END or PART=FIRST:END,FIRST:END with one of {', '.join(spec.state_sizes)}"
        )
    pairs = [pair.split(":") for pair in match["ranges"].split(",")]
    ranges = tuple((int(first), int(end)) for first, end in pairs)
    length, wanted = sum(max(0, end - first) for first, end in ranges), spec.state_sizes[match["part"]]
    if length != wanted:
        raise DatasetError(f"--state {text}: that is {length} numbers, {match['part']} has {wanted}")
    return match["part"], ranges


def _parse_reset(text: str, spec: TaskSpec) -> tuple[str, np.ndarray]:
    arm, separator, numbers = text.rpartition("=")
    arm = arm if separator else spec.arm_names[0]
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if arm not in spec.arm_names or len(values) != 6 or not np.isfinite(values).all():
        which = f"ARM= with one of {', '.join(spec.arm_names)} and " if len(spec.arm_names) > 1 else ""
        raise DatasetError(f"--reset-pose {text}: write {which}X,Y,Z,ROLL,PITCH,YAW in metres and radians")
    return arm, geometry.make_pose(np.array(values[:3]), Rotation.from_euler("xyz", values[3:]))


def _parse_cameras(texts: Sequence[str], spec: TaskSpec) -> dict[str, str]:
    names = [camera.name for camera in spec.cameras]
    cameras = {name: name for name in names}
    for text in texts:
        name, separator, key = text.partition("=")
        if not separator or not key or name not in cameras:
            raise DatasetError(f"--camera {text}: write CAMERA=KEY with one of {', '.join(names)}")
        cameras[name] = key
    return cameras
