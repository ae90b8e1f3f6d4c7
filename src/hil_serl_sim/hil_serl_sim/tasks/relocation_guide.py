# SPDX-License-Identifier: Apache-2.0
"""How a person moves a block from one bin to the other: over it, down, close, lift, across, down, open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_sim.twin import Guide, Intent, SceneView

DOWN = Rotation.from_rotvec([np.pi, 0.0, 0.0])
"""Orientation of a hand that points down, fingers closing along y of the world."""


@dataclass(frozen=True)
class Layout:
    """Where things are, world frame [m].

    Attributes:
        goal: (3,) centre of the floor of the bin that the block shall come to.
        half: half length and half width of a bin's floor.
        rim: height of the bins' walls over their floors.
        block: edge of the block across the fingers, and its height.
        held_opening: of a gripper that holds the block, 0 to 1.
        open_opening: of an open gripper.
    """

    goal: tuple[float, float, float]
    half: tuple[float, float]
    rim: float
    block: tuple[float, float]
    held_opening: float
    open_opening: float


class RelocationGuide(Guide):
    """Stateless: what to do follows from whether the block is held and where it is."""

    habits: ClassVar = {
        "reaction": (0.1, 0.2),  # a rehearsed sequence: the next move is known before it is seen to be due
        "speed": (0.75, 1.0),  # long ways, no precision
        "gain": (0.85, 1.1),
        "hand_rate": 0.5,
        "patience_steps": (6, 10),
        "correction_steps": (15, 30),  # a grasp or a carry to its end, since half of it leaves nothing behind
        "rest_steps": (4, 8),
    }
    hover = 0.042  # [m] tcp above the block's centre, at which fingertips pass over it
    grip = 0.006  # [m] tcp above the block's centre when the fingers close
    deep = 0.012  # [m] off that height
    beside = 0.012  # [m] off the block's centre, across the fingers
    along = 0.016  # [m] along them
    turned = 0.12  # [rad] of the hand against straight down
    lifted = 0.03  # [m] bottom of a carried block above the rim
    settled = 0.020  # [m] bottom of the block above the floor when it may fall
    margin = 0.035  # [m] inside the goal's walls when it is let go
    corridor = 0.30  # [m] from the block that a sensible attempt stays in

    def __init__(self, layout: Layout):
        self._layout = layout
        between = layout.open_opening - layout.held_opening
        self._gripping = layout.held_opening + 0.3 * between
        self._let_go = layout.held_opening + 0.5 * between
        self._empty = 0.75 * layout.held_opening

    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> Mapping[str, Intent]:
        """See :class:`Guide`. The bias shifts the block."""
        block = view.poses["block"].copy()
        block[:3] += bias[:3]
        if self._arrived(view):
            return {"": Intent(self._over(view.tcp[""], 0.02), gripper=self._open(view))}
        return {"": self._carry(view) if self._holds(view) else self._approach(view, block, tolerance)}

    def resting(self, view: SceneView) -> bool:
        """Nothing is felt for here."""
        return False

    def progress(self, view: SceneView) -> float:
        """Way of the hand to the block, then of the block to its bin [m]."""
        block = view.poses["block"][:3]
        way = self._drop() - block
        way[0] = max(0.0, abs(way[0]) - self._layout.half[0] + self.margin)
        if self._holds(view):
            return float(np.linalg.norm(way))
        rest = 0.0 if self._arrived(view) else 0.3
        gap = view.tcp[""][:3] - block
        closed = max(0.0, self._layout.held_opening - view.gripper[""])
        return rest + float(np.linalg.norm(gap)) + 0.1 * closed

    def strayed(self, view: SceneView) -> bool:
        """It closed on nothing, is tilted, far from the block, or lets it go outside the bin."""
        tilt = float((geometry.rotation_of(view.tcp[""]) * DOWN.inv()).magnitude())
        far = float(np.linalg.norm(view.tcp[""][:3] - view.poses["block"][:3])) > self.corridor
        return tilt > 0.35 or far or view.gripper[""] < self._empty

    def _offset(self, view: SceneView, block: np.ndarray) -> np.ndarray:
        """(3,) tcp from the block's centre, in the hand's horizontal axes."""
        return (geometry.rotation_of(view.tcp[""]) * DOWN.inv()).inv().apply(view.tcp[""][:3] - block[:3])

    def _around(self, offset: np.ndarray) -> bool:
        width, height = self._layout.block
        return abs(offset[0]) < 0.6 * width and abs(offset[1]) < 0.3 * width and abs(offset[2]) < 0.6 * height

    def _holds(self, view: SceneView) -> bool:
        around = self._around(self._offset(view, view.poses["block"]))
        return around and self._empty < view.gripper[""] < self._gripping

    def _over_goal(self, block: np.ndarray, margin: float) -> bool:
        x, y = np.abs(block[:2] - self._layout.goal[:2])
        return bool(x < self._layout.half[0] - margin and y < self._layout.half[1] - margin)

    def _bottom(self, block: np.ndarray) -> float:
        return float(block[2] - self._layout.goal[2] - self._layout.block[1] / 2)

    def _arrived(self, view: SceneView) -> bool:
        block = view.poses["block"]
        inside = self._over_goal(block, 0.0) and self._bottom(block) < self._layout.rim
        return inside and view.gripper[""] > self._gripping

    def _open(self, view: SceneView) -> float:
        return 0.0 if view.gripper[""] > self._let_go else 1.0

    @staticmethod
    def _over(pose: np.ndarray, height: float) -> np.ndarray:
        """(7,) hand straight down, ``height`` over a place."""
        return geometry.make_pose(pose[:3] + np.array([0.0, 0.0, height]), DOWN)

    def _approach(self, view: SceneView, block: np.ndarray, tolerance: float) -> Intent:
        """Over the block, down around it, close."""
        offset = self._offset(view, block)
        tilt = float((geometry.rotation_of(view.tcp[""]) * DOWN.inv()).magnitude())
        if view.gripper[""] < self._gripping and not self._around(offset):
            return Intent(self._over(block, self.hover), gripper=1.0)  # closed on nothing
        aside = max(abs(offset[0]) / self.along, abs(offset[1]) / self.beside)
        straight = tilt < tolerance * self.turned
        down = aside < tolerance and straight
        ready = down and abs(offset[2] - self.grip) < tolerance * self.deep
        closing = self._around(offset) and view.gripper[""] < self._let_go
        # a funnel: come down while still on the way, but not lower than fingertips over the block's top
        way = float(np.hypot(offset[0], offset[1]))
        height = self.grip if down else self.hover + 0.3 * max(0.0, way - 0.03)
        return Intent(self._over(block, height), gripper=-1.0 if ready or closing else 0.0)

    def _drop(self) -> np.ndarray:
        goal = np.array(self._layout.goal)
        goal[2] += self._layout.block[1] / 2
        return goal

    def _carry(self, view: SceneView) -> Intent:
        """Up over the rims, across, down, open; x is kept, as far as it lies inside the goal."""
        block, drop = view.poses["block"], self._drop()
        inner = max(0.0, self._layout.half[0] - self.margin - 0.01)
        drop[0] = np.clip(block[0], drop[0] - inner, drop[0] + inner)
        if self._over_goal(block, self.margin):
            down = self._bottom(block) < self.settled
            return Intent(self._beyond(view, drop - block[:3]), gripper=1.0 if down else 0.0)
        clear = self._bottom(block) - self._layout.rim
        drop[2] += self._layout.rim + self.lifted
        if clear < 0.0:  # straight up until it passes the walls
            drop[:2] = block[:2]
        return Intent(self._beyond(view, drop - block[:3]))

    def _beyond(self, view: SceneView, move: np.ndarray) -> np.ndarray:
        return geometry.make_pose(view.tcp[""][:3] + move, DOWN)
