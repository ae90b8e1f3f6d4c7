# SPDX-License-Identifier: Apache-2.0
"""Torque-driven Panda with a Robotiq 2F-85, edited from the MJCF that the ``gym_hil`` package carries.

Two variants share joints and frames. The *physics* variant has primitives only: it is what is simulated and
what the policy's cameras see. The *display* variant adds the meshes and is only ever posed and drawn, for
people.
"""

import importlib.util
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
HOME = np.array([0.0, 0.2, 0.0, -2.4, 0.0, 2.6, np.pi / 4])
"""Posture that the inverse kinematics starts from and the null space is drawn to [rad]."""

TCP_SITE = "tcp"
HAND_BODY = "base"  # gym_hil's name of the gripper's housing
TCP_IN_HAND = (0.0, 0.0, 0.145)  # [m] between the finger pads: gym_hil's "pinch"
JOINT_ARMATURE = 0.01  # [kg m^2] with the task's damping D = 2 zeta sqrt(K Lambda); 0.1 oscillates
JOINT_DAMPING = 0.1  # [Nm s/rad]
TIMESTEP = 0.001  # [s] one tick of the control law

POLICY_GROUP = 0
"""Geom group of primitives: all that the policy's cameras see."""
MESH_GROUP = 2
HIDDEN_GROUP = 4

_FINGERS = ("right_driver", "left_driver", "right_spring_link", "left_spring_link")


class MissingAssetsError(OSError):
    """The package with the Panda's model is not installed."""


def assets_folder() -> Path:
    """Folder of ``gym_hil``'s MJCF, found without importing the package (which would need gymnasium).

    Raises:
        MissingAssetsError: the package is not installed.
    """
    found = importlib.util.find_spec("gym_hil")
    if found is None or not found.submodule_search_locations:
        raise MissingAssetsError(
            "the Panda's MuJoCo model comes from the package gym-hil, which is not installed: "
            "'pip install --no-deps gym-hil==0.1.14'"
        )
    return Path(found.submodule_search_locations[0]) / "assets"


def panda_spec(display: bool, finger_opening: float) -> mujoco.MjSpec:
    """Arm and closed gripper, seven joints with torque motors, a hidden site at the tcp.

    The tcp frame has its origin between the pads, z out of the hand, y along the direction the fingers close
    in.

    Args:
        display: with meshes, for people; else primitives only.
        finger_opening: distance between the pads [m], 0 to 0.085.

    Raises:
        MissingAssetsError: the package with the model is not installed.
    """
    spec = mujoco.MjSpec.from_file(str(assets_folder() / "panda.xml"))
    for elements in (spec.sensors, spec.equalities, spec.tendons, spec.excludes, spec.cameras, spec.sites):
        for element in list(elements):
            spec.delete(element)
    spec.delete(spec.actuator("fingers_actuator"))
    for geom in list(spec.geoms):
        if not display or geom.classname.name.endswith("collision") or "pad_box" in geom.classname.name:
            spec.delete(geom)
    if display:
        _close_fingers(spec, finger_opening)
    else:
        for name in _FINGERS:
            spec.delete(spec.body(name))
        for mesh in list(spec.meshes):
            spec.delete(mesh)
    for name in JOINTS:
        joint = spec.joint(name)
        joint.armature = JOINT_ARMATURE
        joint.damping = np.append(
            JOINT_DAMPING, np.zeros(np.size(joint.damping) - 1)
        )  # polynomial from MuJoCo 3.6 on
    _add_hand_primitives(spec, display, finger_opening)
    spec.body(HAND_BODY).add_site(name=TCP_SITE, pos=TCP_IN_HAND, group=HIDDEN_GROUP)
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return spec


def _add_hand_primitives(spec: mujoco.MjSpec, display: bool, opening: float) -> None:
    """Boxes in place of the gripper's housing and fingers."""
    hand = spec.body(HAND_BODY)
    group = HIDDEN_GROUP if display else POLICY_GROUP
    boxes = {"palm": ((0.0, 0.0, 0.045), (0.03, 0.045, 0.045), (0.2, 0.2, 0.2, 1.0))}
    for name, side in (("left", -1.0), ("right", 1.0)):
        boxes[f"{name}_finger"] = (
            (0.0, side * (opening / 2 + 0.006), 0.120),
            (0.011, 0.006, 0.035),
            (0.45, 0.45, 0.45, 1.0),
        )
    for name, (pos, size, rgba) in boxes.items():
        hand.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=pos,
            size=size,
            rgba=rgba,
            group=group,
            mass=0.06,
            contype=0,
            conaffinity=0,
        )


def _close_fingers(spec: mujoco.MjSpec, opening: float) -> None:
    """Fix the four-bar linkage of the 2F-85: its links turn by one angle, the pads stay parallel."""
    angle = 0.8 * (1.0 - opening / 0.085)  # driver angle [rad]: 0 open, 0.8 closed
    for side in ("right", "left"):
        for body, turn in (
            ("driver", angle),
            ("spring_link", angle),
            ("follower", -angle),
        ):
            link = spec.body(f"{side}_{body}")
            rotation = Rotation.from_rotvec([turn, 0.0, 0.0])
            frame = Rotation.from_quat(np.asarray(link.quat) / np.linalg.norm(link.quat), scalar_first=True)
            pivot = np.array([0.0, -0.018, 0.0065]) if body == "follower" else np.zeros(3)
            link.pos = np.asarray(link.pos) + frame.apply(pivot - rotation.apply(pivot))
            link.quat = (frame * rotation).as_quat(scalar_first=True)
    for joint in list(spec.joints):
        if joint.name not in JOINTS:
            spec.delete(joint)


def inverse_kinematics(model: mujoco.MjModel, pose: np.ndarray, iterations: int = 100) -> np.ndarray:
    """Joint position that puts the tcp at a pose: damped least squares from HOME, null space towards HOME.

    Args:
        model: a model with the Panda in it.
        pose: (7,) tcp pose, xyz [m] + quaternion xyzw, base frame.
        iterations: upper limit.

    Returns:
        (7,) joint position [rad].

    Raises:
        ValueError: the pose is out of reach.
    """
    data = mujoco.MjData(model)
    site, wanted = model.site(TCP_SITE).id, Rotation.from_quat(pose[3:])
    addresses = [model.joint(name).qposadr[0] for name in JOINTS]
    columns = [model.joint(name).dofadr[0] for name in JOINTS]
    limits = np.array([model.joint(name).range for name in JOINTS])
    jacobian = np.zeros((6, model.nv))
    q = HOME.copy()
    for _ in range(iterations):
        data.qpos[addresses] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        measured = Rotation.from_matrix(data.site_xmat[site].reshape(3, 3))
        error = np.concatenate([pose[:3] - data.site_xpos[site], (wanted * measured.inv()).as_rotvec()])
        if np.linalg.norm(error) < 1e-9:
            return q
        arm = jacobian[:, columns]
        inverse = arm.T @ np.linalg.inv(arm @ arm.T + 1e-12 * np.eye(6))
        q = q + inverse @ error + (np.eye(7) - inverse @ arm) @ (HOME - q)
        q = np.clip(q, limits[:, 0], limits[:, 1])
    if np.linalg.norm(error) > 1e-5:
        raise ValueError(f"tcp pose {np.round(pose, 4).tolist()} is out of the arm's reach")
    return q
