# SPDX-License-Identifier: Apache-2.0
"""How a person grasps the connector, inserts it into its port and lets go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_sim.twin import Guide, Intent, SceneView

_TOOL_DOWN = Rotation.from_rotvec([np.pi, 0.0, 0.0])


@dataclass(frozen=True)
class UsbGeometry:
    """What the guide knows of the parts [m].

    Attributes:
        tip: from the connector's origin (centre of its body) to the tip of the plug.
        depth: of the port.
        seated: tip this far inside counts as inserted.
        width: of the body, where it is grasped, as an opening of the gripper 0..1.
        opened: opening from which the gripper counts as open.
    """

    tip: float
    depth: float
    seated: float
    width: float
    opened: float


class UsbGuide(Guide):
    """Come down over the body, close, lift, insert, open; a grasp that cannot be inserted is let go and repeated.

    Poses: 'connector' (origin at the centre of its body, x towards the plug's tip, z up) and 'socket' (origin in
    the middle of its rim, x into it).
    """

    habits: ClassVar = {
        "reaction": (0.1, 0.2),  # a rehearsed sequence: the next move is known before it is seen to be due
        "speed": (0.75, 1.0),
        "gain": (0.8, 1.05),
        "hand_rate": 0.5,
        "patience_steps": (6, 10),
        "correction_steps": (20, 36),  # whoever takes the connector over brings it into the port
        "rest_steps": (3, 6),
        "button_steps": (0, 1),
    }
    grasp = (-0.002, 0.0, 0.005)  # [m] tcp in the connector's frame
    grasp_range = (0.009, 0.006, 0.007)  # [m] a grasp this far from it still serves
    hover = 0.035  # [m] above the grasp on the way
    over = 0.004  # [m] off the grasp's axis when going down to close
    turned = 0.06  # [rad] off it
    approach = 0.008  # [m] tip before the rim while aligning
    centred = 0.0012  # [m] off the port's axis when pushing begins; the chamfer forgives more
    straight = 0.02  # [rad]
    region = (0.10, 0.075, 0.11)  # [m] half lengths of the box that a sensible tcp stays in
    middle = (0.49, 0.0, 0.09)  # [m] its centre

    def __init__(self, parts: UsbGeometry):
        self.parts = parts

    def grasp_in_hand(self, view: SceneView) -> tuple[np.ndarray, float]:
        """Tcp in the connector's frame less the wanted grasp (3,) [m], and the hand's yaw against it [rad]."""
        tcp, connector = view.tcp[""], view.poses["connector"]
        turn = geometry.rotation_of(connector)
        yaw = (turn.inv() * geometry.rotation_of(tcp) * _TOOL_DOWN.inv()).as_rotvec()[2]
        return turn.inv().apply(tcp[:3] - connector[:3]) - self.grasp, float(yaw)

    def tip_in_socket(self, view: SceneView) -> tuple[np.ndarray, np.ndarray]:
        """Tip of the plug (3,) [m] and rotation vector of the connector (3,) [rad] in the socket's frame."""
        connector, socket = view.poses["connector"], view.poses["socket"]
        here = geometry.relative(socket, connector)
        turn = geometry.rotation_of(here)
        return here[:3] + turn.apply([self.parts.tip, 0.0, 0.0]), turn.as_rotvec()

    def inserted(self, view: SceneView) -> bool:
        """The plug is in the port as far as it goes."""
        tip, _ = self.tip_in_socket(view)
        return bool(tip[0] > self.parts.seated and np.hypot(tip[1], tip[2]) < 0.004)

    def _around(self, view: SceneView) -> bool:
        """The fingers are left and right of the body, where closing them makes a good grasp."""
        return bool((np.abs(self.grasp_in_hand(view)[0]) < self.grasp_range).all())

    def held(self, view: SceneView) -> bool:
        """The fingers are closed on the body, in a place from which it can be inserted."""
        return self._around(view) and abs(view.gripper[""] - self.parts.width) < 0.05

    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> Mapping[str, Intent]:
        """See :class:`Guide`. The bias shifts the port."""
        if self.inserted(view):
            return {"": Intent(view.tcp[""], gripper=1.0)}
        if self.held(view):
            return {"": Intent(self._carry(view, bias, tolerance))}
        return {"": self._approach(view, tolerance)}

    def _approach(self, view: SceneView, tolerance: float) -> Intent:
        """Over the body, then down around it, then close; with the fingers closed elsewhere, open and go up."""
        offset, yaw = self.grasp_in_hand(view)
        opened, around = view.gripper[""] > self.parts.opened, self._around(view)
        aside = float(np.hypot(offset[0], offset[1]))
        ready = aside < tolerance * self.over and abs(yaw) < tolerance * self.turned
        if around and (ready or not opened) and abs(offset[2]) < 0.004:
            return Intent(view.tcp[""], gripper=-1.0)
        connector = view.poses["connector"]
        height = 0.0 if ready else min(self.hover, 3.0 * max(0.0, aside - 0.003))
        if not opened and not around:
            height = self.hover
        heading = Rotation.from_euler("z", geometry.rotation_of(connector).as_euler("ZYX")[0])
        place = connector[:3] + heading.apply(self.grasp) + np.array([0.0, 0.0, height])
        return Intent(geometry.make_pose(place, heading * _TOOL_DOWN), gripper=0.0 if opened else 1.0)

    def _carry(self, view: SceneView, bias: np.ndarray, tolerance: float) -> np.ndarray:
        """Before the port in a funnel along its axis, then in; turns about the plug's tip."""
        tip, turn = self.tip_in_socket(view)
        tip, turn = tip - bias[:3], turn - bias[3:]
        aside, tilt = float(np.hypot(tip[1], tip[2])), float(np.linalg.norm(turn))
        inside = tip[0] > 0.001 and aside < 0.004
        if inside or (aside < tolerance * self.centred and tilt < tolerance * self.straight):
            forward = self.parts.depth + 0.004
        else:
            forward = -self.approach - 1.0 * max(0.0, aside - 0.004)
        tcp, connector = view.tcp[""], view.poses["connector"]
        socket = geometry.rotation_of(view.poses["socket"])
        rotate = socket * Rotation.from_rotvec(-turn) * socket.inv()
        end = connector[:3] + geometry.rotation_of(connector).apply([self.parts.tip, 0.0, 0.0])
        move = socket.apply(np.array([forward - tip[0], -tip[1], -tip[2]]))
        position = end + move + rotate.apply(tcp[:3] - end)
        return geometry.make_pose(position, rotate * geometry.rotation_of(tcp))

    def resting(self, view: SceneView) -> bool:
        """Never: the chamfer leads the plug in."""
        return False

    def progress(self, view: SceneView) -> float:
        """Way of the tcp to the grasp, then of the tip to its seat, then of the fingers to let go [m]."""
        tip, turn = self.tip_in_socket(view)
        left = float(np.linalg.norm(tip - [self.parts.depth, 0.0, 0.0]) + 0.03 * np.linalg.norm(turn))
        if self.inserted(view):
            return 0.03 * max(0.0, self.parts.opened - view.gripper[""])
        if self.held(view):
            return 0.05 + left
        offset, yaw = self.grasp_in_hand(view)
        wanted = self.parts.width if self._around(view) else self.parts.opened
        closing = 0.03 * abs(min(view.gripper[""], self.parts.opened) - wanted)
        return 0.10 + left + float(np.linalg.norm(offset)) + 0.03 * abs(yaw) + closing

    def strayed(self, view: SceneView) -> bool:
        """The tcp has left the box around connector and port."""
        return bool((np.abs(view.tcp[""][:3] - self.middle) > self.region).any())
