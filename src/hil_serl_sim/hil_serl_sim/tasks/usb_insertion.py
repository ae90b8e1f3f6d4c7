# SPDX-License-Identifier: Apache-2.0
"""USB grasp-and-insert (paper Table 4): a loose connector is picked off the table, plugged in and let go.

The connector lies flat; its body is 34 x 24 x 14 mm, its plug 16 x 8 mm, the port in front of it is 24 mm deep
with 0.5 mm clearance a side and a chamfer. Start of the arm and place of the connector change with every
episode. A grasp too far forward or too high cannot be inserted and has to be repeated; a connector that is
dropped can be picked up again.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import STROKE
from hil_serl_sim.parts import add_box, add_look, add_table, body_pose, stiff_contact
from hil_serl_sim.tasks.usb_guide import UsbGeometry, UsbGuide
from hil_serl_sim.twin import Camera, InitialState, Parameters, SceneView, Truth, Twin

_BODY = (0.017, 0.012, 0.007)  # [m] half lengths
_PLUG = (0.014, 0.008, 0.004)
_WALL = 0.006  # [m] thickness of the port's walls


@dataclass(frozen=True)
class UsbParameters(Parameters):
    """Numbers of the twin [m, rad]."""

    clearance: float = 0.0005  # each side
    chamfer: float = 0.0035  # how far the port's lead-in widens it on each side
    port_depth: float = 0.024
    port_x: float = 0.58  # its rim, base frame
    port_y: float = 0.0
    port_z: float = 0.045  # its axis above the table
    connector_x: float = 0.46  # nominal place of the body's centre
    connector_y: float = 0.0
    connector_range: float = 0.02  # +/- in x and y
    connector_yaw: float = 0.17453  # +/- 10 deg
    friction: float = 0.3
    contact_time: float = 0.004  # solref time constant [s]
    seated_gap: float = 0.003  # success: tip this close to the port's end
    released: float = 0.4  # success: opening beyond


class UsbInsertion(Twin):
    """Twin of the USB task."""

    cameras: ClassVar = {
        "wrist_1": Camera(
            position=(0.085, 0.0, -0.045), target=(0.0, 0.0, 0.02), up=(0.0, 0.0, -1.0), fovy=62.0
        ),
        "wrist_2": Camera(
            position=(-0.01, 0.095, -0.045), target=(0.02, 0.0, 0.02), up=(0.0, 0.0, -1.0), fovy=62.0
        ),
        "side_1": Camera(
            position=(0.545, -0.24, 0.11),
            target=(0.525, 0.0, 0.04),
            up=(0.0, 0.0, 1.0),
            fovy=46.0,
            on_hand=False,
        ),
    }
    display = Camera(
        position=(0.95, -0.45, 0.34), target=(0.48, 0.0, 0.12), up=(0.0, 0.0, 1.0), fovy=38.0, on_hand=False
    )

    parameters: UsbParameters

    def __init__(self, spec: TaskSpec):
        super().__init__(spec, UsbParameters)
        if not spec.grippers or spec.arm_names != ("",):
            raise ValueError(f"task '{spec.name}': this twin needs one arm and action.gripper")
        p = self.parameters
        gripper = spec.action.gripper
        self._opened = 0.9 * gripper.open_position if gripper is not None else 1.0
        self._port = np.array([p.port_x, p.port_y, p.port_z])

    def build(self, scene: mujoco.MjSpec) -> None:
        """Table, connector, port on its stand."""
        add_table(scene, **self._contact())
        self._add_connector(scene)
        self._add_port(scene)

    def _contact(self) -> dict[str, Any]:
        return stiff_contact(self.parameters.friction, self.parameters.contact_time)

    def _add_connector(self, scene: mujoco.MjSpec) -> None:
        connector = scene.worldbody.add_body(name="connector", pos=(0.46, 0.0, _BODY[2]))
        connector.add_freejoint(name="connector")
        contact = self._contact()
        add_box(connector, "connector_body", (0, 0, 0), _BODY, (0.1, 0.35, 0.85, 1), mass=0.03, **contact)
        place = (_BODY[0] + _PLUG[0], 0, 0)
        add_box(connector, "plug", place, _PLUG, (0.95, 0.75, 0.15, 1), mass=0.01, **contact)

    def _add_port(self, scene: mujoco.MjSpec) -> None:
        """Four walls with a chamfer before each, an end, a stand. Frame: origin mid-rim, x into the port."""
        p, contact = self.parameters, self._contact()
        port = scene.worldbody.add_body(name="socket", pos=self._port)
        half = np.array([p.port_depth / 2, _PLUG[1] + p.clearance, _PLUG[2] + p.clearance])
        for axis, other in ((1, 2), (2, 1)):
            for side in (-1.0, 1.0):
                pos, size = np.array([half[0], 0.0, 0.0]), half.copy()
                pos[axis], size[axis] = side * (half[axis] + _WALL / 2), _WALL / 2
                size[other] += _WALL
                add_box(port, "", pos, size, (0.9, 0.88, 0.82, 1), **contact)
                self._add_chamfer(port, half, axis, side)
        end = half + np.array([0.0, _WALL, _WALL])
        place = (p.port_depth + 0.004, 0, 0)
        add_box(port, "", place, (0.004, end[1], end[2]), (0.4, 0.41, 0.43, 1), **contact)
        stand = (p.port_z - end[2]) / 2
        place = (half[0] + 0.008, 0, -end[2] - stand)
        add_box(port, "", place, (half[0], end[1], stand), (0.05, 0.3, 0.15, 1), **contact)
        # dark lining, so that the opening shows without shadows
        size = half - [0.001, 2e-4, 2e-4]
        add_look(port, "", (half[0] + 0.0015, 0, 0), size, (0.03, 0.03, 0.03, 1))

    def _add_chamfer(self, port: mujoco.MjsBody, half: np.ndarray, axis: int, side: float) -> None:
        """A plate whose inner face runs from the rim outwards at 45 degrees."""
        chamfer, plate = self.parameters.chamfer, 0.0015  # half the plate's thickness
        other, middle, thickness = 3 - axis, 0.5 * chamfer, plate * np.sqrt(0.5)
        pos = np.array([thickness - middle, 0.0, 0.0])
        pos[axis] = side * (half[axis] + middle + thickness)
        size = np.array([chamfer * np.sqrt(0.5), plate, half[other] + chamfer])
        turn = side * 0.75 * np.pi * np.array([0.0, 0.0, 1.0] if axis == 1 else [0.0, -1.0, 0.0])
        add_box(
            port,
            "",
            pos,
            size if axis == 1 else size[[0, 2, 1]],
            (0.75, 0.3, 0.2, 1),
            quat=Rotation.from_rotvec(turn).as_quat(scalar_first=True),
            **self._contact(),
        )

    def sample(self, rng: np.random.Generator) -> InitialState:
        """Uniform start of the arm (task file) and place of the connector."""
        p = self.parameters
        start = self.start_pose(rng)
        x, y, yaw = rng.uniform(-1, 1, 3) * [p.connector_range, p.connector_range, p.connector_yaw]
        return InitialState({"": start}, {"connector": np.array([p.connector_x + x, p.connector_y + y, yaw])})

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Lay the connector down; the port stands in its place."""
        model.body_pos[model.body("socket").id] = self._port
        x, y, yaw = state.variation["connector"]
        data.joint("connector").qpos[:] = [x, y, _BODY[2], np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]

    def move_target(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """The port moves by 1 to 2 cm sideways or away."""
        angle, distance = rng.uniform(-0.5 * np.pi, 0.5 * np.pi), rng.uniform(0.01, 0.02)
        model.body_pos[model.body("socket").id] += distance * np.array([np.cos(angle), np.sin(angle), 0.0])

    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Success: inserted and let go. Failure: the connector is out of reach or lies on its side."""
        poses = {name: body_pose(data, name) for name in ("connector", "socket")}
        opening = float(data.joint("left_finger").qpos[0] + data.joint("right_finger").qpos[0]) / STROKE
        seen = SceneView(data.time, {}, {}, {"": opening}, poses)
        success = self.guide().inserted(seen) and opening > self.parameters.released
        away = poses["connector"][:3] - [self.parameters.connector_x, self.parameters.connector_y, 0.0]
        upright = geometry.rotation_of(poses["connector"]).apply([0.0, 0.0, 1.0])[2] > 0.7
        dropped = not upright and poses["connector"][2] < 0.03 and opening > self._opened
        lost = np.abs(away[1]) > 0.14 or not -0.14 < away[0] < 0.2 or poses["connector"][2] < -0.02
        return Truth(bool(success), bool(lost or dropped), poses)

    def guide(self, goal: str | None = None) -> UsbGuide:
        """How to insert; there is one goal."""
        p = self.parameters
        tip = _BODY[0] + 2 * _PLUG[0]
        seated, width = p.port_depth - p.seated_gap, 2 * _BODY[1] / STROKE
        return UsbGuide(UsbGeometry(tip, p.port_depth, seated, width, self._opened))
