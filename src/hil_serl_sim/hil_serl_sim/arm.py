# SPDX-License-Identifier: Apache-2.0
"""A Panda in MuJoCo under the control law: one tick is kinematics, law, torques."""

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

import serl_impedance_controller as impedance
from hil_serl_core.action import ArmCommand
from hil_serl_core.control import law_settings
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gripper import HAND_BODY, Gripper, prefixed
from hil_serl_sim.panda import HOME, JOINT_SPEED, JOINTS, TCP_SITE
from hil_serl_sim.twin import base_pose


@dataclass(frozen=True)
class ArmReading:
    """State of an arm under one stamp; vectors in its base frame, SI units.

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
        gripper: opening 0 closed to 1 open, NaN where the fingers do not move.
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
    gripper: float = float("nan")

    def sample(self, stamp: float, frame_id: str) -> ArmSample:
        """The same as the actor gets it.

        Args:
            stamp: sampling time [s].
            frame_id: name of the base frame.
        """
        return ArmSample(
            stamp=stamp,
            frame_id=frame_id,
            tcp_pose=self.pose,
            tcp_twist=self.twist,
            external_wrench=self.wrench,
            joint_position=self.joint_position,
            joint_velocity=self.joint_velocity,
            gripper=self.gripper,
            fault=self.fault,
            fault_text=self.fault_text,
        )


def make_controller(
    spec: TaskSpec, arm: str = "", joint_range: np.ndarray | None = None
) -> impedance.Controller:
    """The control law with the gains, clips and limits of a task file, and the Panda's own limits.

    Args:
        spec: the task.
        arm: which of its arms.
        joint_range: (7, 2) lower and upper joint limits of the model [rad]; None: they are not guarded.
    """
    found = spec.arm(arm)
    controller = impedance.Controller(base_frame=found.base_frame, tool_frame=found.tcp_frame)
    settings = law_settings(spec, arm)
    for name, kind in (
        ("damped_velocity", impedance.DampedVelocity),
        ("damping_kind", impedance.DampingKind),
    ):
        settings[name] = kind.__members__[settings[name].upper()]
    if joint_range is not None:
        settings["joint_low"], settings["joint_high"] = joint_range.T
    controller.set(**{"joint_speed": JOINT_SPEED, **settings})
    controller.set_nullspace_posture(HOME)
    if spec.action.kind == "wrench":
        controller.mode = impedance.Mode.WRENCH
    return controller


class Arm:
    """Seven joints of a model under the torques of the control law, and the gripper.

    The owner of the model calls, per tick, ``mj_step1``, :meth:`control` of every arm, ``mj_step2``.

    Args:
        model: a model with the Panda in it.
        data: its state, moved in place.
        spec: gains, clips and frames.
        name: which of the task's arms.
    """

    WRENCH_TICKS = (
        20  # the external wrench is a mean over the last 20 ms, as an arm's own estimate is filtered
    )

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, spec: TaskSpec, name: str = ""):
        joints = spec.part_size("joint_position", name)
        if spec.shows_joints and joints != len(JOINTS):
            raise ValueError(
                f"task '{spec.name}' is for an arm of {joints} joints, the simulated one has {len(JOINTS)}: leave 'joints' "
                "out of the twin's task file"
            )
        self._model, self._data, self.name = model, data, name
        self.frames = (spec.arm(name).base_frame, spec.arm(name).tcp_frame)
        self._site = model.site(prefixed(name, TCP_SITE)).id
        first = model.joint(prefixed(name, JOINTS[0]))
        self._qpos = slice(first.qposadr[0], first.qposadr[0] + 7)
        self._dof = slice(first.dofadr[0], first.dofadr[0] + 7)
        ranges = np.array([model.joint(prefixed(name, joint)).range for joint in JOINTS])
        self.controller = make_controller(spec, name, ranges)
        self.gripper = Gripper(model, data, name) if spec.grippers else None
        self.base = base_pose(spec, name)
        self._to_base: np.ndarray | None = None  # world -> base axes; None where they are the same
        if not np.array_equal(self.base, [0, 0, 0, 0, 0, 0, 1]):
            self._to_base = Rotation.from_quat(self.base[3:]).as_matrix().T.copy()
        self._jacobian = np.zeros((6, model.nv))
        self._pose = np.zeros(7)
        self._external, self._summed = np.zeros(7), 0
        # views into MuJoCo's memory: they follow the state
        hand = data.body(prefixed(name, HAND_BODY))
        self._position, self._quaternion = data.site_xpos[self._site], hand.xquat
        self._q, self._dq, self._bias = data.qpos[self._qpos], data.qvel[self._dof], data.qfrc_bias[self._dof]
        motor = model.actuator(prefixed(name, "actuator1")).id
        self._torque, self._constraint = data.ctrl[motor : motor + 7], data.qfrc_constraint[self._dof]
        self._linear, self._angular = self._jacobian[:3], self._jacobian[3:]
        self._arm_jacobian = self._jacobian[:, self._dof]

    def place(self, joint_position: np.ndarray) -> None:
        """Put the joints at rest somewhere."""
        self._data.qpos[self._qpos] = joint_position
        self._data.qvel[self._dof] = 0.0

    def activate(self) -> None:
        """The law forgets its target, ends a fault and holds where the arm is."""
        if self.controller.fault:
            self.controller.reset_fault()
        self.controller.activate()
        self.forget_wrench()

    def pose(self) -> np.ndarray:
        """(7,) tcp pose in the arm's base frame."""
        self._read_pose()
        return self._pose.copy()

    def twist(self) -> np.ndarray:
        """(6,) linear and angular velocity of the tcp, in the arm's base frame."""
        self._read_jacobian()
        return np.asarray(self._arm_jacobian @ self._dq)

    def world_pose(self) -> np.ndarray:
        """(7,) tcp pose in the world frame."""
        return np.concatenate([self._position, self._quaternion[1:], self._quaternion[:1]])

    def command(self, command: ArmCommand, stamp: float, frame: str | None = None) -> None:
        """Hand a command to law and gripper; a bad target makes the law latch a fault and hold.

        Args:
            command: parts that are None are left as they are.
            stamp: its time [s].
            frame: frame of pose or wrench; default: base or tcp frame of the task file.
        """
        if command.pose is not None:
            pose = np.asarray(command.pose, dtype=np.float64)
            self.controller.set_target_pose(pose, stamp, frame or self.frames[0])
        if command.wrench is not None:
            wrench = np.asarray(command.wrench, dtype=np.float64)
            self.controller.set_target_wrench(wrench, stamp, frame or self.frames[1])
        if command.gripper is not None and self.gripper is not None:
            self.gripper.command(command.gripper)

    def _read_pose(self) -> None:
        pose, quaternion = self._pose, self._quaternion  # the tcp site is parallel to the hand
        pose[:3] = self._position
        pose[3:6] = quaternion[1:]
        pose[6] = quaternion[0]
        if self._to_base is not None:
            pose[:] = self._in_base(pose)

    def _in_base(self, pose: np.ndarray) -> np.ndarray:
        """World pose in the base frame; quaternion product by hand, this runs at 1 kHz."""
        x, y, z, w = pose[3:]
        a, b, c, d = self.base[3:]
        turned = (
            d * x - a * w - b * z + c * y,
            d * y + a * z - b * w - c * x,
            d * z - a * y + b * x - c * w,
            d * w + a * x + b * y + c * z,
        )
        return np.array([*(self._to_base @ (pose[:3] - self.base[:3])), *turned])

    def _read_jacobian(self) -> None:
        mujoco.mj_jacSite(self._model, self._data, self._linear, self._angular, self._site)
        if self._to_base is not None:
            self._linear[:] = self._to_base @ self._linear
            self._angular[:] = self._to_base @ self._angular

    def control(self, time: float, mass: np.ndarray) -> None:
        """The law's torques of this tick, and the gripper's motor.

        Args:
            time: of the tick [s].
            mass: (nv, nv) mass matrix of the whole model.
        """
        self._read_jacobian()
        self._read_pose()
        self._torque[:] = self.controller.update(
            self._q, self._dq, self._pose, self._arm_jacobian, self._bias, mass[self._dof, self._dof], time
        )
        if self.gripper is not None:
            self.gripper.tick()

    def forget_wrench(self) -> None:
        """Begin a new mean of the external wrench."""
        self._external, self._summed = np.zeros(7), 0

    def feel(self) -> None:
        """Add this tick's constraint forces to the mean."""
        self._external += self._constraint
        self._summed += 1

    def reading(self) -> ArmReading:
        """State of the arm now.

        The external wrench is what the constraints (contacts) do to the joints, mapped to the tcp: the way
        the Panda estimates it from its joint torque sensors.
        """
        self._read_jacobian()
        jacobian = self._arm_jacobian
        external = self._external / max(1, self._summed)
        fault = self.controller.fault
        return ArmReading(
            pose=self.pose(),
            twist=self.twist(),
            wrench=np.linalg.solve(jacobian @ jacobian.T, jacobian @ external),
            joint_position=self._q.copy(),
            joint_velocity=self._dq.copy(),
            joint_effort=self._torque.copy(),
            target=np.array(self.controller.state().limited),
            fault=int(fault.code) if fault else 0,
            fault_text=fault.text if fault else "",
            gripper=self.gripper.opening if self.gripper is not None else float("nan"),
        )


def full_inertia(model: mujoco.MjModel, data: mujoco.MjData, out: np.ndarray) -> None:
    """Dense mass matrix into ``out`` (nv, nv)."""
    if _FULL_M_TAKES_DATA:
        mujoco.mj_fullM(model, data, out)
    else:  # older MuJoCo
        mujoco.mj_fullM(model, out, data.qM)


_FULL_M_TAKES_DATA = "MjData" in (mujoco.mj_fullM.__doc__ or "")
