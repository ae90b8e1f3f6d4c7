# SPDX-License-Identifier: Apache-2.0
"""The 2F-85's fingers: fixed around a part, or two coupled slides that grasp by friction and limited force.

The real gripper closes by a four-bar linkage whose pads stay parallel. In the simulation each pad is a slide;
an equality constraint couples both as the linkage does. Only pictures for people show the linkage itself.
"""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

STROKE = 0.085  # [m] between the pads when open
GRIP_FORCE = 40.0  # [N] of each pad; the 2F-85 can be set from 20 to 235 N
CLOSING_TIME = 0.4  # [s] for the whole stroke
TIMESTEP = 0.001  # [s] one tick of the control law

POLICY_GROUP = 0
"""Geom group of primitives: all that the policy's cameras see."""
HIDDEN_GROUP = 4

HAND_BODY = "base"  # gym_hil's name of the gripper's housing
SLIDES = ("left_finger", "right_finger")
ACTUATOR = "gripper"
PAD_FRICTION = (1.0, 0.01, 0.001)  # rubber; the pads' priority makes it count whatever they touch

_LINKS = tuple(
    (f"{side}_{body}", sign)
    for side in ("right", "left")
    for body, sign in (("driver", 1.0), ("spring_link", 1.0), ("follower", -1.0))
)
_FOLLOWER_PIVOT = np.array([0.0, -0.018, 0.0065])
_FINGER_SIZE = (0.011, 0.006, 0.035)  # [m] half lengths
_FINGER_HEIGHT = 0.120  # [m] of its centre above the housing
_FINGER_COLOUR = (0.45, 0.45, 0.45, 1.0)
_FINGER_MASS = 0.06  # [kg]
_ARMATURE = 0.25  # [kg] motor and linkage, seen at a pad
_STIFFNESS = 20000.0  # [N/m] at a pad: the limit is reached 2 mm off the commanded opening


def prefixed(arm: str, name: str) -> str:
    """MuJoCo name of an arm's element; without prefix for a single arm."""
    return f"{arm}/{name}" if arm else name


def add_palm(hand: mujoco.MjsBody, display: bool) -> None:
    """Box in place of the housing."""
    hand.add_geom(
        name="palm",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0.0, 0.0, 0.045),
        size=(0.03, 0.045, 0.045),
        rgba=(0.2, 0.2, 0.2, 1.0),
        group=HIDDEN_GROUP if display else POLICY_GROUP,
        mass=_FINGER_MASS,
        contype=0,
        conaffinity=0,
    )


def add_fixed_fingers(hand: mujoco.MjsBody, display: bool, opening: float) -> None:
    """Boxes that are seen and not felt, ``opening`` [m] apart."""
    for name, side in (("left", -1.0), ("right", 1.0)):
        hand.add_geom(
            name=f"{name}_finger",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0.0, side * (opening / 2 + _FINGER_SIZE[1]), _FINGER_HEIGHT),
            size=_FINGER_SIZE,
            rgba=_FINGER_COLOUR,
            group=HIDDEN_GROUP if display else POLICY_GROUP,
            mass=_FINGER_MASS,
            contype=0,
            conaffinity=0,
        )


def add_moving_fingers(spec: mujoco.MjSpec, display: bool, contact_bits: tuple[int, int]) -> None:
    """Two coupled slides with rubber pads and one motor.

    Args:
        spec: model with one arm, not yet prefixed.
        display: hide the boxes; the linkage is shown instead.
        contact_bits: contype and conaffinity of the fingers, such that the two of a hand do not collide.
    """
    for name, side in zip(SLIDES, (-1.0, 1.0), strict=True):
        _add_finger(spec.body(HAND_BODY), name, side, display, contact_bits)
    _couple(spec)
    _add_motor(spec)


def _add_finger(
    hand: mujoco.MjsBody, name: str, side: float, display: bool, contact_bits: tuple[int, int]
) -> None:
    finger = hand.add_body(name=name, pos=(0.0, side * _FINGER_SIZE[1], _FINGER_HEIGHT))
    finger.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0.0, side, 0.0),
        range=(0.0, STROKE / 2),
        limited=True,
        armature=_ARMATURE,
        solref_limit=(0.005, 1.0),
    )
    finger.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=_FINGER_SIZE,
        rgba=_FINGER_COLOUR,
        group=HIDDEN_GROUP if display else POLICY_GROUP,
        mass=_FINGER_MASS,
        contype=contact_bits[0],
        conaffinity=contact_bits[1],
        condim=4,
        priority=1,
        friction=PAD_FRICTION,
        solref=(0.004, 1.0),
        solimp=(0.95, 0.99, 0.001, 0.5, 2.0),
    )


def _couple(spec: mujoco.MjSpec) -> None:
    """Both slides travel alike, as the linkage makes them."""
    coupling = spec.add_equality(
        name="fingers",
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1=SLIDES[0],
        name2=SLIDES[1],
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        solref=(0.005, 1.0),
        solimp=(0.95, 0.99, 0.001, 0.5, 2.0),
    )
    coupling.data[:5] = (0.0, 1.0, 0.0, 0.0, 0.0)


def _add_motor(spec: mujoco.MjSpec) -> None:
    """One position-controlled, force-limited motor; in the tendon's coordinate half its force reaches each pad."""
    both = spec.add_tendon(name="fingers")
    for name in SLIDES:
        both.wrap_joint(name, 0.5)
    stiffness, mass = 2 * _STIFFNESS, 2 * (_ARMATURE + _FINGER_MASS)
    gain, bias = np.zeros(10), np.zeros(10)
    gain[0] = stiffness
    bias[1:3] = -stiffness, -2.0 * np.sqrt(stiffness * mass)
    spec.add_actuator(
        name=ACTUATOR,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target="fingers",
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=gain,
        biasprm=bias,
        forcelimited=True,
        forcerange=(-2 * GRIP_FORCE, 2 * GRIP_FORCE),
        ctrllimited=True,
        ctrlrange=(0.0, STROKE / 2),
    )


class Gripper:
    """The moving fingers of one arm.

    Args:
        model: a model with moving fingers.
        data: its state.
        arm: name of the arm.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, arm: str):
        self._ctrl, self._qpos, self._qvel = data.ctrl, data.qpos, data.qvel
        self._actuator = model.actuator(prefixed(arm, ACTUATOR)).id
        joints = [model.joint(prefixed(arm, name)) for name in SLIDES]
        self._addresses = [int(joint.qposadr[0]) for joint in joints]
        self._dofs = [int(joint.dofadr[0]) for joint in joints]
        self._target = STROKE / 2  # [m] of one pad
        self._forced = 0

    @property
    def opening(self) -> float:
        """Measured opening, 0 closed to 1 open."""
        travel = sum(float(self._qpos[address]) for address in self._addresses)
        return min(1.0, max(0.0, travel / STROKE))

    def command(self, opening: float) -> None:
        """Opening to go to and hold, 0 to 1.

        Raises:
            ValueError: it is no number.
        """
        if not np.isfinite(opening):
            raise ValueError(
                f"a gripper command must be an opening from 0 (closed) to 1 (open), got {opening}"
            )
        self._target = 0.5 * STROKE * min(1.0, max(0.0, float(opening)))

    def place(self, opening: float) -> None:
        """Put the fingers at rest at an opening; any command is forgotten."""
        self._forced = 0
        self.command(opening)
        self._qpos[self._addresses] = self._target
        self._qvel[self._dofs] = 0.0
        self._ctrl[self._actuator] = self._target

    def force_open(self, ticks: int) -> None:
        """Open for some ticks whatever is commanded (robustness test)."""
        self._forced = ticks

    def tick(self) -> None:
        """Move the motor's set point for one tick."""
        target = self._target
        if self._forced > 0:
            self._forced -= 1
            target = 0.5 * STROKE
        step = 0.5 * STROKE / CLOSING_TIME * TIMESTEP
        now = float(self._ctrl[self._actuator])
        self._ctrl[self._actuator] = min(max(target, now - step), now + step)


def linkage_pose(
    position: np.ndarray, quaternion: np.ndarray, link: str, sign: float, opening: float
) -> tuple:
    """Pose of one link of the 2F-85's four-bar linkage: its links turn by one angle, the pads stay parallel.

    Args:
        position: (3,) of the link in its parent when open [m].
        quaternion: (4,) wxyz, same.
        link: name of the body.
        sign: sense in which it turns.
        opening: between the pads [m].

    Returns:
        position (3,) and quaternion (4,) wxyz.
    """
    turn = Rotation.from_rotvec([sign * 0.8 * (1.0 - opening / STROKE), 0.0, 0.0])
    frame = Rotation.from_quat(np.asarray(quaternion) / np.linalg.norm(quaternion), scalar_first=True)
    pivot = _FOLLOWER_PIVOT if link.endswith("follower") else np.zeros(3)
    moved = np.asarray(position) + frame.apply(pivot - turn.apply(pivot))
    return moved, (frame * turn).as_quat(scalar_first=True)


def fix_linkage(spec: mujoco.MjSpec, opening: float) -> None:
    """Take the joints out of the display variant's linkage, at an opening [m]."""
    for name, sign in _LINKS:
        link = spec.body(name)
        link.pos, link.quat = linkage_pose(link.pos, link.quat, name, sign, opening)
        for joint in list(link.joints):
            spec.delete(joint)
    for side in ("right", "left"):
        for joint in list(spec.body(f"{side}_coupler").joints):
            spec.delete(joint)


class LinkagePose:
    """Poses the display variant's linkage, which was fixed wide open, by the opening of the moving fingers."""

    def __init__(self, model: mujoco.MjModel, arm: str):
        self._model = model
        self._links = [(model.body(prefixed(arm, name)).id, name, sign) for name, sign in _LINKS]
        self._open = {i: (model.body_pos[i].copy(), model.body_quat[i].copy()) for i, _, _ in self._links}

    def show(self, opening: float) -> None:
        """Turn the links to an opening [m]."""
        for i, name, sign in self._links:
            self._model.body_pos[i], self._model.body_quat[i] = linkage_pose(
                *self._open[i], name, sign, opening
            )
