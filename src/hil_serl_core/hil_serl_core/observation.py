# SPDX-License-Identifier: Apache-2.0
"""From the latest camera images and arm state to one ego-centric observation (App. D.1), or a reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hil_serl_core import geometry
from hil_serl_core.spec import CameraSpec, TaskSpec
from hil_serl_core.spec.model import JOINT_PARTS, STATE_PART_SIZES

STATE_PARTS = STATE_PART_SIZES
"""State parts and their sizes; joint parts have one number for each joint (``TaskSpec.part_size``).

tcp_pose: position [m] and rotation vector [rad] of the tcp in the frame of the episode's reset pose.
tcp_twist: linear [m/s] and angular [rad/s] velocity of the tcp, in the tcp frame.
tcp_wrench: external force [N] and torque [Nm] at the tcp, in the tcp frame.
gripper: opening, 0 closed to 1 open. joint_position [rad], joint_velocity [rad/s].
With two arms each part exists once per arm, as ``left/tcp_pose`` and so on.
"""

_STAMP_TOLERANCE = 1e-6  # s; stamps that went through integer nanoseconds


class ObservationError(ValueError):
    """Input that can never become an observation; the message names the source and the remedy."""


@dataclass(frozen=True)
class ArmSample:
    """One ``ArmState`` message.

    Attributes:
        stamp: Sampling time [s].
        frame_id: Base frame of the pose.
        tcp_pose: (7,) tcp in the base frame [m, xyzw].
        tcp_twist: (6,) velocity of the tcp, axes of the base frame [m/s, rad/s].
        external_wrench: (6,) force and torque on the tool at the tcp, axes of the base frame [N, Nm].
        joint_position: (J,) [rad].
        joint_velocity: (J,) [rad/s].
        gripper: Opening 0 ... 1, NaN without a gripper.
        fault: Latched fault code of the controller, 0 for none.
        fault_text: Fault in words.
    """

    stamp: float
    frame_id: str
    tcp_pose: np.ndarray
    tcp_twist: np.ndarray
    external_wrench: np.ndarray
    joint_position: np.ndarray
    joint_velocity: np.ndarray
    gripper: float = float("nan")
    fault: int = 0
    fault_text: str = ""


@dataclass(frozen=True)
class Observation:
    """What the policy sees at one tick; see ``Step`` for shapes and units. ``arms``: arm name to measured state."""

    stamp: float
    frames: Mapping[str, np.ndarray]
    state: Mapping[str, np.ndarray]
    arms: Mapping[str, ArmSample]

    @property
    def tcp_poses(self) -> np.ndarray:
        """(arms, 7) tcp poses, each in its arm's base frame."""
        return np.stack([arm.tcp_pose for arm in self.arms.values()])


def _age_trouble(age: float, limit: float) -> str:
    """What is wrong with an input's age [s]; empty if nothing is.

    A stamp as far in the future is as bad as an old one: by such a clock nobody would notice for long that the source has
    fallen silent.
    """
    if age > limit:
        return f"{age:.2f} s old, limit {limit} s"
    if age < -limit:
        return f"stamped {-age:.2f} s in the future, limit {limit} s: synchronise the clocks of the machines"
    return ""


def _part_trouble(part: str, value: np.ndarray, size: int) -> str:
    """What is wrong with a part of an arm's state, and who can mend it; empty if nothing is."""
    if part in JOINT_PARTS and value.shape != (size,):
        return (
            f"{part} of {value.size} joints, {size} are expected: if the arm has {value.size}, set 'joints: {value.size}' "
            "in the robot file"
        )
    if value.shape == (size,) and np.isfinite(value).all():
        return ""
    if part == "gripper":
        return f"no opening of the gripper: {value.tolist()}; does its gripper_node run, and publish gripper/state?"
    return f"no valid {part}: {value.tolist()}; check the arm driver"


def crop_and_resize(image: np.ndarray, camera: CameraSpec) -> np.ndarray:
    """(source_height, source_width, 3) uint8 to (size, size, 3) uint8.

    Raises:
        ObservationError: The image does not have the size that the task file states.
    """
    expected = (camera.source_height, camera.source_width, 3)
    if image.shape != expected:
        raise ObservationError(
            f"camera '{camera.name}' delivers {image.shape[1]}x{image.shape[0]} px with "
            f"{image.shape[2] if image.ndim == 3 else 1} channels, the task file states "
            f"{camera.source_width}x{camera.source_height} RGB; set the driver's resolution or source_width/source_height"
        )
    if camera.crop is not None:
        x, y, w, h = camera.crop
        image = image[y : y + h, x : x + w]
    if image.shape[:2] != (camera.size, camera.size):
        resized = Image.fromarray(np.ascontiguousarray(image)).resize(
            (camera.size, camera.size), Image.Resampling.BOX
        )
        return np.asarray(resized)
    return np.ascontiguousarray(image)


def ego_centric_state(
    arm: ArmSample, reset_pose: np.ndarray, parts: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Named proprioception relative to the reset pose and in the tcp frame (App. D.1).

    Args:
        arm: Measured state.
        reset_pose: (7,) tcp pose at the start of the episode, base frame.
        parts: Names from ``STATE_PARTS``.

    Returns:
        Part to float32 vector, in the order of ``parts``.
    """
    to_tcp = geometry.rotation_of(arm.tcp_pose).inv()
    state: dict[str, np.ndarray] = {}
    for part in parts:
        if part == "tcp_pose":
            relative = geometry.relative(reset_pose, arm.tcp_pose)
            value = np.concatenate([relative[:3], geometry.rotation_of(relative).as_rotvec()])
        elif part == "tcp_twist":
            value = to_tcp.apply(arm.tcp_twist.reshape(2, 3)).ravel()
        elif part == "tcp_wrench":
            value = to_tcp.apply(arm.external_wrench.reshape(2, 3)).ravel()
        elif part == "gripper":
            value = np.array([arm.gripper])
        else:
            value = getattr(arm, part)
        state[part] = np.asarray(value, dtype=np.float32)
    return state


def full_state(
    arms: Mapping[str, ArmSample], reset_poses: Mapping[str, np.ndarray], parts: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """State of all arms, named as in ``TaskSpec.state_sizes``: ``tcp_pose``, or ``left/tcp_pose`` for one of two."""
    return {
        f"{name}/{part}" if name else part: value
        for name, arm in arms.items()
        for part, value in ego_centric_state(arm, reset_poses[name], parts).items()
    }


class ObservationAssembler:
    """Keeps the latest inputs and says whether they make an observation.

    Two ways to ask: with the time of the tick (staleness limits), or for an exact stamp (lockstep).
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._cameras = {camera.name: camera for camera in spec.cameras}
        self._frames: dict[str, tuple[float, np.ndarray]] = {}
        self._arms: dict[str, ArmSample] = {}

    @property
    def arms(self) -> dict[str, ArmSample] | None:
        """Latest accepted states of all arms, in the task's order; None while one is missing."""
        if len(self._arms) < len(self._spec.arm_names):
            return None
        return {name: self._arms[name] for name in self._spec.arm_names}

    @property
    def stamp(self) -> float | None:
        """Time of the latest arm state [s]; of several arms, the oldest one's."""
        arms = self.arms
        return None if arms is None else min(arm.stamp for arm in arms.values())

    def clear(self) -> None:
        """Forget all inputs, so that nothing from before a reset is used after it."""
        self._frames.clear()
        self._arms.clear()

    def put_frame(self, camera: str, stamp: float, image: np.ndarray) -> None:
        """Take a driver's image, (H, W, 3) uint8 RGB.

        Raises:
            ObservationError: Wrong size, or a camera that the task does not have.
        """
        if camera not in self._cameras:
            raise ObservationError(f"the task has no camera '{camera}'; it has {', '.join(self._cameras)}")
        self._frames[camera] = (stamp, crop_and_resize(image, self._cameras[camera]))

    def put_arm(self, sample: ArmSample, arm: str = "") -> None:
        """Take an arm state.

        Raises:
            ObservationError: An arm that the task does not have, wrong base frame, NaN or infinity in a part the task
                uses, or no unit quaternion.
        """
        topic = f"{arm}/arm_state" if arm else "arm_state"
        if arm not in self._spec.arm_names:
            raise ObservationError(f"the task has no arm '{arm}'; it has {list(self._spec.arm_names)}")
        base_frame = self._spec.arm(arm).base_frame
        if sample.frame_id != base_frame:
            raise ObservationError(
                f"{topic} is in frame '{sample.frame_id}', the task file's base_frame is '{base_frame}'"
            )
        if not geometry.is_pose(sample.tcp_pose):
            raise ObservationError(
                f"{topic} carries no valid tcp pose: {sample.tcp_pose.tolist()}; check the arm driver"
            )
        for part, value in ego_centric_state(sample, sample.tcp_pose, self._spec.state).items():
            if trouble := _part_trouble(part, value, self._spec.part_size(part, arm)):
                raise ObservationError(f"{topic} carries {trouble}")
        self._arms[arm] = sample

    def missing(self, now: float, exact: bool = False) -> list[str]:
        """Names of what keeps an observation at ``now`` from being complete; empty when it is.

        Args:
            now: Time of the tick [s].
            exact: Every input must carry exactly this stamp (lockstep), instead of being younger than the limit.
        """
        problems = []
        sources: dict[str, float | None] = {}
        for arm in self._spec.arm_names:
            sample = self._arms.get(arm)
            sources[f"{arm}/arm_state" if arm else "arm_state"] = None if sample is None else sample.stamp
        for name in self._cameras:
            sources[f"camera/{name}"] = self._frames[name][0] if name in self._frames else None
        for name, stamp in sources.items():
            if stamp is None:
                problems.append(f"{name} (nothing received)")
            elif exact and abs(stamp - now) > _STAMP_TOLERANCE:
                problems.append(f"{name} (stamp {stamp:.3f} s, want {now:.3f} s)")
            elif not exact and (trouble := _age_trouble(now - stamp, self._spec.observation_timeout)):
                problems.append(f"{name} ({trouble})")
        return problems

    def assemble(self, now: float, reset_poses: Mapping[str, np.ndarray]) -> Observation:
        """The observation at ``now``; call only when ``missing`` is empty.

        Args:
            now: Time of the tick [s].
            reset_poses: Arm name to its (7,) tcp pose at the start of the episode, base frame.
        """
        arms = self.arms
        assert arms is not None
        return Observation(
            stamp=now,
            frames={name: self._frames[name][1] for name in self._cameras},
            state=full_state(arms, reset_poses, self._spec.state),
            arms=arms,
        )
