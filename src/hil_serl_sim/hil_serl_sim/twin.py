# SPDX-License-Identifier: Apache-2.0
"""What a task adds to the simulated cell: objects, randomisation, truth. One file in ``tasks/`` each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.reset import sample_start_pose
from hil_serl_core.spec import TaskSpec


@dataclass(frozen=True)
class Truth:
    """What a person sees by looking at the cell.

    Attributes:
        success: the task is solved in this state.
        failure: the task can no longer be solved.
        poses: object name -> (7,) pose in the world frame, xyz [m] + quaternion xyzw.
        goals: name -> reached, for twins with several goals (forward and backward task).
    """

    success: bool
    failure: bool
    poses: Mapping[str, np.ndarray]
    goals: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class InitialState:
    """Outcome of one draw of a twin's randomisation.

    Attributes:
        tcp_poses: arm -> (7,) where it starts, the arm's base frame.
        variation: named numbers that the twin writes into model and data, e.g. a grasp offset.
        grippers: arm -> opening 0..1 at the start, where it differs from the task file's.
    """

    tcp_poses: Mapping[str, np.ndarray]
    variation: Mapping[str, np.ndarray] = field(default_factory=dict)
    grippers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Camera:
    """Pinhole camera of the cell.

    Attributes:
        position: where it sits in the tcp frame of its arm (on_hand), or in the world frame [m].
        target: point it looks at, same frame [m].
        up: direction that is up in the picture, same frame.
        fovy: vertical field of view [deg].
        on_hand: it moves with a hand; else it is fixed in the world.
        arm: whose hand.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy: float
    on_hand: bool = True
    arm: str = ""


@dataclass(frozen=True)
class SceneView:
    """What a person sees at one moment, world frame (one arm: its base frame).

    Attributes:
        stamp: [s]
        tcp: arm -> (7,) pose, xyz [m] + quaternion xyzw.
        twist: arm -> (6,) linear [m/s] and angular [rad/s] velocity of the tcp.
        gripper: arm -> opening 0..1, NaN where the gripper does not move.
        poses: object -> (7,) pose.
    """

    stamp: float
    tcp: Mapping[str, np.ndarray]
    twist: Mapping[str, np.ndarray]
    gripper: Mapping[str, float]
    poses: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Intent:
    """What one hand wants next.

    Attributes:
        tcp_pose: (7,) waypoint of the tcp, world frame (twist tasks); None: stay.
        wrench: (k,) in [-1, 1], the task's wrench action (wrench tasks); None: none.
        gripper: -1 close, 0 leave, +1 open.
    """

    tcp_pose: np.ndarray | None = None
    wrench: np.ndarray | None = None
    gripper: float = 0.0


class Guide(ABC):
    """How a person who sees the scene would do the task. Stateless.

    ``habits`` are fields of :class:`~hil_serl_sim.operator.Person` that differ in this task, e.g. a shorter
    reaction where the motion is rehearsed.
    """

    habits: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> Mapping[str, Intent]:
        """What each hand should do next on the way to success; an arm left out stays.

        Args:
            view: the scene.
            bias: (6,) error of perception, goal frame: how far off the goal is taken to lie, [m] and rotation
                vector [rad].
            tolerance: times the accuracy that a perfect hand reaches before it goes on to the next stage.
        """

    @abstractmethod
    def resting(self, view: SceneView) -> bool:
        """Whether the part rests against something at a place where it should move on."""

    @abstractmethod
    def progress(self, view: SceneView) -> float:
        """How far the task still is from success, metres-like; smaller is better."""

    @abstractmethod
    def strayed(self, view: SceneView) -> bool:
        """Whether a tool has left the region that a sensible attempt stays in."""


@dataclass(frozen=True)
class Parameters:
    """Numbers of a twin, which a task file overrides by name under ``sim.parameters``. Twins add theirs.

    Attributes:
        image_gain: +/- share by which a camera's brightness differs from episode to episode.
        image_noise: standard deviation per pixel and frame [grey levels].
    """

    image_gain: float = 0.15
    image_noise: float = 3.0


class Twin(ABC):
    """Objects of one task around the simulated arms.

    Args:
        spec: the task.
        defaults: the twin's frozen dataclass of numbers.

    Raises:
        ValueError: the task file names a parameter that the twin does not have.
    """

    finger_opening: float = 0.0  # [m] of fingers that do not move
    cameras: ClassVar[Mapping[str, Camera]] = {}
    display: Camera
    parameters: Parameters

    def __init__(self, spec: TaskSpec, defaults: type[Parameters] = Parameters):
        self.spec = spec
        self.parameters = _parameters(spec, defaults)

    @abstractmethod
    def build(self, scene: mujoco.MjSpec) -> None:
        """Add the objects to a scene that already holds the arms."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> InitialState:
        """Draw an initial state."""

    def sample_for(self, goal: str | None, rng: np.random.Generator) -> InitialState:
        """Draw an initial state of the task that one of the twin's goals is for; twins with several goals override it.

        Args:
            goal: one of the twin's goals; None: the task file's ``sim.goal``.
            rng: where the numbers come from.

        Raises:
            ValueError: there is no such goal.
        """
        own = self.spec.sim.goal if self.spec.sim else None
        if goal not in (None, own):
            raise ValueError(f"the twin of task '{self.spec.name}' does not know a goal '{goal}'")
        return self.sample(rng)

    @abstractmethod
    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Write the variation of an initial state into model and data. The arms are placed by the cell."""

    @abstractmethod
    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Judge the present state."""

    @abstractmethod
    def guide(self, goal: str | None = None) -> Guide:
        """Knowledge of how to do the task, for the scripted operator and the expert.

        Args:
            goal: one of the twin's goals; None: the task file's ``sim.goal``.
        """

    @property
    def perturbations(self) -> tuple[str, ...]:
        """How an episode of this twin can be disturbed (Sec. 4.4), of ``move_target`` and ``open_gripper``."""
        moves = type(self).move_target is not Twin.move_target
        return ("move_target",) * moves + ("open_gripper",) * (self.spec.grippers > 0)

    def move_target(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Move the goal while the episode runs, as in the paper's robustness tests (Sec. 4.4).

        Raises:
            ValueError: this twin has no goal that can be moved.
        """
        raise ValueError(f"the twin of task '{self.spec.name}' has no target that can be moved")

    def start_pose(self, rng: np.random.Generator, arm: str = "") -> np.ndarray:
        """(7,) tcp pose uniform around the arm's nominal one by the task file's ranges, its base frame."""
        return sample_start_pose(self.spec, rng, arm)


def base_pose(spec: TaskSpec, arm: str) -> np.ndarray:
    """(7,) pose of an arm's base in the world frame."""
    found = spec.arm(arm)
    return geometry.make_pose(np.asarray(found.base_position), Rotation.from_rotvec(found.base_rotation))


def _parameters(spec: TaskSpec, defaults: type[Parameters]) -> Parameters:
    """A twin's numbers, overridden by the task file's ``sim.parameters``."""
    given = dict(spec.sim.parameters) if spec.sim is not None else {}
    known = {f.name for f in fields(defaults)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f"task '{spec.name}': sim.parameters names {unknown}, but its twin knows only {sorted(known)}"
        )
    return defaults(**given)
