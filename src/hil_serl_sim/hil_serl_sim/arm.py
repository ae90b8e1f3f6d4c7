# SPDX-License-Identifier: Apache-2.0
"""The Panda in MuJoCo under the control law: one tick is kinematics, law, torques, dynamics."""

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from hil_serl_core.spec import TaskSpec
from scipy.spatial.transform import Rotation

from hil_serl_sim.panda import JOINTS, TCP_SITE


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


class Arm:
    """Moves seven joints of a model by the torques of a control law.

    Args:
        model: a model with the Panda in it.
        data: its state, moved in place.
        spec: gains and clips.
        law: makes the law from the spec.
    """

    WRENCH_TICKS = 20  # the external wrench is a mean over the last 20 ms, as an arm's own estimate is filtered

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, spec: TaskSpec, law: Callable):
        self._model, self._data = model, data
        self._site = model.site(TCP_SITE).id
        self._qpos = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self._dof = np.array([model.joint(name).dofadr[0] for name in JOINTS])
        self._law = law(spec)
        self._jacobian = np.zeros((6, model.nv))
        self._mass = np.zeros((model.nv, model.nv))

    def place(self, joint_position: np.ndarray) -> None:
        """Put the arm at rest somewhere and start the law over there."""
        self._data.qpos[self._qpos] = joint_position
        self._data.qvel[self._dof] = 0.0
        mujoco.mj_forward(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        mujoco.mj_fullM(self._model, self._data, self._mass)
        self._law.reset(self.pose(), joint_position, self._jacobian, self._mass)
        self._external = np.zeros(7)

    def pose(self) -> np.ndarray:
        """(7,) tcp pose in the base frame."""
        matrix = self._data.site_xmat[self._site].reshape(3, 3)
        return np.concatenate([self._data.site_xpos[self._site], Rotation.from_matrix(matrix).as_quat()])

    def run(self, target: np.ndarray, ticks: int) -> None:
        """Some ticks towards a target pose (7,)."""
        model, data, law = self._model, self._data, self._law
        position, rotation = self._jacobian[:3], self._jacobian[3:]
        external, averaged = np.zeros(7), min(ticks, self.WRENCH_TICKS)
        for tick in range(ticks):
            mujoco.mj_step1(model, data)
            mujoco.mj_jacSite(model, data, position, rotation, self._site)
            data.ctrl[:] = law.update(
                data.qpos, data.qvel, data.site_xpos[self._site], data.site_xmat[self._site], self._jacobian,
                data.qfrc_bias - data.qfrc_gravcomp, target
            )
            mujoco.mj_step2(model, data)
            if tick >= ticks - averaged:
                external += data.qfrc_constraint[self._dof]
        self._external = external / averaged
        mujoco.mj_forward(model, data)

    def reading(self) -> ArmReading:
        data = self._data
        mujoco.mj_jacSite(self._model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        J = self._jacobian
        wrench = np.linalg.solve(J @ J.T, J @ self._external)
        return ArmReading(self.pose(), J @ data.qvel, wrench, data.qpos.copy(), data.qvel.copy(), data.ctrl.copy(), self.pose(), 0, "")
