# SPDX-License-Identifier: Apache-2.0
"""How a person hands a bar over with two arms: pick, offer, take, release, carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_sim.twin import Guide, Intent, SceneView

GIVER, TAKER = "right", "left"
"""The right arm picks, the left arm takes, as in the paper's App. A.8."""


class Stage(Enum):
    """Where the handover stands, by what is held now."""

    PICK = 4
    OFFER = 3
    RELEASE = 2
    CARRY = 1


@dataclass(frozen=True)
class Grasp:
    """A hand as seen from the bar; the bar's x axis points from giver to taker.

    Attributes:
        along: of the tcp on the bar's axis, from its centre [m].
        across: beside it [m].
        above: over it [m].
        turn: about the vertical, of the fingers against the bar [rad].
        opening: of the gripper, 0 to 1.
    """

    along: float
    across: float
    above: float
    turn: float
    opening: float


class HandoverGuide(Guide):
    """Stateless: the stage follows from who holds the bar.

    Args:
        grasp_offset: where each hand takes the bar, from its centre [m].
        half_length: of the bar [m].
        held_opening: of a gripper that holds the bar, 0 to 1.
        open_opening: of an open gripper.
        meeting: y and z where the bar is offered, world frame [m].
        goal: y and z where it is carried to, world frame [m].
    """

    habits: ClassVar = {
        "reaction": (0.1, 0.2),  # a rehearsed sequence: the next move is known before it is seen to be due
        "foresight": (0.7, 0.85),  # the arms of this task follow a command faster
        "patience_steps": (5, 8),  # a bar in two hands does not wait
        "correction_steps": (12, 20),  # who takes a bar over in mid-air brings it home
        "rest_steps": (4, 8),
    }
    hover = 0.042  # [m] tcp above the bar on the way to it
    clearance = 0.028  # [m] tcp above the bar at which fingertips pass over it
    centred = 0.006  # [m] across the bar, when fingers go down beside it
    deep = 0.01  # [m] above or below the bar's axis, when they close
    reach = 0.018  # [m] along the bar
    turned = 0.2  # [rad]
    low = 0.028  # [m] under the place to go to, when a bar is lifted before it is moved aside
    offered = 0.012  # [m] below the meeting place, from where on the other hand takes it
    backed_off = 0.05  # [m] that the giver moves away after letting go
    corridor = 0.09  # [m] beside the bar that a sensible approach stays in

    def __init__(
        self,
        grasp_offset: float,
        half_length: float,
        held_opening: float,
        open_opening: float,
        meeting: tuple[float, float],
        goal: tuple[float, float],
    ):
        self._offset = {GIVER: -grasp_offset, TAKER: grasp_offset}
        self._half_length = half_length
        # midway between holding and open; a hand that has closed on nothing is well below holding
        self._let_go = 0.5 * (held_opening + open_opening)
        self._gripping = 0.7 * held_opening + 0.3 * open_opening
        self._empty = 0.7 * held_opening
        self._meeting, self._goal = meeting, goal

    def stage(self, view: SceneView) -> Stage:
        """Who holds the bar."""
        giver, taker = (self._grasp(view, arm, view.poses["bar"]) for arm in (GIVER, TAKER))
        if self._holds(taker):
            return Stage.RELEASE if self._around(giver) and giver.opening < self._let_go else Stage.CARRY
        return Stage.OFFER if self._holds(giver) else Stage.PICK

    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> Mapping[str, Intent]:
        """See :class:`Guide`. The bias shifts the bar."""
        bar = view.poses["bar"].copy()
        bar[:3] += bias[:3]
        stage = self.stage(view)
        if stage is Stage.PICK:
            return {
                GIVER: self._approach(view, GIVER, bar, tolerance),
                TAKER: self._wait(view, bar, tolerance),
            }
        if stage is Stage.OFFER:
            offer = self._carry(view, GIVER, bar, self._meeting)
            low = self._meeting[1] - bar[2] > tolerance * self.offered
            take = self._wait(view, bar, tolerance) if low else self._approach(view, TAKER, bar, tolerance)
            return {GIVER: offer, TAKER: take}
        if stage is Stage.RELEASE:
            return {
                GIVER: Intent(view.tcp[GIVER], gripper=1.0),
                TAKER: Intent(view.tcp[TAKER], gripper=-1.0),
            }
        away = view.tcp[GIVER].copy()
        away[1] -= self.backed_off
        giver = self._open_at(view, GIVER, away)
        return {GIVER: giver, TAKER: self._carry(view, TAKER, bar, self._goal)}

    def resting(self, view: SceneView) -> bool:
        """Nothing in this task is felt for."""
        return False

    def progress(self, view: SceneView) -> float:
        """Way still to go: that of the present stage, and a fixed share for every later one [m]."""
        stage, bar = self.stage(view), view.poses["bar"]
        later = 0.1 * (stage.value - 1)
        if stage is Stage.PICK:
            return later + self._gap(view, GIVER, bar)
        if stage is Stage.OFFER:
            away = float(np.hypot(bar[1] - self._meeting[0], bar[2] - self._meeting[1]))
            return later + away + 0.3 * self._gap(view, TAKER, bar)
        if stage is Stage.RELEASE:
            return later + 0.1 * (1.0 - self._grasp(view, GIVER, bar).opening)
        return abs(bar[1] - self._goal[0])

    def strayed(self, view: SceneView) -> bool:
        """A hand has closed on nothing, turned away from the bar or left its surroundings."""
        bar = view.poses["bar"]
        for arm in (GIVER, TAKER):
            grasp = self._grasp(view, arm, bar)
            if grasp.opening < self._empty or abs(grasp.across) > self.corridor or abs(grasp.turn) > 0.5:
                return True
        return False

    def _grasp(self, view: SceneView, arm: str, bar: np.ndarray) -> Grasp:
        tcp = view.tcp[arm]
        turn = geometry.rotation_of(bar)
        x, y, z = turn.inv().apply(tcp[:3] - bar[:3])
        fingers = turn.inv() * geometry.rotation_of(tcp) * self._hand_on_bar(arm).inv()
        return Grasp(float(x), float(y), float(z), float(fingers.as_rotvec()[2]), view.gripper[arm])

    @staticmethod
    def _hand_on_bar(arm: str) -> Rotation:
        """A hand that grasps from above, in the bar's frame: its x axis points to the other arm."""
        down = Rotation.from_rotvec([np.pi, 0, 0])
        return down if arm == GIVER else Rotation.from_rotvec([0, 0, np.pi]) * down

    def _around(self, grasp: Grasp) -> bool:
        on_bar = abs(grasp.along) < self._half_length + 0.005
        return on_bar and abs(grasp.across) < 0.012 and abs(grasp.above) < 0.022

    def _holds(self, grasp: Grasp) -> bool:
        return self._around(grasp) and self._empty < grasp.opening < self._gripping

    def _gap(self, view: SceneView, arm: str, bar: np.ndarray) -> float:
        grasp = self._grasp(view, arm, bar)
        return float(np.linalg.norm([grasp.along - self._offset[arm], grasp.across, grasp.above]))

    def _level(self, bar: np.ndarray) -> Rotation:
        """The bar's direction, laid flat."""
        ahead = geometry.rotation_of(bar).apply([1.0, 0.0, 0.0])
        return Rotation.from_rotvec([0.0, 0.0, float(np.arctan2(ahead[1], ahead[0]))])

    def _on_bar(self, arm: str, bar: np.ndarray, above: float) -> np.ndarray:
        """(7,) pose of a hand over its place on the bar."""
        place = bar[:3] + geometry.rotation_of(bar).apply([self._offset[arm], 0.0, 0.0])
        return geometry.make_pose(
            place + np.array([0.0, 0.0, above]), self._level(bar) * self._hand_on_bar(arm)
        )

    def _approach(self, view: SceneView, arm: str, bar: np.ndarray, tolerance: float) -> Intent:
        """Over the bar, down beside it, close."""
        grasp = self._grasp(view, arm, bar)
        short = grasp.along - self._offset[arm]
        if grasp.opening < self._gripping and not self._around(grasp):
            return Intent(self._on_bar(arm, bar, self.hover), gripper=1.0)  # closed on nothing
        beside = float(np.hypot(grasp.across, 0.5 * short))
        straight = abs(grasp.turn) < tolerance * self.turned
        down = beside < tolerance * self.centred and straight
        height = 0.0 if down else min(self.hover, self.clearance + max(0.0, beside - self.centred))
        ready = (
            abs(grasp.across) < tolerance * self.centred
            and abs(grasp.above) < tolerance * self.deep
            and abs(short) < tolerance * self.reach
            and straight
        )
        closing = self._around(grasp) and grasp.opening < self._let_go
        return Intent(self._on_bar(arm, bar, height), gripper=-1.0 if ready or closing else 0.0)

    def _wait(self, view: SceneView, bar: np.ndarray, tolerance: float) -> Intent:
        """The taker's open fingers stand over the bar's free end, where the giver will lift it to."""
        grasp = self._grasp(view, TAKER, bar)
        pose = self._on_bar(TAKER, bar, 0.0)
        beside = abs(grasp.across) > tolerance * self.centred or abs(grasp.turn) > tolerance * self.turned
        pose[2] = self._meeting[1] + (self.clearance if beside else 0.0)
        return self._open_at(view, TAKER, pose)

    def _open_at(self, view: SceneView, arm: str, pose: np.ndarray) -> Intent:
        wide = view.gripper[arm] > self._let_go
        return Intent(pose, gripper=0.0 if wide else 1.0)

    def _carry(self, view: SceneView, arm: str, bar: np.ndarray, to: tuple[float, float]) -> Intent:
        """Move a hand such that the bar's centre comes to (y, z), first off the rail."""
        move = np.array([0.0, to[0] - bar[1], to[1] - bar[2]])
        if move[2] > self.low:
            move[1] = 0.0
        pose = view.tcp[arm].copy()
        pose[:3] += move
        return Intent(pose)
