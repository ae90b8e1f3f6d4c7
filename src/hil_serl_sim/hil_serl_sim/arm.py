# SPDX-License-Identifier: Apache-2.0
"""The Panda in MuJoCo under the control law: one tick is kinematics, law, torques, dynamics."""

from dataclasses import dataclass

import mujoco
import numpy as np

import serl_impedance_controller as impedance
from hil_serl_core.spec import ControlSpec, TaskSpec
from hil_serl_sim.panda import HAND_BODY, HOME, JOINTS, TCP_SITE


@dataclass(frozen=True)
class ArmReading:
    """State of the arm under one stamp; vectors in the base frame, SI units.

    Attributes:
        pose: (7,) tcp, xyz + quaternion xyzw.
        twist: (6,) linear and angular velocity of the tcp.
        wrench: (6,) force and torque of the environment on the tool, about the tcp.
        joint_position: (7,)
        joint_velocity: (7,)
        joint_effort: (7,) commanded torque.
        target: (7,) target after smoothing and reference limiting.
        fault: latched fault code of the law, 0 for none.
        fault_text: one line for people.
    """

    pose: np.ndarray
    twist: np.ndarray
    wrench: np.ndarray
    joint_position: np.ndarray
    joint_velocity: np.ndarray
    joint_effort: np.ndarray
    target: np.ndarray
    fault: int
    fault_text: str


def make_controller(spec: TaskSpec) -> impedance.Controller:
    """The control law with the gains and clips of a task file.

    Clips of law and task file are both on e = measured - target, the sign of eq. (7).
    """
    control: ControlSpec = spec.control
    controller = impedance.Controller(base_frame=spec.base_frame, tool_frame=spec.tcp_frame)
    settings = {
        "stiffness": [*control.translational_stiffness, *control.rotational_stiffness],
        "clip_pos": [*control.clip_positive, *control.rotation_clip_positive],
        "clip_neg": [*control.clip_negative, *control.rotation_clip_negative],
        "smoothing": control.target_filter,
        "nullspace_stiffness": control.nullspace_stiffness,
        "nullspace_damping": control.nullspace_damping,
        "torque_rate": control.torque_rate_limit,
        "pose_timeout": control.target_timeout,
    }
    if control.translational_damping is not None and control.rotational_damping is not None:
        settings["damping"] = [*control.translational_damping, *control.rotational_damping]
        settings["damping_kind"] = impedance.DampingKind.FIXED
    else:
        settings["damping_ratio"] = control.damping_ratio
        settings["damping_kind"] = impedance.DampingKind.RATIO
    controller.set(**settings)
    controller.set_nullspace_posture(HOME)
    return controller


class Arm:
    """Moves seven joints of a model by the torques of the control law.

    Args:
        model: a model with the Panda in it.
        data: its state, moved in place.
        spec: gains, clips and frames.
    """

    WRENCH_TICKS = (
        20  # the external wrench is a mean over the last 20 ms, as an arm's own estimate is filtered
    )

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, spec: TaskSpec):
        self._model, self._data = model, data
        self._site = model.site(TCP_SITE).id
        first = model.joint(JOINTS[0])
        self._qpos = slice(first.qposadr[0], first.qposadr[0] + 7)
        self._dof = slice(first.dofadr[0], first.dofadr[0] + 7)
        self.controller = make_controller(spec)
        self._jacobian = np.zeros((6, model.nv))
        self._mass = np.zeros((model.nv, model.nv))
        self._pose = np.zeros(7)
        self._external = np.zeros(7)
        # views into MuJoCo's memory: they follow the state
        self._position, self._quaternion = data.site_xpos[self._site], data.body(HAND_BODY).xquat
        self._q, self._dq, self._bias = data.qpos[self._qpos], data.qvel[self._dof], data.qfrc_bias[self._dof]
        self._torque, self._constraint = data.ctrl[:7], data.qfrc_constraint[self._dof]
        self._linear, self._angular = self._jacobian[:3], self._jacobian[3:]
        self._arm_jacobian, self._arm_mass = self._jacobian[:, self._dof], self._mass[self._dof, self._dof]

    def place(self, joint_position: np.ndarray) -> None:
        """Put the arm at rest somewhere; the law forgets its target and holds."""
        self._data.qpos[self._qpos] = joint_position
        self._data.qvel[self._dof] = 0.0
        mujoco.mj_forward(self._model, self._data)
        if self.controller.fault:
            self.controller.reset_fault()
        self.controller.activate()
        self._external = np.zeros(7)
        self._tick(0.0, step=False)

    def pose(self) -> np.ndarray:
        """(7,) tcp pose in the base frame."""
        self._pose[:3] = self._position
        self._pose[3:6] = self._quaternion[1:]  # the tcp site is parallel to the hand
        self._pose[6] = self._quaternion[0]
        return self._pose.copy()

    def set_target(self, pose: np.ndarray, stamp: float, frame: str) -> None:
        """Hand a target pose (7,) to the law, which latches a fault on NaN, a bad quaternion or frame."""
        self.controller.set_target_pose(pose, stamp, frame)

    def run(self, time: float, ticks: int) -> None:
        """Some ticks of 1 ms, the first at ``time`` [s]."""
        averaged = min(ticks, self.WRENCH_TICKS)
        external = np.zeros(7)
        for tick in range(ticks):
            self._tick(time + 0.001 * tick)
            if tick >= ticks - averaged:
                external += self._constraint
        self._external = external / averaged
        mujoco.mj_forward(self._model, self._data)

    def _tick(self, time: float, step: bool = True) -> None:
        model, data, pose, quaternion = self._model, self._data, self._pose, self._quaternion
        mujoco.mj_step1(model, data)
        mujoco.mj_jacSite(model, data, self._linear, self._angular, self._site)
        full_inertia(model, data, self._mass)
        pose[:3] = self._position
        pose[3:6] = quaternion[1:]
        pose[6] = quaternion[0]
        self._torque[:] = self.controller.update(
            self._q, self._dq, pose, self._arm_jacobian, self._bias, self._arm_mass, time
        )
        if step:
            mujoco.mj_step2(model, data)

    def reading(self) -> ArmReading:
        """State of the arm now.

        The external wrench is what the constraints (contacts) do to the joints, mapped to the tcp: the way
        the Panda estimates it from its joint torque sensors.
        """
        mujoco.mj_jacSite(self._model, self._data, self._linear, self._angular, self._site)
        jacobian = self._arm_jacobian
        fault = self.controller.fault
        return ArmReading(
            pose=self.pose(),
            twist=jacobian @ self._dq,
            wrench=np.linalg.solve(jacobian @ jacobian.T, jacobian @ self._external),
            joint_position=self._q.copy(),
            joint_velocity=self._dq.copy(),
            joint_effort=self._torque.copy(),
            target=np.array(self.controller.state().limited),
            fault=int(fault.code) if fault else 0,
            fault_text=fault.text if fault else "",
        )


def full_inertia(model: mujoco.MjModel, data: mujoco.MjData, out: np.ndarray) -> None:
    """Dense mass matrix into ``out`` (nv, nv)."""
    if _FULL_M_TAKES_DATA:
        mujoco.mj_fullM(model, data, out)
    else:  # older MuJoCo
        mujoco.mj_fullM(model, out, data.qM)


_FULL_M_TAKES_DATA = "MjData" in (mujoco.mj_fullM.__doc__ or "")
