# SPDX-License-Identifier: Apache-2.0
"""Poses, twists and wrenches as numpy arrays. Quaternions are xyzw; angular parts come after linear parts."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, Vector3, Wrench, WrenchStamped

from hil_serl_ros.stamps import stamp_from_ns


def _vector(values: np.ndarray, size: int, field: str) -> list[float]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ValueError(f"{field}: expected {size} numbers, got shape {array.shape}")
    return [float(v) for v in array]


def pose_to_array(pose: Pose) -> np.ndarray:
    """(7,) float64: position [m], then quaternion xyzw."""
    p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def pose_from_array(values: np.ndarray, field: str = "pose") -> Pose:
    """Pose message of a (7,) array; ValueError naming ``field`` for another shape."""
    x, y, z, qx, qy, qz, qw = _vector(values, 7, field)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def twist_to_array(twist: Twist) -> np.ndarray:
    """(6,) float64: linear [m/s], then angular [rad/s]."""
    v, w = twist.linear, twist.angular
    return np.array([v.x, v.y, v.z, w.x, w.y, w.z])


def twist_from_array(values: np.ndarray, field: str = "twist") -> Twist:
    """Twist message of a (6,) array; ValueError naming ``field`` for another shape."""
    vx, vy, vz, wx, wy, wz = _vector(values, 6, field)
    return Twist(linear=Vector3(x=vx, y=vy, z=vz), angular=Vector3(x=wx, y=wy, z=wz))


def wrench_to_array(wrench: Wrench) -> np.ndarray:
    """(6,) float64: force [N], then torque [Nm]."""
    f, t = wrench.force, wrench.torque
    return np.array([f.x, f.y, f.z, t.x, t.y, t.z])


def wrench_from_array(values: np.ndarray, field: str = "wrench") -> Wrench:
    """Wrench message of a (6,) array; ValueError naming ``field`` for another shape."""
    fx, fy, fz, tx, ty, tz = _vector(values, 6, field)
    return Wrench(force=Vector3(x=fx, y=fy, z=fz), torque=Vector3(x=tx, y=ty, z=tz))


def pose_stamped(values: np.ndarray, stamp_ns: int, frame_id: str) -> PoseStamped:
    """Target pose under a stamp in integer nanoseconds."""
    message = PoseStamped(pose=pose_from_array(values, "target_pose"))
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = frame_id
    return message


def wrench_stamped(values: np.ndarray, stamp_ns: int, frame_id: str) -> WrenchStamped:
    """Target wrench under a stamp in integer nanoseconds."""
    message = WrenchStamped(wrench=wrench_from_array(values, "target_wrench"))
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = frame_id
    return message
