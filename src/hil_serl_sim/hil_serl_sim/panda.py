# SPDX-License-Identifier: Apache-2.0
"""Torque-driven Panda with a Robotiq 2F-85, edited from the MJCF that the ``gym_hil`` package carries.

Two variants share joints and frames. The *physics* variant has primitives only: it is what is simulated and
what the policy's cameras see. The *display* variant adds the meshes and is only ever posed and drawn, for
people.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_sim.gripper import (
    HAND_BODY,
    HIDDEN_GROUP,
    POLICY_GROUP,
    STROKE,
    TIMESTEP,
    add_fixed_fingers,
    add_moving_fingers,
    add_palm,
    fix_linkage,
    prefixed,
)

__all__ = [
    "HAND_BODY",
    "HIDDEN_GROUP",
    "HOME",
    "JOINTS",
    "JOINT_SPEED",
    "POLICY_GROUP",
    "TCP_IN_HAND",
    "TCP_SITE",
    "TIMESTEP",
    "Fingers",
    "MissingAssetsError",
    "inverse_kinematics",
    "panda_spec",
    "set_options",
]

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
HOME = np.array([0.0, 0.2, 0.0, -2.4, 0.0, 2.6, np.pi / 4])
"""Posture that the inverse kinematics starts from and the null space is drawn to [rad]."""

JOINT_SPEED = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)
"""What the maker allows [rad/s]; the model's joint ranges are the maker's, too."""

TCP_SITE = "tcp"
TCP_IN_HAND = (0.0, 0.0, 0.145)  # [m] between the finger pads: gym_hil's "pinch"
JOINT_ARMATURE = 0.01  # [kg m^2] with the task's damping D = 2 zeta sqrt(K Lambda); 0.1 oscillates
JOINT_DAMPING = 0.1  # [Nm s/rad]

_LINKAGE = ("right_driver", "left_driver", "right_spring_link", "left_spring_link")


@dataclass(frozen=True)
class Fingers:
    """How a hand's fingers are modelled.

    Attributes:
        moving: they grasp; else they stand still around a part that belongs to the hand.
        opening: distance between fixed pads [m], 0 to 0.085.
        contact_bits: contype and conaffinity of moving fingers.
    """

    moving: bool = False
    opening: float = 0.0
    contact_bits: tuple[int, int] = (1, 0)


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


def panda_spec(display: bool, fingers: Fingers) -> mujoco.MjSpec:
    """Arm and gripper, seven joints with torque motors, a hidden site at the tcp. Names without prefix.

    The tcp frame has its origin between the pads, z out of the hand, y along the direction the fingers close
    in.

    Args:
        display: with meshes, for people; else primitives only.
        fingers: fixed or moving.

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
        fix_linkage(spec, STROKE if fingers.moving else fingers.opening)
    else:
        for name in _LINKAGE:
            spec.delete(spec.body(name))
        for mesh in list(spec.meshes):
            spec.delete(mesh)
    for name in JOINTS:
        joint = spec.joint(name)
        joint.armature = JOINT_ARMATURE
        joint.damping = np.append(
            JOINT_DAMPING, np.zeros(np.size(joint.damping) - 1)
        )  # polynomial from MuJoCo 3.6 on
    add_palm(spec.body(HAND_BODY), display)
    if fingers.moving:
        add_moving_fingers(spec, display, fingers.contact_bits)
    else:
        add_fixed_fingers(spec.body(HAND_BODY), display, fingers.opening)
    spec.body(HAND_BODY).add_site(name=TCP_SITE, pos=TCP_IN_HAND, group=HIDDEN_GROUP)
    set_options(spec)
    return spec


def set_options(spec: mujoco.MjSpec) -> None:
    """Time step and integrator, of a scene with one arm or several."""
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST


def inverse_kinematics(
    model: mujoco.MjModel, pose: np.ndarray, arm: str = "", iterations: int = 100
) -> np.ndarray:
    """Joint position that puts the tcp at a pose: damped least squares from HOME, null space towards HOME.

    Args:
        model: a model with the Panda in it.
        pose: (7,) tcp pose, xyz [m] + quaternion xyzw, world frame.
        arm: which arm.
        iterations: upper limit.

    Returns:
        (7,) joint position [rad].

    Raises:
        ValueError: the pose is out of reach.
    """
    data = mujoco.MjData(model)
    site, wanted = model.site(prefixed(arm, TCP_SITE)).id, Rotation.from_quat(pose[3:])
    joints = [model.joint(prefixed(arm, name)) for name in JOINTS]
    addresses = [joint.qposadr[0] for joint in joints]
    columns = [joint.dofadr[0] for joint in joints]
    limits = np.array([joint.range for joint in joints])
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
        j = jacobian[:, columns]
        inverse = j.T @ np.linalg.inv(j @ j.T + 1e-12 * np.eye(6))
        q = q + inverse @ error + (np.eye(7) - inverse @ j) @ (HOME - q)
        q = np.clip(q, limits[:, 0], limits[:, 1])
    if np.linalg.norm(error) > 1e-5:
        raise ValueError(f"tcp pose {np.round(pose, 4).tolist()} is out of the arm's reach")
    return q
