# SPDX-License-Identifier: Apache-2.0
"""What the objects of a twin are made of: boxes that are felt and seen by the policy's cameras, or only seen."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_sim.gripper import POLICY_GROUP

Vector = Sequence[float] | np.ndarray

_PLASTIC = (0.6, 0.005, 0.0001)  # sliding, torsional, rolling friction
_SEEN_ONLY = {"mass": 0.0, "contype": 0, "conaffinity": 0}


def stiff_contact(friction: float, time: float) -> dict[str, Any]:
    """Contact of hard parts, for ``add_box``.

    Args:
        friction: sliding coefficient.
        time: time constant in which a penetration is corrected [s] (``solref``).
    """
    return {
        "friction": (friction, 0.005, 0.0001),
        "solref": (time, 1.0),
        "solimp": (0.95, 0.99, 0.001, 0.5, 2.0),
    }


def add_box(
    body: mujoco.MjsBody,
    name: str,
    pos: Vector,
    size: Vector,
    rgba: Sequence[float],
    **more: Any,
) -> None:
    """A box that is felt and seen.

    Args:
        body: what it belongs to.
        name: of the geom; may be empty.
        pos: (3,) its centre in the body's frame [m].
        size: (3,) half lengths [m].
        rgba: colour, 0..1.
        more: further attributes of the geom: mass [kg], contact, quaternion.
    """
    look = {"type": mujoco.mjtGeom.mjGEOM_BOX, "group": POLICY_GROUP, "friction": _PLASTIC}
    body.add_geom(name=name, pos=pos, size=size, rgba=rgba, **(look | more))


def add_look(body: mujoco.MjsBody, name: str, pos: Vector, size: Vector, rgba: Sequence[float]) -> None:
    """A box that is seen but not felt: stripes, dark linings. Arguments as of ``add_box``."""
    add_box(body, name, pos, size, rgba, **_SEEN_ONLY)


def add_table(
    scene: mujoco.MjSpec, x: float = 0.45, half: tuple[float, float] = (0.45, 0.5), **contact: Any
) -> None:
    """A table top at height 0.

    Args:
        scene: where to put it.
        x: of its centre, world frame [m].
        half: (2,) half its length and width [m].
        contact: further attributes of the geom.
    """
    add_box(scene.worldbody, "table", (x, 0, -0.01), (*half, 0.01), (0.62, 0.6, 0.56, 1), **contact)


def body_pose(data: mujoco.MjData, name: str) -> np.ndarray:
    """(7,) pose of a body in the world frame, xyz [m] + quaternion xyzw."""
    body = data.body(name)
    return np.concatenate([body.xpos, np.roll(body.xquat, -1)])


def site_pose(data: mujoco.MjData, name: str) -> np.ndarray:
    """(7,) pose of a site in the world frame, xyz [m] + quaternion xyzw."""
    site = data.site(name)
    return geometry.make_pose(site.xpos, Rotation.from_matrix(site.xmat.reshape(3, 3)))
