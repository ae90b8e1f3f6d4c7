# SPDX-License-Identifier: Apache-2.0
"""Frames of a cell for /tf, so that RViz knows them where no robot_state_publisher runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_ros.geometry_messages import pose_from_array

WORLD = "world"
"""Frame in which a task with several arms places their bases; SceneTruth has its poses there."""


def start_frame(tcp_frame: str) -> str:
    """Name of the frame that observed poses are relative to: the tcp where the episode began."""
    return f"{tcp_frame}_start"


def transform(parent: str, child: str, pose: np.ndarray, stamp: Time) -> TransformStamped:
    """Message that places ``child`` at ``pose`` (7,) in ``parent``."""
    placed = pose_from_array(pose, child)
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp
    position = placed.position
    message.transform = Transform(
        translation=Vector3(x=position.x, y=position.y, z=position.z), rotation=placed.orientation
    )
    return message


def base_transforms(spec: TaskSpec, stamp: Time) -> list[TransformStamped]:
    """Where the bases of several arms stand; none for a single arm."""
    if spec.arms is None:
        return []
    return [
        transform(
            WORLD,
            arm.base_frame,
            geometry.make_pose(np.array(arm.base_position), Rotation.from_rotvec(arm.base_rotation)),
            stamp,
        )
        for arm in map(spec.arm, spec.arm_names)
    ]


class Rivals:
    """Frames that somebody else places elsewhere in the tree: a frame has one parent, so ours has to give way."""

    def __init__(self) -> None:
        self._others: set[str] = set()
        self._own: dict[str, str] = {}

    def allowed(self, wanted: Iterable[TransformStamped]) -> list[TransformStamped]:
        """Those that may be published."""
        wanted = list(wanted)
        self._own |= {one.child_frame_id: one.header.frame_id for one in wanted}
        return [one for one in wanted if one.child_frame_id not in self._others]

    def see(self, heard: Iterable[TransformStamped]) -> list[str]:
        """Take what is on /tf, our own included. Returns frames that we give up now."""
        lost = [
            one.child_frame_id
            for one in heard
            if one.child_frame_id not in self._others
            and self._own.get(one.child_frame_id, one.header.frame_id) != one.header.frame_id
        ]
        self._others.update(lost)
        return lost
