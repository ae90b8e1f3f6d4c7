# SPDX-License-Identifier: Apache-2.0
"""Any Gymnasium environment in the place of the simulated cell. No ROS.

The actor knows arms, cameras and targets; an environment knows observations and actions. The adapter stands between:

* Pictures: ``cameras`` maps the task's cameras to entries of the observation. By default ``images/NAME``, as in SERL's
  environments.
* State: ``state`` maps the parts of an arm state to entries of the observation. By default SERL's names under ``state``:
  ``tcp_pose`` (xyz + quaternion xyzw or euler angles), ``tcp_vel``, ``tcp_force``, ``tcp_torque``, ``gripper_pose``, and
  ``q``, ``dq``. A part that the environment lacks stays zero; without ``tcp_pose`` the arm is taken to stand at the nominal
  reset pose.
* Action: what the actor's target or wrench asks for, back in [-1, 1] and stretched to the environment's action space; a
  gripper command is its last component, -1 closed to 1 open.
* Success: ``success``, ``succeed`` or ``is_success`` in ``info``, else a terminal step with a positive reward; with
  ``success_at_reward`` also a step whose own reward reaches it.
* Reward: the task file's, ``reward.success_reward`` once at success. The learner bounds returns by it, so the environment's
  own reward is not paid, and whoever starts the cell is told so.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import yaml
from gymnasium.spaces import Box
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import ArmCommand, nominal_pose
from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.action import WRENCH_AXES
from hil_serl_sim.arm import ArmReading
from hil_serl_sim.twin import Truth

_SUCCESS = ("success", "succeed", "is_success")
_TICKS_PER_SECOND = 1000


class GymError(ValueError):
    """An environment that cannot stand for the task's cell; the message names what does not fit."""


class Adapter(BaseModel):
    """How an environment's observation maps to the task; an entry is a path such as ``images/front`` or ``state/pose``.

    A range ends a path that takes part of a vector: ``state[0:7]``. A step whose reward is at least ``success_at_reward``
    solves the task, for environments that say so in no other way; None: their reward is not looked at so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cameras: dict[str, str] = {}
    state: dict[str, str] = {
        "tcp_pose": "state/tcp_pose",
        "tcp_twist": "state/tcp_vel",
        "tcp_force": "state/tcp_force",
        "tcp_torque": "state/tcp_torque",
        "gripper": "state/gripper_pose",
        "joint_position": "state/q",
        "joint_velocity": "state/dq",
    }
    success_at_reward: float | None = None

    @classmethod
    def load(cls, path: Path | None) -> "Adapter":
        """An adapter from a YAML file; None: SERL's names.

        Raises:
            GymError: The file cannot be used.
        """
        if path is None:
            return cls()
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise GymError(f"adapter file {path} cannot be used: {error}") from error


@dataclass
class _Present:
    """What the environment showed last."""

    observation: Mapping[str, Any] = field(default_factory=dict)
    success: bool = False
    failure: bool = False


def make_environment(name: str, **settings: Any) -> gymnasium.Env:
    """An environment by its Gymnasium id, or by ``module:Class`` of one that is not registered.

    Raises:
        GymError: There is none of that name.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None) if attribute else None
        return found(**settings) if isinstance(found, type) else gymnasium.make(name, **settings)
    except (gymnasium.error.Error, ImportError) as error:
        raise GymError(f"there is no Gymnasium environment '{name}': {error}") from error


class GymCell:
    """An environment with the interface of :class:`~hil_serl_sim.cell.Cell`, as far as node and pacing use it.

    Args:
        spec: the task; one arm.
        environment: its observation is a dictionary.
        adapter: how the observation maps to the task.
        seed: of the resets that are asked for without a seed.
        tell: tells people what becomes of the environment's reward; None: nobody.

    Raises:
        GymError: the environment lacks a camera, or its action space does not fit the task's action.
    """

    def __init__(
        self,
        spec: TaskSpec,
        environment: gymnasium.Env,
        adapter: Adapter,
        seed: int = 0,
        tell: Callable[[str], None] | None = None,
    ):
        if len(spec.arm_names) > 1:
            raise GymError(
                f"task '{spec.name}' has {len(spec.arm_names)} arms; an environment stands for one"
            )
        self.spec = spec
        self._environment, self._adapter = environment, adapter
        self._nominal = nominal_pose(spec.arm(""))
        self._rng = np.random.default_rng(seed)
        self.period_ticks = round(spec.period * _TICKS_PER_SECOND)
        self.ticks = 0
        self.resets = 0
        self.objects_put_back = True
        self._present = _Present()
        self._check_actions()
        self.reset(seed)
        for camera in spec.cameras:
            self.render(camera.name)
        self._tell = tell
        if tell is not None:
            tell(reward_in_words(spec, adapter))

    def _check_actions(self) -> None:
        space, size = self._environment.action_space, self.spec.action_size
        if (
            not isinstance(space, Box)
            or space.shape != (size,)
            or not np.isfinite([space.low, space.high]).all()
        ):
            raise GymError(
                f"task '{self.spec.name}' has an action of {size} numbers, the environment's action space is {space}; "
                "set action.kind, wrench_axes and gripper of the task file so that both agree"
            )
        self._low, self._high = space.low.astype(np.float64), space.high.astype(np.float64)

    def reset(self, seed: int | None = None, arm_only: bool = False, goal: str | None = None) -> None:
        """New initial state; an environment always puts everything back.

        Args:
            seed: of the initial state; None: the cell draws its own.
            arm_only: not known to environments, and taken for a whole reset.
            goal: not known to environments either.
        """
        self.seed = int(self._rng.integers(2**31)) if seed is None or seed < 0 else int(seed)
        observation, _ = self._environment.reset(seed=self.seed)
        self._present = _Present(observation)
        self._command, self._opening = ArmCommand(), 1.0
        self.resets += 1
        self.ticks += self.period_ticks  # later than every stamp before

    def command(self, command: ArmCommand, stamp: float, frame: str | None = None, arm: str = "") -> None:
        """Take a command for the coming step."""
        if command.gripper is not None:
            self._opening = command.gripper
        if command.pose is not None or command.wrench is not None:
            self._command = command

    def advance(self, commands: None = None, ticks: int | None = None) -> None:
        """Some ticks; the environment steps when a control period is over, unless its episode is."""
        before = self.ticks // self.period_ticks
        self.ticks += self.period_ticks if ticks is None else ticks
        for _ in range(before, self.ticks // self.period_ticks):
            if not (self._present.success or self._present.failure):
                self._step()

    def _step(self) -> None:
        action = self._low + 0.5 * (self._action() + 1.0) * (self._high - self._low)
        space = self._environment.action_space
        observation, reward, terminated, _, info = self._environment.step(action.astype(space.dtype))
        named = next((bool(info[key]) for key in _SUCCESS if key in info), None)
        success = bool(terminated and float(reward) > 0.0) if named is None else named
        enough = self._adapter.success_at_reward
        success = success or (enough is not None and float(reward) >= enough)
        self._present = _Present(observation, success, bool(terminated) and not success)
        if float(reward) and not success and self._tell is not None:
            self._tell(
                f"the environment gave a reward of {float(reward):g} without success, which nobody is paid"
            )
            self._tell = None  # once

    def _action(self) -> np.ndarray:
        """(A,) in [-1, 1]: what the actor's command asked for. A command is used once; without one the arm stays."""
        command, self._command = self._command, ArmCommand()
        if self.spec.action.kind == "wrench":
            axes = [WRENCH_AXES.index(axis) for axis in self.spec.action.wrench_axes]
            wrench = np.zeros(6) if command.wrench is None else command.wrench
            continuous = wrench[axes] / np.asarray(self.spec.action.wrench_scale)
        else:
            continuous = self._twist(command.pose)
        grippers = [2.0 * self._opening - 1.0] if self.spec.grippers else []
        return np.clip(np.concatenate([continuous, grippers]), -1.0, 1.0)

    def _twist(self, target: np.ndarray | None) -> np.ndarray:
        """(6,) action whose target from the present pose is this one: the inverse of ``TwistMapper``."""
        if target is None:
            return np.zeros(6)
        scale = np.repeat([self.spec.action.translation_scale, self.spec.action.rotation_scale], 3)
        return logarithm(geometry.relative(self._pose(), target)) / scale

    def arm_state(self, arm: str = "") -> ArmReading:
        """The arm as the environment shows it."""
        pose, joints = self._pose(), self.spec.part_size("joint_position")
        force, torque = self._part("tcp_force", 3), self._part("tcp_torque", 3)
        gripper = self._part("gripper", 1, missing=self._opening if self.spec.grippers else np.nan)
        return ArmReading(
            pose=pose,
            twist=self._part("tcp_twist", 6),
            wrench=np.concatenate([force, torque]),
            joint_position=self._part("joint_position", joints),
            joint_velocity=self._part("joint_velocity", joints),
            joint_effort=np.zeros(joints),
            target=pose,
            fault=0,
            fault_text="",
            gripper=float(gripper[0]),
        )

    def _pose(self) -> np.ndarray:
        """(7,) tcp; SERL's environments may state it with euler angles."""
        value = self._lookup(self._adapter.state.get("tcp_pose", ""))
        if value is None:
            return self._nominal
        if value.size == 6:
            return geometry.make_pose(value[:3], Rotation.from_euler("xyz", value[3:]))
        if value.size != 7:
            raise GymError(f"the environment's tcp_pose has {value.size} numbers, 6 or 7 are known")
        return geometry.make_pose(value[:3], Rotation.from_quat(value[3:]))

    def _part(self, name: str, size: int, missing: float = 0.0) -> np.ndarray:
        """A part of the arm state; a shorter vector is filled up with zeros."""
        value = self._lookup(self._adapter.state.get(name, ""))
        if value is None:
            return np.full(size, missing)
        if value.size > size:
            raise GymError(f"the environment's {name} has {value.size} numbers, the arm state has {size}")
        return np.concatenate([value, np.zeros(size - value.size)])

    def _lookup(self, path: str) -> np.ndarray | None:
        """Vector at a path of the observation, None if there is none."""
        found = _entry(self._present.observation, path) if path else None
        return None if found is None else np.asarray(found, dtype=np.float64).ravel()

    def render(self, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB of one of the task's cameras.

        Raises:
            GymError: the environment shows no such picture, or one of another size than the task file states.
        """
        path = self._adapter.cameras.get(camera, f"images/{camera}")
        picture = _entry(self._present.observation, path)
        if picture is None:
            raise GymError(
                f"the environment's observation has no '{path}' for camera '{camera}'; name its place in the adapter file"
            )
        wanted = next((c.source_height, c.source_width, 3) for c in self.spec.cameras if c.name == camera)
        picture = np.asarray(picture)
        picture = picture[-1] if picture.ndim == 4 else picture  # SERL stacks a history of one
        if picture.shape != wanted or picture.dtype != np.uint8:
            raise GymError(
                f"the environment's '{path}' is {picture.shape} {picture.dtype}, the task file states {wanted} uint8"
            )
        return np.ascontiguousarray(picture)

    def render_display(self) -> np.ndarray:
        """The environment's own picture."""
        picture = self._environment.render()
        if not isinstance(picture, np.ndarray):
            raise GymError(
                "the environment draws no picture for people; make it with render_mode 'rgb_array'"
            )
        return picture

    def truth(self) -> Truth:
        """Whether the environment calls the task solved or lost."""
        return Truth(self._present.success, self._present.failure, {})

    def close(self) -> None:
        """End the environment."""
        self._environment.close()


def reward_in_words(spec: TaskSpec, adapter: Adapter) -> str:
    """Who decides on success in front of an environment, and what becomes of its own reward, for people."""
    kind = spec.reward.kind
    if kind != "ground_truth":
        return (
            f"task '{spec.name}' is judged by reward.kind '{kind}': neither the environment's reward nor its success is "
            "used; its success is, with reward.kind 'ground_truth' (--reward ground_truth)"
        )
    enough = adapter.success_at_reward
    rule = (
        f"a reward of at least {enough:g}" if enough is not None else "a terminal step with a positive reward"
    )
    hint = (
        ""
        if enough is not None
        else "; an adapter file with success_at_reward takes a reward from there on as success"
    )
    return (
        f"the environment's own reward is not paid: its success ({', '.join(_SUCCESS)} in info, or {rule}) ends the "
        f"episode and brings reward.success_reward = {spec.reward.success_reward:g} once, and nothing else does{hint}"
    )


def _entry(observation: Any, path: str) -> Any:
    """Entry ``a/b`` or ``a/b[2:5]`` of a nested observation; None if there is none."""
    path, _, part = path.partition("[")
    for key in path.split("/"):
        if not isinstance(observation, Mapping) or key not in observation:
            return None
        observation = observation[key]
    if not part:
        return observation
    low, high = (int(number) for number in part.rstrip("]").split(":"))
    return np.asarray(observation).ravel()[low:high]


def logarithm(pose: np.ndarray) -> np.ndarray:
    """(6,) twist ``[v, w]`` whose exponential is a (7,) pose; inverse of ``geometry.exp``."""
    rotation = geometry.rotation_of(pose).as_rotvec()
    angle = float(np.linalg.norm(rotation))
    hat = geometry.skew(rotation)
    if angle < 1e-8:
        inverse = np.eye(3) - 0.5 * hat
    else:
        factor = 1.0 / angle**2 - (1.0 + np.cos(angle)) / (2.0 * angle * np.sin(angle))
        inverse = np.eye(3) - 0.5 * hat + factor * hat @ hat
    return np.concatenate([inverse @ pose[:3], rotation])
