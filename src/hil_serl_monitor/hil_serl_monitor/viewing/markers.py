# SPDX-License-Identifier: Apache-2.0
"""What RViz and Foxglove show of one arm: hand, path, target, reference, forces, workspace box; who drives, in colour."""

from __future__ import annotations

import math
import textwrap
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Vector3
from visualization_msgs.msg import Marker

from hil_serl_core import geometry
from hil_serl_core.action import workspace_box
from hil_serl_core.spec import ArmSpec
from hil_serl_monitor.viewing.marker_shapes import Color, axes, clear, color_message, hand, point, sized
from hil_serl_ros.geometry_messages import pose_from_array

TRAIL_LENGTH = 400
"""Points of a path: 40 s at 10 Hz."""

FORCE_SCALE = 0.005
"""Length of a force arrow [m/N]: the 12 N that the default clips allow are 6 cm."""

LEAST_FORCE = 1.0
"""Forces below are not drawn [N]: a wrench estimated from joint torques is not better than that."""

LEAST_GAP = 5e-4
"""Distance between target and reference from which the line between them is drawn [m]."""

_LETTERS = 40
"""In a line of the text above a hand, about: a fault's reason is long, and viewers do not wrap."""

_TARGET_COLOR = (1.0, 1.0, 1.0, 0.9)
_GAP_COLOR = (0.85, 0.37, 0.85, 1.0)
_MEASURED_FORCE = (0.85, 0.75, 0.10, 1.0)
_COMMANDED_FORCE = (0.35, 0.80, 0.80, 1.0)
_BOX_COLOR = (0.5, 0.5, 0.5, 0.6)


class Driver(Enum):
    """Who moves the robot, with the word and the colour that stand for it everywhere."""

    POLICY = "policy", (0.12, 0.47, 0.71, 1.0)
    OPERATOR = "operator", (0.93, 0.51, 0.08, 1.0)
    NOBODY = "nobody", (0.60, 0.60, 0.60, 1.0)
    STOPPED = "stopped", (0.80, 0.05, 0.10, 1.0)

    def __init__(self, word: str, color: Color) -> None:
        self.word, self.color = word, color


@dataclass(frozen=True)
class ArmView:
    """Newest state of an arm, as ArmState has it; base frame, SI units.

    Attributes:
        tcp_pose: (7,) measured.
        reference: (7,) target after smoothing and limiting, which the control law pulls to; None in wrench tasks.
        force: (3,) on the tool.
        gripper: Opening 0 to 1, NaN without a gripper.
        fault: Latched fault of the controller in words, empty for none.
    """

    tcp_pose: np.ndarray
    reference: np.ndarray | None
    force: np.ndarray
    gripper: float = math.nan
    fault: str = ""


class MarkerScene:
    """Collects what happens to one arm and draws it in its base frame.

    The workspace box is that of the actor and the control law: around the nominal reset pose, with the axes of the base
    frame. ``start`` shows the frame that observed poses are relative to (App. D.1): the measured pose at the episode's
    first tick.
    """

    def __init__(self, arm: ArmSpec, name: str = "") -> None:
        """``name``: which of several arms; it precedes the markers' namespaces."""
        self.base_frame = arm.base_frame
        self._prefix = f"{name}/" if name else ""
        self._lower, self._upper = workspace_box(arm)
        self._trail: deque[tuple[np.ndarray, Color]] = deque(maxlen=TRAIL_LENGTH)
        self.arm: ArmView | None = None
        self.start: np.ndarray | None = None
        self._target: np.ndarray | None = None
        self._wrench: np.ndarray | None = None

    def start_episode(self) -> None:
        """Forget the last episode's path; the next tick is the first."""
        self._trail.clear()
        self.start = None
        self.end_episode()

    def end_episode(self) -> None:
        """Its last command is no target any more; the path stays to be looked at."""
        self._target = self._wrench = None

    def tick(self, driver: Driver) -> None:
        """A control tick of the actor: the path goes on in the driver's colour."""
        if self.arm is None:
            return
        if self.start is None:
            self.start = self.arm.tcp_pose.copy()
        self._trail.append((self.arm.tcp_pose[:3].copy(), driver.color))

    def set_target(self, pose: np.ndarray) -> None:
        """(7,) commanded pose, base frame."""
        self._target = pose

    def set_wrench(self, wrench: np.ndarray) -> None:
        """(6,) commanded feed-forward wrench, tcp frame [N, Nm]."""
        self._wrench = wrench

    def draw(self, stamp: Time, driver: Driver, text: str) -> list[Marker]:
        """All markers, stamped; ``text`` floats above the hand. What there is not to show any more is deleted."""
        markers = [self._box(stamp)]
        if self.arm is None:
            return markers
        return [
            *markers,
            self._hand(stamp, self.arm, driver),
            self._line(stamp),
            self._axes(stamp, "target", self._target, 0.05, _TARGET_COLOR),
            self._axes(stamp, "reference", self.arm.reference, 0.03, None),
            self._gap(stamp, self.arm),
            self._axes(stamp, "start", self.start, 0.02, (0.5, 0.5, 0.5, 0.8)),
            self._arrow(stamp, "force_on_tool", self.arm.force, _MEASURED_FORCE),
            self._arrow(stamp, "commanded_force", self._commanded_force(self.arm), _COMMANDED_FORCE),
            self._text(stamp, self.arm, driver, text),
        ]

    # ---------------------------------------------------------------- markers

    def _marker(self, stamp: Time, name: str, kind: int, width: float = 0.0) -> Marker:
        marker = Marker(ns=self._prefix + name, id=0, type=kind, action=Marker.ADD)
        marker.header.stamp = stamp
        marker.header.frame_id = self.base_frame
        marker.pose.orientation.w = 1.0
        marker.scale.x = width
        return marker

    def _box(self, stamp: Time) -> Marker:
        marker = self._marker(stamp, "workspace", Marker.LINE_LIST, 0.001)
        marker.color = color_message(_BOX_COLOR)
        corners = [np.where([i & 1, i & 2, i & 4], self._upper, self._lower) for i in range(8)]
        edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        marker.points = [point(corners[end]) for edge in edges for end in edge]
        return marker

    def _hand(self, stamp: Time, arm: ArmView, driver: Driver) -> Marker:
        marker = self._marker(stamp, "hand", Marker.LINE_LIST, 0.006)
        marker.pose = pose_from_array(arm.tcp_pose, "tcp_pose")
        marker.points = [point(end) for end in hand(arm.gripper)]
        marker.color = color_message((Driver.STOPPED if arm.fault else driver).color)
        return marker

    def _line(self, stamp: Time) -> Marker:
        marker = self._marker(stamp, "tcp_trail", Marker.LINE_STRIP, 0.002)
        if len(self._trail) < 2:
            return clear(marker)
        marker.points = [point(position) for position, _ in self._trail]
        marker.colors = [color_message(color) for _, color in self._trail]
        return marker

    def _axes(
        self, stamp: Time, name: str, pose: np.ndarray | None, length: float, color: Color | None
    ) -> Marker:
        marker = self._marker(stamp, name, Marker.LINE_LIST, 0.002)
        return clear(marker) if pose is None else axes(marker, pose, length, color)

    def _gap(self, stamp: Time, arm: ArmView) -> Marker:
        """From the target to what is left of it after smoothing and limiting."""
        marker = self._marker(stamp, "limited", Marker.LINE_LIST, 0.002)
        if self._target is None or arm.reference is None:
            return clear(marker)
        if np.linalg.norm(self._target[:3] - arm.reference[:3]) < LEAST_GAP:
            return clear(marker)
        marker.points = [point(self._target[:3]), point(arm.reference[:3])]
        marker.color = color_message(_GAP_COLOR)
        return marker

    def _commanded_force(self, arm: ArmView) -> np.ndarray:
        if self._wrench is None:
            return np.zeros(3)
        return geometry.rotation_of(arm.tcp_pose).apply(self._wrench[:3])

    def _arrow(self, stamp: Time, name: str, force: np.ndarray, color: Color) -> Marker:
        marker = self._marker(stamp, name, Marker.ARROW)
        assert self.arm is not None
        if not np.isfinite(force).all() or np.linalg.norm(force) < LEAST_FORCE:
            return clear(marker)
        tip = self.arm.tcp_pose[:3]
        marker.points = [point(tip), point(tip + FORCE_SCALE * force)]
        marker.scale = Vector3(x=0.004, y=0.009, z=0.012)  # shaft, head, length of the head
        marker.color = color_message(color)
        return marker

    def _text(self, stamp: Time, arm: ArmView, driver: Driver, text: str) -> Marker:
        marker = self._marker(stamp, "driver", Marker.TEXT_VIEW_FACING)
        above = arm.tcp_pose[:3] + np.array([0.0, 0.0, 0.16])
        marker.pose = Pose(position=point(above), orientation=marker.pose.orientation)
        marker.text = _wrapped(f"{text}\nfault: {arm.fault}" if arm.fault else text, _LETTERS)
        marker.color = color_message((Driver.STOPPED if arm.fault else driver).color)
        return sized(marker, 0.02)


def advice_marker(
    stamp: Time, frame: str, corner: np.ndarray, advice: list[str], wrapped: int = 60
) -> Marker:
    """Advice to the operator as text below the workspace.

    Args:
        stamp: Of the marker.
        frame: Frame of ``corner``.
        corner: (3,) where the text floats [m].
        advice: Lines; none deletes the text.
        wrapped: Letters in a line, about.
    """
    marker = Marker(ns="advice", id=0, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD)
    marker.header.stamp, marker.header.frame_id = stamp, frame
    marker.pose.orientation.w = 1.0
    if not advice:
        return clear(marker)
    marker.pose.position = point(corner)
    marker.text = _wrapped("\n".join(advice), wrapped)
    marker.color = color_message((0.95, 0.85, 0.20, 1.0))
    return sized(marker, 0.016)


def _wrapped(text: str, letters: int) -> str:
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, letters))
