# SPDX-License-Identifier: Apache-2.0
"""What a task adds to the simulated cell: objects, randomisation, truth. One file in ``tasks/`` each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

import mujoco
import numpy as np

from hil_serl_core.spec import TaskSpec


@dataclass(frozen=True)
class Truth:
    """What a person sees by looking at the cell.

    Attributes:
        success: the task is solved in this state.
        failure: the task can no longer be solved.
        poses: object name -> (7,) pose in the base frame, xyz [m] + quaternion xyzw.
    """

    success: bool
    failure: bool
    poses: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class InitialState:
    """Outcome of one draw of a twin's randomisation.

    Attributes:
        tcp_pose: (7,) where the arm starts, base frame.
        variation: named numbers that the twin writes into the model, e.g. a grasp offset.
    """

    tcp_pose: np.ndarray
    variation: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Camera:
    """Pinhole camera of the cell; ``body`` None: fixed in the world.

    Attributes:
        position: where it sits in the frame of ``body``'s tcp, or in the base frame [m].
        target: point it looks at, same frame [m].
        up: direction that is up in the picture, same frame.
        fovy: vertical field of view [deg].
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy: float
    on_hand: bool = True


class Guide(ABC):
    """How a person who sees the scene would do the task: where the tool should go next. Stateless."""

    @abstractmethod
    def waypoint(
        self, tcp_pose: np.ndarray, poses: Mapping[str, np.ndarray], bias: np.ndarray, tolerance: float = 1.0
    ) -> np.ndarray:
        """Next tcp pose on the way to success.

        Args:
            tcp_pose: (7,) present tcp pose, base frame.
            poses: the objects as in Truth.
            bias: (6,) error of perception, goal frame: how far off the goal is taken to lie, [m] and rotation
                vector [rad].
            tolerance: times the accuracy that a perfect hand reaches before it goes on to the next stage.

        Returns:
            (7,) tcp pose to steer for, base frame.
        """

    @abstractmethod
    def resting(self, poses: Mapping[str, np.ndarray]) -> bool:
        """Whether the part rests against something at a place where it should move on."""

    @abstractmethod
    def progress(self, tcp_pose: np.ndarray, poses: Mapping[str, np.ndarray]) -> float:
        """How far the task still is from success, metres-like; smaller is better."""

    @abstractmethod
    def strayed(self, tcp_pose: np.ndarray, poses: Mapping[str, np.ndarray]) -> bool:
        """Whether the tool has left the region that a sensible attempt stays in."""


class Twin(ABC):
    """Objects of one task around the simulated arm.

    ``parameters`` are the twin's numbers; a task file overrides them by name under ``sim.parameters``.
    """

    finger_opening: float = 0.0  # [m]
    image_gain: float = 0.0  # +/- share by which a camera's brightness differs from episode to episode
    image_noise: float = 0.0  # standard deviation per pixel and frame [grey levels]
    cameras: ClassVar[Mapping[str, Camera]] = {}
    display: Camera

    def __init__(self, spec: TaskSpec):
        self.spec = spec

    @abstractmethod
    def build(self, scene: mujoco.MjSpec) -> None:
        """Add the objects to a scene that already holds the arm."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> InitialState:
        """Draw an initial state."""

    @abstractmethod
    def apply(self, model: mujoco.MjModel, data: mujoco.MjData, state: InitialState) -> None:
        """Write the variation of an initial state into model and data. The arm is placed by the cell."""

    @abstractmethod
    def truth(self, model: mujoco.MjModel, data: mujoco.MjData) -> Truth:
        """Judge the present state."""

    @abstractmethod
    def guide(self) -> Guide:
        """Knowledge of how to do the task, for the scripted operator and the expert."""


def parameters_from(spec: TaskSpec, defaults: type):
    """Parameters of a twin: a frozen dataclass of floats, overridden by the task file's ``sim.parameters``.

    Raises:
        ValueError: the task file names a parameter that the twin does not have.
    """
    given = dict(spec.sim.parameters) if spec.sim is not None else {}
    known = {f.name for f in fields(defaults)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f"task '{spec.name}': sim.parameters names {unknown}, but its twin knows only {sorted(known)}"
        )
    return defaults(**given)
