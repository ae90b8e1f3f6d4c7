# SPDX-License-Identifier: Apache-2.0
"""What RViz shows of the actor: tcp trail, target, workspace box, who drives."""

from __future__ import annotations

from collections import deque

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from hil_serl_core.action import workspace_box
from hil_serl_core.spec import ArmSpec
from hil_serl_ros.geometry_messages import pose_from_array

POLICY_COLOR = (0.12, 0.47, 0.71, 1.0)
HUMAN_COLOR = (0.84, 0.15, 0.16, 1.0)
_BOX_COLOR = (0.5, 0.5, 0.5, 0.6)
_TARGET_COLOR = (1.0, 0.6, 0.0, 0.9)
_TRAIL_LENGTH = 300


def _color(rgba: tuple[float, float, float, float]) -> ColorRGBA:
    return ColorRGBA(r=rgba[0], g=rgba[1], b=rgba[2], a=rgba[3])


def _point(position: np.ndarray) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


class MarkerScene:
    """Collects what happened to one arm and draws it in its base frame."""

    def __init__(self, arm: ArmSpec, name: str = "") -> None:
        """``name``: which of several arms; it precedes the markers' namespaces."""
        self._frame_id = arm.base_frame
        self._prefix = f"{name}/" if name else ""
        lower, upper = workspace_box(arm)
        self._lower, self._upper = lower, upper
        self._trail: deque[tuple[np.ndarray, bool]] = deque(maxlen=_TRAIL_LENGTH)
        self._target: np.ndarray | None = None

    def start_episode(self) -> None:
        """Forget the last episode's trail."""
        self._trail.clear()
        self._target = None

    def add(self, tcp_pose: np.ndarray, human: bool) -> None:
        """One tick: (7,) measured pose and whether the operator drives."""
        self._trail.append((tcp_pose[:3].copy(), human))

    def set_target(self, pose: np.ndarray | None) -> None:
        """(7,) commanded target, None in wrench tasks."""
        self._target = pose

    def draw(self, stamp: Time, text: str) -> list[Marker]:
        """All markers, stamped; ``text`` floats above the tcp."""
        markers = [self._box(stamp)]
        if self._trail:
            markers += [self._line(stamp), self._text(stamp, text)]
        if self._target is not None:
            markers.append(self._target_marker(stamp))
        return markers

    def _marker(self, stamp: Time, name: str, kind: int, scale: tuple[float, float, float]) -> Marker:
        marker = Marker(ns=self._prefix + name, id=0, type=kind, action=Marker.ADD)
        marker.header.stamp = stamp
        marker.header.frame_id = self._frame_id
        marker.pose.orientation.w = 1.0
        marker.scale.x, marker.scale.y, marker.scale.z = scale
        return marker

    def _box(self, stamp: Time) -> Marker:
        marker = self._marker(stamp, "workspace", Marker.LINE_LIST, (0.001, 0.0, 0.0))
        marker.color = _color(_BOX_COLOR)
        corners = [np.where([i & 1, i & 2, i & 4], self._upper, self._lower) for i in range(8)]
        edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        marker.points = [_point(corners[end]) for edge in edges for end in edge]
        return marker

    def _line(self, stamp: Time) -> Marker:
        marker = self._marker(stamp, "tcp_trail", Marker.LINE_STRIP, (0.002, 0.0, 0.0))
        marker.points = [_point(position) for position, _ in self._trail]
        marker.colors = [_color(HUMAN_COLOR if human else POLICY_COLOR) for _, human in self._trail]
        return marker

    def _text(self, stamp: Time, text: str) -> Marker:
        position, human = self._trail[-1]
        marker = self._marker(stamp, "driver", Marker.TEXT_VIEW_FACING, (0.0, 0.0, 0.02))
        marker.pose.position = _point(position + np.array([0.0, 0.0, 0.08]))
        marker.text = text
        marker.color = _color(HUMAN_COLOR if human else POLICY_COLOR)
        return marker

    def _target_marker(self, stamp: Time) -> Marker:
        assert self._target is not None
        marker = self._marker(stamp, "target", Marker.ARROW, (0.03, 0.004, 0.004))
        marker.pose = pose_from_array(self._target, "target")
        marker.color = _color(_TARGET_COLOR)
        return marker
