# SPDX-License-Identifier: Apache-2.0
"""Object relocation (SERL paper, Sec. 5): a block is carried from one bin into the other, and back.

Two shallow bins stand side by side, the right one blue and the left one yellow. The forward task takes the block from
right to left, the backward task undoes it, so that two policies trained in turn need no reset of the scene. The block is
grasped by friction alone. Where it lies in its bin differs by more than an open gripper forgives, and the arm's start
tells nothing about it, so the hand has to look.
"""

from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import SLIDES, STROKE
from hil_serl_sim.parts import add_box, add_table, body_pose
from hil_serl_sim.tasks.relocation_guide import Layout, RelocationGuide
from hil_serl_sim.twin import Camera, InitialState, Parameters, Truth, Twin

FORWARD, BACKWARD = "forward", "backward"
"""Goals: the block lies released in the left bin, in the right bin."""

_SIDES = {FORWARD: 1.0, BACKWARD: -1.0}  # y of the bin where a goal is reached
_COLOURS = {FORWARD: (0.85, 0.7, 0.15, 1.0), BACKWARD: (0.12, 0.3, 0.7, 1.0)}


@dataclass(frozen=True)
class RelocationParameters(Parameters):
    """Numbers of the twin [m, rad], world frame: y runs from the right bin to the left one."""

    block_width: float = 0.040
    block_height: float = 0.040
    block_mass: float = 0.06  # [kg]
    softness: float = 0.008  # solref time constant of the block's contacts [s]
    centre_x: float = 0.5  # of both bins
    floor: float = 0.06  # height of the bins' floors
    bin_half_x: float = 0.095  # inside
    bin_half_y: float = 0.095
    wall: float = 0.004  # half thickness
    rim: float = 0.012  # height of the walls over the floors; an open hand reaches over them
    range_x: float = 0.065  # +/- of the block in its bin after a full reset
    range_y: float = 0.055
    range_yaw: float = 0.3  # +/- 17 deg
    clear: float = 0.004  # released: distance of both pads from the block
    lost: float = 0.02  # failure: the block rests this far outside both bins
    still: float = 0.02  # a slower block rests [m/s, rad/s]


class ObjectRelocation(Twin):
    """Twin of the relocation task; ``sim.goal`` says which direction, ``forward`` or ``backward``."""

    cameras: ClassVar = {
        "wrist": Camera(
            position=(-0.085, 0.0, -0.075), target=(0.03, 0.0, 0.02), up=(0.0, 0.0, -1.0), fovy=72.0
        ),
        "side": Camera(
            position=(0.98, 0.0, 0.50), target=(0.5, 0.0, 0.09), up=(0, 0, 1), fovy=44.0, on_hand=False
        ),
    }
    display = Camera(
        position=(1.12, -0.42, 0.55), target=(0.46, 0.0, 0.16), up=(0.0, 0.0, 1.0), fovy=44.0, on_hand=False
    )

    parameters: RelocationParameters

    def __init__(self, spec: TaskSpec):
        super().__init__(spec, RelocationParameters)
        if spec.arm_names != ("",) or not spec.grippers:
            raise ValueError(
                f"task '{spec.name}': the twin object_relocation needs one arm and 'action.gripper'"
            )
        self._goal = self._known((spec.sim.goal if spec.sim else None) or FORWARD)

    def _known(self, goal: str) -> str:
        if goal not in _SIDES:
            raise ValueError(
                f"task '{self.spec.name}': the twin object_relocation has the goals {sorted(_SIDES)}, not '{goal}'"
            )
        return goal

    def _centre(self, goal: str) -> tuple[float, float]:
        p = self.parameters
        return p.centre_x, _SIDES[goal] * (p.bin_half_y + p.wall)

    def build(self, scene: mujoco.MjSpec) -> None:
        """Table, two bins side by side, block."""
        p, world = self.parameters, scene.worldbody
        add_table(scene)
        for goal in _SIDES:
            self._add_bin(world, goal)
        block = world.add_body(name="block", pos=(*self._centre(BACKWARD), self._rest_height))
        block.add_freejoint(name="block")
        half = p.block_width / 2
        contact = {"mass": p.block_mass, "condim": 4, "friction": (0.6, 0.01, 0.0001)}
        look = (0.85, 0.15, 0.12, 1)
        size = (half, half, p.block_height / 2)
        add_box(block, "block", (0, 0, 0), size, look, solref=(p.softness, 1.0), **contact)

    def _add_bin(self, world: mujoco.MjsBody, goal: str) -> None:
        """Coloured floor and low white walls; the wall between the bins belongs half to each."""
        p, colour = self.parameters, _COLOURS[goal]
        tray = world.add_body(name=f"bin_{goal}", pos=(*self._centre(goal), p.floor))
        x, y, w, h = p.bin_half_x, p.bin_half_y, p.wall, p.rim / 2
        add_box(tray, f"floor_{goal}", (0, 0, -p.floor / 2), (x + 2 * w, y + w, p.floor / 2), colour)
        white = (0.88, 0.86, 0.8, 1)
        out = _SIDES[goal]
        add_box(tray, f"outer_{goal}", (0, out * (y + w), h), (x, w, h), white)
        add_box(tray, f"inner_{goal}", (0, -out * (y + w / 2), h), (x, w / 2, h), white)
        for name, sign in (("near", -1), ("far", 1)):
            add_box(tray, f"{name}_{goal}", (sign * (x + w), 0, h), (w, y + w, h), white)

    @property
    def _rest_height(self) -> float:
        return self.parameters.floor + self.parameters.block_height / 2 + 2e-4

    def sample(self, rng: np.random.Generator) -> InitialState:
        """Initial state of the task file's own direction."""
        return self.sample_for(None, rng)

    def sample_for(self, goal: str | None, rng: np.random.Generator) -> InitialState:
        """Arm by the task file's ranges; the block anywhere in the bin that a goal's task takes it from."""
        p, goal = self.parameters, self._goal if goal is None else self._known(goal)
        start = self.start_pose(rng)
        x, y, yaw = rng.uniform(-1, 1, 3) * np.array([p.range_x, p.range_y, p.range_yaw])
        source = self._centre(BACKWARD if goal == FORWARD else FORWARD)
        return InitialState({"": start}, {"block": np.array([source[0] + x, source[1] + y, yaw])})

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Lay the block into its bin."""
        x, y, yaw = state.variation["block"]
        address = model.joint("block").qposadr[0]
        turn = Rotation.from_rotvec([0, 0, yaw]).as_quat(scalar_first=True)
        data.qpos[address : address + 7] = (x, y, self._rest_height, *turn)

    def move_target(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """The block is laid somewhere else in the bin it is in, unless the hand has it."""
        if not self._released(model, data):
            return
        p, address = self.parameters, model.joint("block").qposadr[0]
        goal = FORWARD if data.qpos[address + 1] > 0 else BACKWARD
        shift = rng.uniform(-1, 1, 2) * np.array([p.range_x, p.range_y])
        data.qpos[address : address + 3] = (*np.add(self._centre(goal), shift), self._rest_height)
        speed = model.joint("block").dofadr[0]
        data.qvel[speed : speed + 6] = 0.0

    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """A goal is reached when the block lies released in that bin. Failure: it lies outside both, or stays on a wall.

        From a wall no hand gets it, and reset-free it would lie there for ever.
        """
        p, block = self.parameters, data.body("block")
        poses = {"block": body_pose(data, "block")}
        low = bool(block.xpos[2] < p.floor + 0.75 * p.block_height)
        free = self._released(model, data)
        goals = {goal: low and free and self._outside(block.xpos, goal) < 0.0 for goal in _SIDES}
        lost = low and min(self._outside(block.xpos, goal) for goal in _SIDES) > p.lost
        stranded = free and not any(goals.values()) and self._rests(model, data)
        return Truth(goals[self._goal], lost or stranded, poses, goals)

    def _rests(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """The block touches something and does not move."""
        speed, block = model.joint("block").dofadr[0], model.geom("block").id
        still = bool(np.abs(data.qvel[speed : speed + 6]).max() < self.parameters.still)
        return still and any(block in (contact.geom1, contact.geom2) for contact in data.contact)

    def _outside(self, position: np.ndarray, goal: str) -> float:
        """How far a point lies outside a bin's inner floor, negative inside [m]."""
        p = self.parameters
        away = np.abs(position[:2] - self._centre(goal)) - (p.bin_half_x, p.bin_half_y)
        return float(np.max(away))

    def _released(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """Neither pad is near the block."""
        block, line = model.geom("block").id, np.zeros(6)
        return all(
            mujoco.mj_geomDistance(model, data, model.geom(name).id, block, 0.02, line)
            > self.parameters.clear
            for name in SLIDES
        )

    def guide(self, goal: str | None = None) -> RelocationGuide:
        """How to bring the block into a goal's bin.

        Raises:
            ValueError: there is no such goal.
        """
        p, gripper = self.parameters, self.spec.action.gripper
        assert gripper is not None  # checked at construction
        goal = self._goal if goal is None else self._known(goal)
        return RelocationGuide(
            Layout(
                goal=(*self._centre(goal), p.floor),
                half=(p.bin_half_x, p.bin_half_y),
                rim=p.rim,
                block=(p.block_width, p.block_height),
                held_opening=p.block_width / STROKE,
                open_opening=gripper.open_position,
            )
        )
