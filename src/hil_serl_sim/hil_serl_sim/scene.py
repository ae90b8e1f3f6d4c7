# SPDX-License-Identifier: Apache-2.0
"""Puts arms, twin, lights and cameras together into one MuJoCo model."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import HAND_BODY, prefixed
from hil_serl_sim.panda import TCP_IN_HAND, Fingers, panda_spec, set_options
from hil_serl_sim.twin import Camera, Twin, base_pose

DISPLAY_CAMERA = "display"
DISPLAY_SIZE = (480, 640)  # height, width [px]


def build_model(spec: TaskSpec, twin: Twin, display: bool) -> mujoco.MjModel:
    """Model of the whole cell.

    Args:
        spec: task, for its cameras.
        twin: adds the objects.
        display: the variant with meshes, lights and shadows for people; else primitives only.

    Raises:
        ValueError: the task names a camera that the twin does not have.
    """
    missing = [c.name for c in spec.cameras if c.name not in twin.cameras]
    if missing:
        raise ValueError(f"task '{spec.name}' names cameras {missing}; its twin has {sorted(twin.cameras)}")
    scene = _arms(spec, twin, display)
    scene.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    if (
        spec.grippers
    ):  # a grasp must not creep: no friction lost in corners of a pyramid, stiff against sliding
        scene.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        scene.option.impratio = 10.0
    twin.build(scene)
    for name, camera in twin.cameras.items():
        _add_camera(scene, name, camera)
    _add_camera(scene, DISPLAY_CAMERA, twin.display)
    if display:
        _add_surroundings(scene)
    else:
        scene.visual.headlight.ambient = (0.45, 0.45, 0.45)
        scene.visual.headlight.diffuse = (0.55, 0.55, 0.55)
        scene.visual.headlight.specular = (0.0, 0.0, 0.0)
        scene.visual.map.znear = 0.01
        scene.stat.extent = 1.0
    return scene.compile()


def _arms(spec: TaskSpec, twin: Twin, display: bool) -> mujoco.MjSpec:
    """Scene with the arms only. Fingers of one hand pass each other, those of different hands collide."""
    names = spec.arm_names
    own = [1 << (k + 1) for k in range(len(names))]
    arms = []
    for k in range(len(names)):
        bits = (1 | own[k], sum(own) - own[k])
        arms.append(panda_spec(display, Fingers(spec.grippers > 0, twin.finger_opening, bits)))
    if names == ("",):
        return arms[0]
    scene = mujoco.MjSpec()
    set_options(scene)
    for name, arm in zip(names, arms, strict=True):
        pose = base_pose(spec, name)
        frame = scene.worldbody.add_frame(pos=pose[:3], quat=pose[[6, 3, 4, 5]])
        scene.attach(arm, prefix=prefixed(name, ""), frame=frame)
    return scene


def _add_camera(scene: mujoco.MjSpec, name: str, camera: Camera) -> None:
    body = scene.body(prefixed(camera.arm, HAND_BODY)) if camera.on_hand else scene.worldbody
    origin = np.asarray(TCP_IN_HAND) if camera.on_hand else np.zeros(3)
    body.add_camera(
        name=name,
        pos=origin + camera.position,
        quat=_look_at(camera).as_quat(scalar_first=True),
        fovy=camera.fovy,
    )


def _look_at(camera: Camera) -> Rotation:
    """Orientation of a MuJoCo camera: it looks along -z, x is right and y up in the picture."""
    back = np.asarray(camera.position) - camera.target
    back /= np.linalg.norm(back)
    right = np.cross(camera.up, back)
    right /= np.linalg.norm(right)
    return Rotation.from_matrix(np.column_stack([right, np.cross(back, right), back]))


def _add_surroundings(scene: mujoco.MjSpec) -> None:
    """Floor, sky and lights of the display variant."""
    scene.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.86, 0.89, 0.93),
        rgb2=(0.55, 0.62, 0.7),
        width=128,
        height=768,
    )
    scene.worldbody.add_geom(
        name="ground",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(3, 3, 0.1),
        pos=(0, 0, -0.4),
        rgba=(0.5, 0.52, 0.55, 1),
        contype=0,
        conaffinity=0,
    )
    scene.worldbody.add_light(
        pos=(0.9, -0.8, 1.6),
        dir=(-0.35, 0.6, -1.2),
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=True,
        diffuse=(0.65, 0.65, 0.62),
        specular=(0.2, 0.2, 0.2),
    )
    scene.visual.headlight.ambient = (0.35, 0.35, 0.37)
    scene.visual.headlight.diffuse = (0.3, 0.3, 0.3)
    scene.visual.quality.shadowsize = 2048
    scene.visual.quality.offsamples = 4
    getattr(scene.visual, "global").offheight, getattr(scene.visual, "global").offwidth = DISPLAY_SIZE
    scene.visual.map.shadowscale = 0.6
    scene.stat.extent = 1.2
    scene.stat.center = (0.4, 0.0, 0.3)
