# SPDX-License-Identifier: Apache-2.0
"""The mock arm's description as a MuJoCo model with a block below its tool, and the description that runs it there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from control_process import mock_urdf

TIMESTEP = 0.002  # [s], one tick of the controller
SPEED = 0.2  # of real time, so that on a busy machine the torques are not old when they arrive
PROBE_RADIUS = 0.01  # [m]
PROBE_MASS = 0.01  # [kg]
GAP = 0.02  # [m] from the probe down to the block where the arm starts
_TORQUE = "command_interface[@name='effort']"


def model_xml(urdf: str) -> str:
    """MJCF of the arm: torque motors, the drives' friction, its weight balanced, a probe at the tcp above a block.

    The force between probe and hand is measured by ``probe_force``, in the tcp's axes.
    """
    description = ElementTree.fromstring(urdf)
    for joint in description.findall("joint"):
        if "finger" in joint.get("name", ""):
            joint.set("type", "fixed")
    options = ElementTree.SubElement(description, "mujoco")
    ElementTree.SubElement(options, "compiler", fusestatic="false")
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(description, encoding="unicode"))
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    drives = [joint for joint in description.findall("ros2_control/joint") if joint.find(_TORQUE) is not None]
    start = [_add_drive(spec, joint) for joint in drives]
    _add_probe(spec)
    _add_block(spec, start)
    spec.compile()
    return str(spec.to_xml())


def urdf_on_mujoco(folder: Path) -> str:
    """The arm's description under mujoco_ros2_control, which finds the model in the folder."""
    model = folder / "arm.xml"
    description = ElementTree.fromstring(mock_urdf(hardware="mujoco_ros2_control/MujocoSystemInterface"))
    model.write_text(model_xml(ElementTree.tostring(description, encoding="unicode")))
    system = next(one for one in description.findall("ros2_control") if one.get("name") == "arm")
    hardware = system.find("hardware")
    assert hardware is not None
    for name, value in (("mujoco_model", model), ("headless", "true"), ("sim_speed_factor", SPEED)):
        ElementTree.SubElement(hardware, "param", name=name).text = str(value)
    sensor = ElementTree.SubElement(system, "sensor", name="probe")
    ElementTree.SubElement(sensor, "param", name="mujoco_type").text = "fts"
    for part in ("force", "torque"):
        for axis in "xyz":
            ElementTree.SubElement(sensor, "state_interface", name=f"{part}.{axis}")
    return ElementTree.tostring(description, encoding="unicode")


def _add_drive(spec: mujoco.MjSpec, joint: ElementTree.Element) -> float:
    """Motor and friction of a joint, whose effort limit the description has given already; its start [rad]."""
    name = joint.get("name", "")
    values = {one.get("name"): float(one.text or "nan") for one in joint.findall("param")}
    driven = spec.joint(name)
    driven.armature, driven.frictionloss = values["armature"], values["friction"]
    driven.damping = np.append(values["damping"], np.zeros(np.size(driven.damping) - 1))
    spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    start = joint.find("state_interface[@name='position']/param[@name='initial_value']")
    assert start is not None
    return float(start.text or "nan")


def _add_probe(spec: mujoco.MjSpec) -> None:
    """A small ball at the tcp that alone can touch, on a force sensor."""
    for geom in list(spec.geoms):
        spec.delete(geom)
    probe = spec.body("tcp").add_body(name="probe")
    probe.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(PROBE_RADIUS, 0, 0), mass=PROBE_MASS)
    probe.add_site(name="probe")
    for kind in ("force", "torque"):
        spec.add_sensor(
            name=f"probe_{kind}",
            type=getattr(mujoco.mjtSensor, f"mjSENS_{kind.upper()}"),
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname="probe",
        )


def _add_block(spec: mujoco.MjSpec, start: list[float]) -> None:
    """A hard block that stands below the probe of the arm in its start posture."""
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = start
    mujoco.mj_kinematics(model, data)
    probe = data.body("probe").xpos
    spec.worldbody.add_geom(
        name="block",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(0.15, 0.15, 0.05),
        pos=(probe[0], probe[1], probe[2] - PROBE_RADIUS - GAP - 0.05),
    )
