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
        self._parents: dict[str, set[str]] = {}
        self._given_up: set[str] = set()

    def see(self, heard: Iterable[TransformStamped]) -> None:
        """Take what is on /tf and /tf_static, our own included."""
        for one in heard:
            self._parents.setdefault(one.child_frame_id, set()).add(one.header.frame_id)

    def allowed(self, wanted: Iterable[TransformStamped]) -> list[TransformStamped]:
        """Those that nobody has placed under another parent."""
        return [
            one for one in wanted if not self._parents.get(one.child_frame_id, set()) - {one.header.frame_id}
        ]

    def given_up(self, wanted: Iterable[TransformStamped]) -> list[str]:
        """Frames that are left to others from now on, each said once."""
        wanted = list(wanted)
        kept = {one.child_frame_id for one in self.allowed(wanted)}
        new = [one.child_frame_id for one in wanted if one.child_frame_id not in kept | self._given_up]
        self._given_up.update(new)
        return new
