# SPDX-License-Identifier: Apache-2.0
"""Object handover (paper Table 9): one arm picks a bar up and hands it to the other, which carries it off.

The arms face each other. The bar lies on a narrow rail, down to which only the right arm reaches; the left arm's
basket is out of the right arm's reach, so the bar has to change hands in the air. Both grasps hold by friction alone. Rail,
bar and both starts differ from episode to episode by more than an open gripper forgives, and proprioception is
relative to the start, so each hand has to look.
"""

from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import SLIDES, STROKE, prefixed
from hil_serl_sim.panda import HIDDEN_GROUP
from hil_serl_sim.parts import add_box, add_table, body_pose
from hil_serl_sim.tasks.handover_guide import GIVER, TAKER, HandoverGuide
from hil_serl_sim.twin import Camera, InitialState, Parameters, Truth, Twin


@dataclass(frozen=True)
class HandoverParameters(Parameters):
    """Numbers of the twin [m, rad], world frame: y runs from the right arm (giver) to the left one (taker)."""

    bar_length: float = 0.160
    bar_width: float = 0.024
    bar_mass: float = 0.08  # [kg]
    grasp_offset: float = 0.055  # from the bar's centre to where each hand takes it
    rail_y: float = -0.03  # centre of rail and bar
    rail_height: float = 0.188  # of the rail's top
    rail_width: float = 0.012  # fingers reach down beside it
    cheek_height: float = 0.016  # above the rail's top: a bar that is only knocked stays
    cheek_length: float = 0.04
    cheek_gap: float = 0.002  # each side
    range_x: float = 0.03  # +/- across the bar
    range_y: float = 0.01  # +/- along it
    range_yaw: float = 0.08  # +/- 4.6 deg
    meeting_y: float = -0.03  # where a sensible person offers the bar: its centre
    meeting_height: float = 0.248
    basket_y: float = 0.14
    basket_near: float = 0.04  # success: the bar's centre is beyond
    basket_half_x: float = 0.08
    basket_half_y: float = 0.10
    basket_height: float = 0.10  # of its floor
    carried_height: float = 0.19  # success: the bar is no lower
    lost_height: float = 0.185  # failure: the bar is lower
    clear: float = 0.005  # success: distance of the giver's pads from the bar


class ObjectHandover(Twin):
    """Twin of the handover task. Success: the bar is over the basket in the left hand alone, the right hand open."""

    cameras: ClassVar = {
        "wrist_1": Camera(
            position=(-0.085, 0.0, -0.065), target=(0.03, 0.0, 0.015), up=(0, 0, -1), fovy=68.0, arm="left"
        ),
        "wrist_2": Camera(
            position=(-0.085, 0.0, -0.065), target=(0.03, 0.0, 0.015), up=(0, 0, -1), fovy=68.0, arm="right"
        ),
        "side": Camera(
            position=(0.55, 0.0, 0.42), target=(0.0, 0.0, 0.22), up=(0, 0, 1), fovy=44.0, on_hand=False
        ),
    }
    display = Camera(
        position=(1.05, 0.35, 0.62), target=(0.0, 0.0, 0.27), up=(0.0, 0.0, 1.0), fovy=50.0, on_hand=False
    )

    parameters: HandoverParameters

    def __init__(self, spec: TaskSpec):
        if spec.arm_names != (TAKER, GIVER) or not spec.grippers:
            raise ValueError(
                f"task '{spec.name}': the twin object_handover needs the arms {TAKER} and {GIVER} and 'action.gripper'"
            )
        super().__init__(spec, HandoverParameters)

    def build(self, scene: mujoco.MjSpec) -> None:
        """Table, rail with the bar on it, basket."""
        world = scene.worldbody
        add_table(scene, x=0.0, half=(0.45, 0.8))
        self._add_rail(world)
        self._add_basket(world)
        self._add_bar(world)

    def _add_rail(self, world: mujoco.MjsBody) -> None:
        """A narrow edge on a post, so that fingertips pass beside what they grasp; cheeks keep the bar on it."""
        p = self.parameters
        rail = world.add_body(name="rail", pos=(0, p.rail_y, 0))
        edge, post = 0.015, p.rail_height - 0.03
        size = (0.4 * p.bar_length, p.rail_width / 2, edge)
        add_box(rail, "rail", (0, 0, p.rail_height - edge), size, (0.25, 0.27, 0.3, 1))
        add_box(rail, "post", (0, 0, post / 2), (0.06, 0.03, post / 2), (0.32, 0.36, 0.42, 1))
        beside, wall, height = p.bar_width / 2 + p.cheek_gap, 0.004, p.cheek_height / 2 + edge
        for name, sign in (("cheek_right", -1), ("cheek_left", 1)):
            place = (0, sign * (beside + wall), p.rail_height + p.cheek_height - height)
            add_box(
                rail,
                name,
                place,
                (p.cheek_length / 2, wall, height),
                (0.85, 0.7, 0.2, 1),
                friction=(0.1, 0.005, 1e-4),
            )

    def _add_basket(self, world: mujoco.MjsBody) -> None:
        p, wall = self.parameters, 0.004
        basket = world.add_body(name="basket", pos=(0, p.basket_y, p.basket_height))
        x, y, h, white = p.basket_half_x, p.basket_half_y, 0.02, (0.88, 0.86, 0.8, 1)
        add_box(basket, "basket_floor", (0, 0, -wall), (x, y, wall), (0.1, 0.35, 0.2, 1))
        stand = (p.basket_height - 2 * wall) / 2
        add_box(basket, "basket_stand", (0, 0, -2 * wall - stand), (0.04, 0.06, stand), (0.4, 0.41, 0.43, 1))
        for name, sign in (("front", -1), ("back", 1)):
            add_box(basket, f"basket_{name}", (0, sign * (y - wall), h), (x, wall, h), white)
            add_box(basket, f"basket_side_{name}", (sign * (x - wall), 0, h), (wall, y, h), white)

    def _add_bar(self, world: mujoco.MjsBody) -> None:
        p = self.parameters
        bar = world.add_body(name="bar", pos=(0, p.rail_y, self._bar_height))
        bar.add_freejoint(name="bar")
        half = p.bar_width / 2
        # seen from the giver's end: red, then blue, so that the halves differ in every picture
        for name, sign, rgba in (
            ("bar_near", -1, (0.85, 0.2, 0.12, 1)),
            ("bar_far", 1, (0.1, 0.3, 0.85, 1)),
        ):
            size = (p.bar_length / 4, half, half)
            contact = {
                "mass": p.bar_mass / 2,
                "condim": 4,
                "friction": (0.6, 0.01, 0.0001),
                "solref": (0.004, 1),
            }
            add_box(bar, name, (sign * p.bar_length / 4, 0, 0), size, rgba, **contact)
        bar.add_site(name="bar", group=HIDDEN_GROUP)

    @property
    def _bar_height(self) -> float:
        return self.parameters.rail_height + self.parameters.bar_width / 2 + 2e-4

    def sample(self, rng: np.random.Generator) -> InitialState:
        """Starts of both arms by the task file's ranges; place and direction of rail and bar."""
        starts = {arm: self.start_pose(rng, arm) for arm in self.spec.arm_names}
        return InitialState(starts, {"rail": self._shift(rng)})

    def _shift(self, rng: np.random.Generator) -> np.ndarray:
        """(3,) x, y [m] and yaw [rad] of rail and bar from their nominal place, uniform in their ranges."""
        p = self.parameters
        return rng.uniform(-1, 1, 3) * np.array([p.range_x, p.range_y, p.range_yaw])

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Put the rail where it stands in this episode and the bar on it."""
        self._place(model, data, state.variation["rail"])

    def _place(self, model: mujoco.MjModel, data: mujoco.MjData, shift: np.ndarray) -> None:
        """Rail and bar at x, y [m] and yaw [rad] from their nominal place, the bar at rest."""
        p, (x, y, yaw) = self.parameters, shift
        turn = Rotation.from_rotvec([0, 0, np.pi / 2 + yaw]).as_quat(scalar_first=True)
        rail = model.body("rail").id
        model.body_pos[rail], model.body_quat[rail] = (x, p.rail_y + y, 0.0), turn
        address = model.joint("bar").qposadr[0]
        data.qpos[address : address + 7] = (x, p.rail_y + y, self._bar_height, *turn)
        speed = model.joint("bar").dofadr[0]
        data.qvel[speed : speed + 6] = 0.0

    def move_target(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Rail and bar stand somewhere else in their range, unless a hand is at the bar."""
        near = min(min(self._distances(model, data, arm)) for arm in self.spec.arm_names)
        if near > self.parameters.clear:
            self._place(model, data, self._shift(rng))

    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Success: the left hand alone holds the bar over the basket. Failure: the bar has fallen."""
        p = self.parameters
        poses = {name: body_pose(data, name) for name in ("bar", "rail", "basket")}
        x, y, height = poses["bar"][:3]
        over = abs(x) < p.basket_half_x and y > p.basket_near and height > p.carried_height
        success = bool(over and self._held(model, data, TAKER) and self._clear(model, data, GIVER))
        return Truth(success, bool(height < p.lost_height), poses)

    def _distances(self, model: mujoco.MjModel, data: mujoco.MjData, arm: str) -> list[float]:
        """Distance of each of an arm's pads from the bar [m], up to 2 cm."""
        bars, line = [model.geom(name).id for name in ("bar_near", "bar_far")], np.zeros(6)
        pads = [model.geom(prefixed(arm, name)).id for name in SLIDES]
        return [
            min(mujoco.mj_geomDistance(model, data, pad, bar, 0.02, line) for bar in bars) for pad in pads
        ]

    def _held(self, model: mujoco.MjModel, data: mujoco.MjData, arm: str) -> bool:
        """Both pads touch the bar."""
        return max(self._distances(model, data, arm)) < 5e-4

    def _clear(self, model: mujoco.MjModel, data: mujoco.MjData, arm: str) -> bool:
        """The gripper is open wider than the bar and neither pad is near it."""
        opening = sum(float(data.joint(prefixed(arm, name)).qpos[0]) for name in SLIDES)
        wide = opening > self.parameters.bar_width + 2 * self.parameters.clear
        return wide and min(self._distances(model, data, arm)) > self.parameters.clear

    def guide(self, goal: str | None = None) -> HandoverGuide:
        """How to hand over."""
        p = self.parameters
        gripper = self.spec.action.gripper
        assert gripper is not None  # checked at construction
        return HandoverGuide(
            grasp_offset=p.grasp_offset,
            half_length=p.bar_length / 2,
            held_opening=p.bar_width / STROKE,
            open_opening=gripper.open_position,
            meeting=(p.meeting_y, p.meeting_height),
            goal=(p.basket_near + 0.03, p.meeting_height + 0.01),
        )
