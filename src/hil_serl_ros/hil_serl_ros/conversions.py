# SPDX-License-Identifier: Apache-2.0
"""Core values to ``hil_serl_msgs`` and back.

Byte and float sequences travel as ``array.array``, which is copied as a block; bytes and lists go element by
element. Reading back is a view on the message's own buffer. What comes off the wire or
a disk is checked for its structure; a message that contradicts itself is a ValueError naming the field.
Whether its values make sense for the task (spec hash, image size, NaN) is the learner's to judge.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING

import numpy as np

from hil_serl_core.observation import ArmSample
from hil_serl_core.step import Source, Step
from hil_serl_msgs.msg import ArmState, Frame, NamedVector, PolicyWeights
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros.geometry_messages import (
    pose_from_array,
    pose_to_array,
    twist_from_array,
    twist_to_array,
    wrench_from_array,
    wrench_to_array,
)
from hil_serl_ros.stamps import stamp_from_ns, stamp_from_seconds, stamp_to_seconds

if TYPE_CHECKING:
    from hil_serl_core.weights import PackedWeights

# rosidl checks field values only on request, and wraps around integers that do not fit.
_RANGES = {
    "sequence": (0, 2**64 - 1),
    "episode": (0, 2**64 - 1),
    "step_index": (0, 2**32 - 1),
    "policy_version": (-1, 2**63 - 1),
}


def _floats(values: np.ndarray | None, field: str) -> array.array:
    """float32[] of a vector; None is empty."""
    result = array.array("f")
    if values is not None:
        vector = np.asarray(values, dtype=np.float32)
        if vector.ndim != 1:
            raise ValueError(f"{field}: expected a vector, got shape {vector.shape}")
        result.frombytes(vector.tobytes())
    return result


def _doubles(values: np.ndarray) -> array.array:
    return array.array("d", np.asarray(values, dtype=np.float64).tobytes())


def _vector(values: array.array) -> np.ndarray:
    return np.frombuffer(values, dtype=np.float32) if len(values) else np.zeros(0, dtype=np.float32)


def _frame_to_message(camera: str, pixels: np.ndarray) -> Frame:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"frames[{camera}]: expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    message = Frame(camera=camera, height=pixels.shape[0], width=pixels.shape[1])
    message.data = array.array("B", pixels.tobytes())
    return message


def _frame_from_message(message: Frame) -> np.ndarray:
    expected = message.height * message.width * 3
    if expected == 0 or len(message.data) != expected:
        size = f"{message.width} x {message.height} RGB"
        raise ValueError(f"frames[{message.camera}]: {len(message.data)} bytes of data for {size}")
    return np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.width, 3)


def step_to_message(step: Step, frame_id: str = "base") -> StepMessage:
    """Message of a step.

    Args:
        step: See :class:`hil_serl_core.step.Step`.
        frame_id: Base frame of ``tcp_pose``.

    Raises:
        ValueError: A field has a shape or a value the message cannot carry; named.
    """
    for field, (low, high) in _RANGES.items():
        if not low <= getattr(step, field) <= high:
            raise ValueError(f"{field}: {getattr(step, field)} is not within {low} ... {high}")
    message = StepMessage(
        actor_id=step.actor_id,
        sequence=step.sequence,
        episode=step.episode,
        step_index=step.step_index,
        source=int(step.source),
        reward=float(step.reward),
        grasp_penalty=float(step.grasp_penalty),
        is_first=bool(step.is_first),
        is_last=bool(step.is_last),
        is_terminal=bool(step.is_terminal),
        policy_version=step.policy_version,
        spec_hash=step.spec_hash,
    )
    message.header.stamp = stamp_from_seconds(step.stamp)
    message.header.frame_id = frame_id
    message.frames = [_frame_to_message(camera, pixels) for camera, pixels in step.frames.items()]
    message.state = [
        NamedVector(name=part, values=_floats(vector, f"state[{part}]"))
        for part, vector in step.state.items()
    ]
    message.tcp_poses = [pose_from_array(pose, "tcp_poses") for pose in step.tcp_poses]
    message.action = _floats(step.action, "action")
    message.policy_action = _floats(step.policy_action, "policy_action")
    return message


def step_from_message(message: StepMessage) -> Step:
    """Step of a message; its arrays are views on the message's buffers.

    Raises:
        ValueError: The message contradicts itself; the field is named.
    """
    frames = {frame.camera: _frame_from_message(frame) for frame in message.frames}
    if len(frames) != len(message.frames):
        raise ValueError(f"frames: the same camera twice in {[frame.camera for frame in message.frames]}")
    state = {part.name: _vector(part.values) for part in message.state}
    if len(state) != len(message.state):
        raise ValueError(f"state: the same part twice in {[part.name for part in message.state]}")
    if message.source not in iter(Source):
        raise ValueError(f"source: {message.source} is not a known source")
    if message.is_last != (len(message.action) == 0):
        raise ValueError(f"action: {len(message.action)} numbers although is_last is {message.is_last}")
    if message.is_terminal and not message.is_last:
        raise ValueError("is_terminal: set on a record that is not the last of its episode")
    if len(message.policy_action) not in (0, len(message.action)):
        sizes = f"{len(message.policy_action)} numbers beside {len(message.action)} of action"
        raise ValueError(f"policy_action: {sizes}")
    return Step(
        stamp=stamp_to_seconds(message.header.stamp),
        actor_id=message.actor_id,
        sequence=message.sequence,
        episode=message.episode,
        step_index=message.step_index,
        frames=frames,
        state=state,
        tcp_poses=np.array([pose_to_array(pose) for pose in message.tcp_poses]).reshape(-1, 7),
        action=_vector(message.action) if len(message.action) else None,
        policy_action=_vector(message.policy_action) if len(message.policy_action) else None,
        source=Source(message.source),
        reward=message.reward,
        grasp_penalty=message.grasp_penalty,
        is_first=message.is_first,
        is_last=message.is_last,
        is_terminal=message.is_terminal,
        policy_version=message.policy_version,
        spec_hash=message.spec_hash,
    )


def arm_state_from_message(message: ArmState) -> ArmSample:
    """Arrays of an arm state; ValueError if position and velocity do not speak of the same joints."""
    joints = len(message.joint_position)
    if len(message.joint_velocity) != joints:
        sizes = f"{len(message.joint_velocity)} numbers beside {joints} of joint_position"
        raise ValueError(f"joint_velocity: {sizes}")
    return ArmSample(
        stamp=stamp_to_seconds(message.header.stamp),
        frame_id=message.header.frame_id,
        tcp_pose=pose_to_array(message.tcp_pose),
        tcp_twist=twist_to_array(message.tcp_twist),
        external_wrench=wrench_to_array(message.external_wrench),
        joint_position=np.array(message.joint_position, dtype=np.float64),
        joint_velocity=np.array(message.joint_velocity, dtype=np.float64),
        gripper=message.gripper_position,
        fault=message.fault,
        fault_text=message.fault_text,
    )


def arm_state_to_message(
    sample: ArmSample,
    *,
    tcp_frame: str,
    target_pose: np.ndarray,
    joint_effort: np.ndarray | None = None,
    stamp_ns: int | None = None,
) -> ArmState:
    """Message of an arm sample.

    Args:
        sample: See :class:`hil_serl_core.observation.ArmSample`.
        tcp_frame: Name of the tcp frame.
        target_pose: (7,) target after smoothing and limiting, base frame [m, xyzw].
        joint_effort: (J,) commanded joint torque [Nm]; None leaves it empty.
        stamp_ns: Sampling time in integer nanoseconds, instead of ``sample.stamp``.

    Raises:
        ValueError: A field has the wrong shape; named.
    """
    message = ArmState(
        tcp_frame=tcp_frame,
        tcp_pose=pose_from_array(sample.tcp_pose, "tcp_pose"),
        tcp_twist=twist_from_array(sample.tcp_twist, "tcp_twist"),
        external_wrench=wrench_from_array(sample.external_wrench, "external_wrench"),
        joint_position=_doubles(sample.joint_position),
        joint_velocity=_doubles(sample.joint_velocity),
        joint_effort=_doubles(joint_effort if joint_effort is not None else np.zeros(0)),
        gripper_position=float(sample.gripper),
        target_pose=pose_from_array(target_pose, "target_pose"),
        fault=sample.fault,
        fault_text=sample.fault_text,
    )
    message.header.stamp = stamp_from_seconds(sample.stamp) if stamp_ns is None else stamp_from_ns(stamp_ns)
    message.header.frame_id = sample.frame_id
    return message


def weights_to_message(packed: PackedWeights, stamp_ns: int = 0) -> PolicyWeights:
    """Message of packed weights at ``stamp_ns``, ROS time [ns]."""
    message = PolicyWeights(
        version=packed.version,
        trained_step=packed.trained_step,
        update=packed.update,
        spec_hash=packed.spec_hash,
        sha256=packed.sha256,
    )
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.data = array.array("B", packed.data)
    return message


def weights_from_message(message: PolicyWeights) -> PackedWeights:
    """Packed weights of a message; their digest is checked where the tensors are unpacked.

    Raises:
        ValueError: It carries no bytes.
    """
    from hil_serl_core.weights import PackedWeights  # imports torch, which few nodes need

    if len(message.data) == 0:
        raise ValueError(f"data: weights version {message.version} carry no bytes")
    return PackedWeights(
        message.version,
        message.trained_step,
        message.update,
        message.spec_hash,
        message.sha256,
        bytes(message.data),
    )
