# SPDX-License-Identifier: Apache-2.0
"""Object flipping (paper Table 12): a slab lies in a pan that the arm holds, and has to lie in it upside down.

The policy commands the forward and the vertical force and the pitching torque of the tool. The slab has to slide to
the far wall first; a flick of the wrist then throws it up or tips it over that wall's slope, backwards, and the pan has
to be under it and level when it comes down. How the handle sits in the hand differs from episode to episode, and so the
hand's tilt at which all this happens; so do the slab's place and how well it slides. None of that is in the
proprioceptive state: only the cameras tell.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.panda import HAND_BODY, HIDDEN_GROUP, TCP_IN_HAND
from hil_serl_sim.parts import add_box, add_look, add_table, body_pose, stiff_contact
from hil_serl_sim.tasks.flip_guide import FlipGuide
from hil_serl_sim.twin import Camera, InitialState, Parameters, Truth, Twin

_UPWARDS = Rotation.from_rotvec([np.pi, 0.0, 0.0])
"""From the tool's axes, z out of the hand, to axes with z up when the pan is level; x is forward in both."""
AXES = ("force_x", "force_z", "torque_y")


@dataclass(frozen=True)
class FlipParameters(Parameters):
    """Numbers of the twin [m, rad]."""

    reach: float = 0.22  # from the tcp forward to the pan's centre
    drop: float = 0.02  # of the pan's floor below the tcp
    floor: float = 0.07  # half side of the pan's floor
    wall: float = 0.035  # along the slope
    slope: float = 0.7  # of the walls from the vertical, outwards
    pan_mass: float = 0.3  # [kg]
    slab: float = 0.025  # half side
    slab_half_height: float = 0.007
    slab_mass: float = 0.06  # [kg]
    range_x: float = 0.035  # +/- of the slab's start from the pan's centre
    range_y: float = 0.02
    range_yaw: float = 0.5
    range_grip: float = 0.25  # by which the handle is turned in the hand, nose up or down
    friction_least: float = 0.2
    friction_most: float = 0.4
    contact_time: float = 0.004  # solref time constant [s]
    flipped_tilt: float = 0.25  # success: the marked face looks up to within
    flipped_height: float = 0.003  # success: the slab lies within this of the floor
    settled_speed: float = 0.1  # [m/s] success: slower against the pan
    settled_turn: float = 1.5  # [rad/s]
    lost_height: float = 0.05  # failure: so far below the pan's floor


class ObjectFlip(Twin):
    """Twin of the flipping task. Success: the slab lies upside down on the pan's floor and has come to rest there."""

    cameras: ClassVar = {
        "wrist": Camera(position=(0.05, 0.0, -0.22), target=(0.215, 0.0, 0.0), up=(1.0, 0.0, 0.0), fovy=62.0),
        "side": Camera(
            position=(0.72, -0.72, 0.62),
            target=(0.72, 0.0, 0.50),
            up=(0.0, 0.0, 1.0),
            fovy=44.0,
            on_hand=False,
        ),
    }
    display = Camera(
        position=(1.15, -0.85, 0.75), target=(0.55, 0.0, 0.42), up=(0.0, 0.0, 1.0), fovy=45.0, on_hand=False
    )
    finger_opening = 0.016  # [m] the handle's width

    parameters: FlipParameters

    def __init__(self, spec: TaskSpec):
        if spec.action.kind != "wrench" or tuple(spec.action.wrench_axes) != AXES:
            raise ValueError(
                f"task '{spec.name}': the twin object_flip needs action.kind 'wrench' and wrench_axes {list(AXES)}"
            )
        super().__init__(spec, FlipParameters)

    def build(self, scene: mujoco.MjSpec) -> None:
        """Pan on the hand, slab in it, table far below."""
        self._add_pan(scene)
        self._add_slab(scene)
        add_table(scene, x=0.6, half=(0.6, 0.5))

    def _contact(self) -> dict[str, Any]:
        p = self.parameters
        friction = 0.5 * (p.friction_least + p.friction_most)
        return stiff_contact(friction, p.contact_time) | {"condim": 4}

    def _add_pan(self, scene: mujoco.MjSpec) -> None:
        p, thick = self.parameters, 0.004
        place = np.add(TCP_IN_HAND, (p.reach, 0.0, p.drop))
        pan = scene.body(HAND_BODY).add_body(name="pan", pos=place, quat=_UPWARDS.as_quat(scalar_first=True))
        shared = self._contact()
        size = (p.floor, p.floor, thick)
        colour = (0.16, 0.17, 0.2, 1.0)
        add_box(pan, "pan_floor", (0.0, 0.0, -thick), size, colour, mass=0.6 * p.pan_mass, **shared)
        for side in range(4):
            turn = Rotation.from_rotvec([0.0, 0.0, side * np.pi / 2])
            lean = turn * Rotation.from_rotvec([0.0, p.slope, 0.0])
            centre = turn.apply([p.floor, 0.0, 0.0]) + lean.apply([0.003, 0.0, p.wall / 2])
            add_box(
                pan,
                f"pan_wall_{side}",
                centre,
                (0.003, p.floor + 0.02, p.wall / 2),
                (0.24, 0.25, 0.28, 1.0),
                quat=lean.as_quat(scalar_first=True),
                mass=0.1 * p.pan_mass,
                **shared,
            )
        handle = 0.5 * (p.reach - p.floor)
        place = (-p.reach + handle - 0.005, 0.0, p.drop)
        add_look(pan, "pan_handle", place, (handle - 0.005, 0.008, 0.006), (0.1, 0.1, 0.1, 1.0))

    def _add_slab(self, scene: mujoco.MjSpec) -> None:
        """One box that is felt; two halves of different colour and a stripe on one side that are seen."""
        p = self.parameters
        slab = scene.worldbody.add_body(name="slab", pos=(0.6, 0.0, 0.6))
        slab.add_freejoint(name="slab")
        half, height = p.slab, p.slab_half_height
        felt = {"mass": p.slab_mass, "group": HIDDEN_GROUP, **self._contact()}
        add_box(slab, "slab", (0, 0, 0), (half, half, height), (0.5, 0.5, 0.5, 1.0), **felt)
        looks = {
            "slab_top": ((0.0, 0.0, height / 2), (half, half, height / 2), (0.95, 0.8, 0.25, 1.0)),
            "slab_bottom": ((0.0, 0.0, -height / 2), (half, half, height / 2), (0.8, 0.2, 0.15, 1.0)),
            "slab_side": ((half, 0.0, 0.0), (5e-4, half, height), (0.95, 0.95, 0.95, 1.0)),
        }
        for name, (place, extent, colour) in looks.items():
            add_look(slab, name, place, extent, colour)

    def sample(self, rng: np.random.Generator) -> InitialState:
        """Arm as the task file says; the handle turned in the hand; a slab around the middle, more or less slippery."""
        p = self.parameters
        start = self.start_pose(rng)
        drawn = {
            "place": rng.uniform(-1, 1, 3) * [p.range_x, p.range_y, p.range_yaw],
            "grip": np.array([rng.uniform(-p.range_grip, p.range_grip)]),
            "friction": np.array([rng.uniform(p.friction_least, p.friction_most)]),
        }
        return InitialState({"": start}, drawn)

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Turn the pan in the hand, and lay the slab into it where the arm's start puts it."""
        p, drawn, tcp = self.parameters, state.variation, state.tcp_poses[""]
        for name in ("slab", "pan_floor", *(f"pan_wall_{side}" for side in range(4))):
            model.geom_friction[model.geom(name).id, 0] = drawn["friction"][0]
        grip = Rotation.from_rotvec([0.0, drawn["grip"][0], 0.0])
        centre, level = np.add(grip.apply([p.reach, 0.0, 0.0]), [0.0, 0.0, p.drop]), grip * _UPWARDS
        pan = model.body("pan").id
        model.body_pos[pan] = np.add(TCP_IN_HAND, centre)
        model.body_quat[pan] = level.as_quat(scalar_first=True)

        tool, (x, y, yaw) = Rotation.from_quat(tcp[3:]), drawn["place"]
        place = tcp[:3] + tool.apply(centre + level.apply([x, y, p.slab_half_height + 1e-4]))
        turn = tool * level * Rotation.from_rotvec([0.0, 0.0, yaw])
        joint = model.joint("slab")
        first, dof = joint.qposadr[0], joint.dofadr[0]
        data.qpos[first : first + 7] = [*place, *turn.as_quat(scalar_first=True)]
        data.qvel[dof : dof + 6] = 0.0

    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Success: the first face lies on the pan's floor, at rest against the pan. Failure: the slab has left the pan."""
        p = self.parameters
        poses = {name: body_pose(data, name) for name in ("pan", "slab")}
        turn = Rotation.from_quat(poses["pan"][3:])
        place = turn.inv().apply(poses["slab"][:3] - poses["pan"][:3])
        up = turn.inv().apply(data.body("slab").xmat.reshape(3, 3)[:, 2])[2]
        speed, rate = self._motion_in_pan(model, data)
        lies = abs(place[2] - p.slab_half_height) < p.flipped_height and np.abs(place[:2]).max() < p.floor
        settled = speed < p.settled_speed and rate < p.settled_turn
        lost = place[2] < -p.lost_height or np.abs(place[:2]).max() > 2.5 * p.floor
        return Truth(bool(lies and settled and up < -np.cos(p.flipped_tilt)), bool(lost), poses)

    @staticmethod
    def _motion_in_pan(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[float, float]:
        """Speed [m/s] of the slab's centre against the pan's matter there, and rate of turn [rad/s] against it."""
        motion = {}
        for name in ("pan", "slab"):
            found = np.zeros(6)  # rotation first, world axes, at the body's origin
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, model.body(name).id, found, 0)
            motion[name] = found
        turn, lever = motion["pan"][:3], data.body("slab").xpos - data.body("pan").xpos
        carried = motion["pan"][3:] + np.cross(turn, lever)
        return (
            float(np.linalg.norm(motion["slab"][3:] - carried)),
            float(np.linalg.norm(motion["slab"][:3] - turn)),
        )

    def guide(self, goal: str | None = None) -> FlipGuide:
        """How to flip."""
        return FlipGuide(self.parameters.slab_half_height, np.asarray(self.spec.arm("").nominal_position))
