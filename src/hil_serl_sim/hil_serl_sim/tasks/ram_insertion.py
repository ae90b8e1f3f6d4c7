# SPDX-License-Identifier: Apache-2.0
"""RAM insertion (paper Table 2): a card held rigidly in the gripper goes into a tight slot fixed on a board.

The card is 40 x 8 mm in cross-section, the slot 20 mm deep with 0.25 mm clearance a side, so the card enters
only when it is aligned in x, y, yaw and tilt; otherwise it rests on the rim or jams. Where the card sits in
the gripper changes with every episode, and so does the start relative to the slot: neither is in the
proprioceptive state, so only the cameras tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.geometry import compose
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import HAND_BODY
from hil_serl_sim.panda import TCP_IN_HAND
from hil_serl_sim.parts import add_box, add_look, add_table, body_pose, site_pose, stiff_contact
from hil_serl_sim.twin import Camera, Guide, InitialState, Intent, Parameters, SceneView, Truth, Twin

_TURNED = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])  # half a turn about x: the tool points down


@dataclass(frozen=True)
class RamParameters(Parameters):
    """Numbers of the twin [m, rad]."""

    card_width: float = 0.040
    card_thickness: float = 0.008
    card_reach: float = 0.045  # from the tcp to the card's tip
    slot_depth: float = 0.020
    clearance: float = 0.00025  # each side
    slot_x: float = 0.5  # centre of the opening, base frame
    slot_y: float = 0.0
    slot_top: float = 0.155  # height of the rim
    grasp_x: float = 0.002  # +/- along the card's width
    grasp_y: float = 0.001  # +/- across it
    grasp_yaw: float = 0.03  # +/- 1.7 deg
    friction: float = 0.2
    contact_time: float = 0.004  # solref time constant [s]
    seated_gap: float = 0.002  # success: tip this close to the floor
    seated_tilt: float = 0.02  # [rad] success: tilt below


class RamGuide(Guide):
    """Centre the card over the slot, then push it in while keeping it centred."""

    hover = 0.006  # [m] tip above the rim on the way
    touch = 0.0015  # [m] tip above the rim while aligning
    centred = 0.0003  # [m] off the slot's axis when pushing begins
    turned = 0.012  # [rad]
    corridor = 0.075  # [m] from the slot's axis
    ceiling = 0.09  # [m] tip above the rim

    def __init__(self, depth: float):
        self.depth = depth

    def tip_in_slot(self, poses: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Tip of the card in the slot's frame (z up, zero at the rim).

        Returns:
            position (3,) [m] and rotation vector (3,) [rad] of the card against the inserted orientation.
        """
        slot, card = poses["slot"], poses["card"]
        turn = Rotation.from_quat(slot[3:])
        return turn.inv().apply(card[:3] - slot[:3]), (turn.inv() * Rotation.from_quat(card[3:])).as_rotvec()

    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> Mapping[str, Intent]:
        """See :class:`Guide`. The bias shifts the slot."""
        return {"": Intent(self._waypoint(view.tcp[""], view.poses, bias, tolerance))}

    def _waypoint(
        self, tcp_pose: np.ndarray, poses: Mapping[str, np.ndarray], bias: np.ndarray, tolerance: float
    ) -> np.ndarray:
        tip, turn = self.tip_in_slot(poses)
        tip, turn = tip - bias[:3], turn - bias[3:]
        offset, yaw = float(np.hypot(tip[0], tip[1])), abs(turn[2])
        if tip[2] < -0.001 or (offset < tolerance * self.centred and yaw < tolerance * self.turned):
            height = -self.depth - 0.004  # in the slot, or right above it: push, a little beyond the floor
        elif offset < 0.002 and yaw < 0.04:
            height = self.touch  # centre without pressing, since friction holds a pressed card
        else:
            height = self.hover + 0.5 * max(0.0, offset - 0.004)  # come down in a funnel
        slot = Rotation.from_quat(poses["slot"][3:])
        move = slot.apply(np.array([-tip[0], -tip[1], height - tip[2]]))
        rotate = slot * Rotation.from_rotvec(-turn) * slot.inv()
        # turn about the card's tip, so that turning does not move what has been centred
        lever = tcp_pose[:3] - poses["card"][:3]
        position = poses["card"][:3] + move + rotate.apply(lever)
        return np.concatenate([position, (rotate * Rotation.from_quat(tcp_pose[3:])).as_quat()])

    def resting(self, view: SceneView) -> bool:
        """The tip is at the rim."""
        return bool(-0.0003 < self.tip_in_slot(view.poses)[0][2] < 0.0008)

    def progress(self, view: SceneView) -> float:
        """Distance of the tip from its seat plus 3 cm per radian of turn [m]."""
        tip, turn = self.tip_in_slot(view.poses)
        return float(np.linalg.norm(tip - [0.0, 0.0, -self.depth]) + 0.03 * np.linalg.norm(turn))

    def strayed(self, view: SceneView) -> bool:
        """Outside a cylinder around the slot's axis."""
        tip, turn = self.tip_in_slot(view.poses)
        return bool(
            np.hypot(tip[0], tip[1]) > self.corridor or tip[2] > self.ceiling or np.linalg.norm(turn) > 0.35
        )


class RamInsertion(Twin):
    """Twin of the RAM task."""

    cameras: ClassVar = {
        "wrist_1": Camera(
            position=(0.075, 0.0, -0.035), target=(0.0, 0.0, 0.055), up=(0.0, 0.0, -1.0), fovy=58.0
        ),
        "wrist_2": Camera(
            position=(0.0, 0.075, -0.035), target=(0.0, 0.0, 0.055), up=(0.0, 0.0, -1.0), fovy=58.0
        ),
    }
    display = Camera(
        position=(0.98, -0.42, 0.36), target=(0.46, 0.0, 0.235), up=(0.0, 0.0, 1.0), fovy=38.0, on_hand=False
    )

    parameters: RamParameters

    def __init__(self, spec: TaskSpec):
        super().__init__(spec, RamParameters)
        self._slot = (self.parameters.slot_x, self.parameters.slot_y, self.parameters.slot_top)
        self.finger_opening = self.parameters.card_thickness

    def build(self, scene: mujoco.MjSpec) -> None:
        """Card under the hand, slot of four walls on a board, table."""
        self._add_card(scene)
        self._add_board(scene)

    def _contact(self) -> dict[str, Any]:
        return stiff_contact(self.parameters.friction, self.parameters.contact_time)

    def _add_card(self, scene: mujoco.MjSpec) -> None:
        p = self.parameters
        card = scene.body(HAND_BODY).add_body(name="card", pos=TCP_IN_HAND)
        top = -0.012  # above the tcp, between the pads
        half = (p.card_reach - top) / 2
        size = (p.card_width / 2, p.card_thickness / 2, half)
        add_box(card, "card", (0, 0, top + half), size, (0.1, 0.35, 0.85, 1), mass=0.03, **self._contact())
        # contacts' gold stripe: seen, not felt
        stripe = (size[0] + 2e-4, size[1] + 2e-4, 0.0041)
        add_look(card, "card_edge", (0, 0, p.card_reach - 0.004), stripe, (0.95, 0.75, 0.15, 1))
        card.add_site(name="card_tip", pos=(0, 0, p.card_reach), group=4)

    def _add_board(self, scene: mujoco.MjSpec) -> None:
        p = self.parameters
        floor, contact = p.slot_top - p.slot_depth, self._contact()
        add_table(scene, **contact)
        board = scene.worldbody.add_body(name="slot", pos=self._slot)
        slab = 0.006  # half the board's thickness
        place = (0, 0, -p.slot_depth - slab)
        add_box(board, "board", place, (0.11, 0.13, slab), (0.05, 0.3, 0.15, 1), **contact)
        stand = floor / 2 - slab
        place = (0, 0, stand - p.slot_top)
        add_box(board, "stand", place, (0.07, 0.09, stand), (0.4, 0.41, 0.43, 1), **contact)
        inner_x, inner_y = p.card_width / 2 + p.clearance, p.card_thickness / 2 + p.clearance
        wall, height = 0.005, p.slot_depth / 2
        walls = {
            "wall_left": ((0, inner_y + wall, -height), (inner_x + 2 * wall, wall, height)),
            "wall_right": ((0, -inner_y - wall, -height), (inner_x + 2 * wall, wall, height)),
            "wall_front": ((inner_x + wall, 0, -height), (wall, inner_y, height)),
            "wall_back": ((-inner_x - wall, 0, -height), (wall, inner_y, height)),
        }
        for name, (pos, size) in walls.items():
            add_box(board, name, pos, size, (0.9, 0.88, 0.82, 1), **contact)
        # dark lining, so that the opening shows without shadows
        size = (inner_x - 2e-4, inner_y - 2e-4, p.slot_depth / 2 - 1e-3)
        add_look(board, "lining", (0, 0, -p.slot_depth / 2 - 0.001), size, (0.03, 0.03, 0.03, 1))

    def sample(self, rng: np.random.Generator) -> InitialState:
        """Uniform start around the nominal pose (task file) and uniform grasp offset."""
        p = self.parameters
        start = self.start_pose(rng)
        grasp = rng.uniform(-1, 1, 3) * np.array([p.grasp_x, p.grasp_y, p.grasp_yaw])
        return InitialState({"": start}, {"grasp": grasp})

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Shift the card in the gripper; the slot stands in its place."""
        model.body_pos[model.body("slot").id] = self._slot
        x, y, yaw = state.variation["grasp"]
        card = model.body("card").id
        model.body_pos[card] = np.add(TCP_IN_HAND, [x, y, 0.0])
        model.body_quat[card] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]

    def move_target(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """The slot moves by 1 to 2 cm on the board."""
        angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.01, 0.02)
        model.body_pos[model.body("slot").id] += distance * np.array([np.cos(angle), np.sin(angle), 0.0])

    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Success: the tip is at the floor of the slot, upright. Failure: the tip hangs beyond the board."""
        # pose "card": origin at the tip, oriented such that it equals the slot's orientation when inserted
        poses = {"card": compose(site_pose(data, "card_tip"), _TURNED), "slot": body_pose(data, "slot")}
        where, turn = self.guide().tip_in_slot(poses)
        p = self.parameters
        inside = abs(where[0]) < p.card_width / 2 and abs(where[1]) < p.card_thickness / 2
        seated = where[2] < -p.slot_depth + p.seated_gap and np.linalg.norm(turn) < p.seated_tilt
        return Truth(bool(inside and seated), bool(np.hypot(where[0], where[1]) > 0.2), poses)

    def guide(self, goal: str | None = None) -> RamGuide:
        """How to insert; there is one goal."""
        return RamGuide(self.parameters.slot_depth)
