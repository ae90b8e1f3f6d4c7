# SPDX-License-Identifier: Apache-2.0
"""Every simulated cell as a Gymnasium environment, for people who bring their own algorithm.

``import hil_serl_sim.gymnasium_env`` registers one id a twin, e.g. ``hil_serl/RamInsertion-v0``. Observation, action,
reward and time limit are those that the actor has in the same task.
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space

from hil_serl_core.observation import Observation, ObservationAssembler
from hil_serl_core.spec import TaskSpec, list_tasks, load_task
from hil_serl_sim.gl import choose_backend
from hil_serl_tasks.finder import suite_folder

NAMESPACE = "hil_serl"


class CellEnv(gymnasium.Env):
    """One simulated task.

    Observation: ``images`` (camera name to (size, size, 3) uint8 RGB) and ``state`` (part to float32 vector, SI units,
    ego-centric as in App. D.1). Action: (A,) float32 in [-1, 1], continuous components arm by arm, then one command a
    gripper (below -0.5 close, above 0.5 open). Reward: the task's on success, else 0. ``info`` has ``success``,
    ``failure`` and ``grasp_penalty`` (of gripper commands that toggled, not part of the reward).

    Args:
        task: task file of a twin, or the task itself.
        render_mode: None or ``rgb_array`` (480 x 640, meshes and shadows).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, task: TaskSpec | str | Path, render_mode: str | None = None):
        choose_backend()
        from hil_serl_sim.cell import Cell  # imports mujoco, which reads the choice
        from hil_serl_sim.rollout import Driver

        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or 'rgb_array', got '{render_mode}'")
        self.task = task if isinstance(task, TaskSpec) else load_task(task)
        self.render_mode = render_mode
        self.cell = Cell(self.task, seed=0)
        self._inputs = ObservationAssembler(self.task)
        self._driver = Driver(self.cell)
        self._reset_poses: dict[str, np.ndarray] = {}
        self._steps = 0
        cameras: dict[str, Space] = {
            c.name: Box(0, 255, (c.size, c.size, 3), np.uint8) for c in self.task.cameras
        }
        state: dict[str, Space] = {
            part: Box(-np.inf, np.inf, (n,), np.float32) for part, n in self.task.state_sizes.items()
        }
        self.observation_space = Dict({"images": Dict(cameras), "state": Dict(state)})
        self.action_space = Box(-1.0, 1.0, (self.task.action_size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New initial state.

        Args:
            seed: of this and the coming initial states.
            options: ``arm_only`` True: objects stay where they are.
        """
        super().reset(seed=seed)
        arm_only = bool((options or {}).get("arm_only", False))
        self._driver.reset(int(self.np_random.integers(2**31)), arm_only)
        self._inputs.clear()
        self._steps = 0
        self._see()
        self._reset_poses = {arm: self.cell.sample(arm).tcp_pose for arm in self.task.arm_names}
        return self._observation(), self._info(0.0)

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """One control period."""
        action = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        penalty = 0.0
        if self.task.action.gripper is not None:
            penalty = self.task.action.gripper.penalty * self._driver.toggles(action)
        self._driver.step(action)
        self._see()
        self._steps += 1
        truth, limit = self.cell.truth(), self._steps >= self.task.episode.max_steps
        over = truth.success or truth.failure
        terminated = bool(over and (limit or not self.task.episode.run_to_limit))
        reward = self.task.reward.success_reward if terminated and truth.success else 0.0
        return self._observation(), reward, terminated, bool(limit and not terminated), self._info(penalty)

    def render(self) -> np.ndarray | None:
        """(480, 640, 3) uint8 RGB in mode ``rgb_array``."""
        return self.cell.render_display() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the renderers."""
        self.cell.close()

    def _see(self) -> None:
        """Take arm states and pictures of the present state, as the actor does from topics."""
        for name in self.task.arm_names:
            self._inputs.put_arm(self.cell.sample(name), name)
        for camera in self.task.cameras:
            self._inputs.put_frame(camera.name, self.cell.time, self.cell.render(camera.name))

    def _observation(self) -> dict[str, Any]:
        seen: Observation = self._inputs.assemble(self.cell.time, self._reset_poses)
        return {"images": dict(seen.frames), "state": dict(seen.state)}

    def _info(self, penalty: float) -> dict[str, Any]:
        truth = self.cell.truth()
        return {"success": truth.success, "failure": truth.failure, "grasp_penalty": penalty}


def environment_id(task: str) -> str:
    """Gymnasium id of a task: ``ram_insertion`` is ``hil_serl/RamInsertion-v0``."""
    return f"{NAMESPACE}/{''.join(part.capitalize() for part in task.split('_'))}-v0"


def task_files() -> dict[str, Path]:
    """Task name to file, of all twins of the suite (and of the folder ``tasks/sim`` of the working folder)."""
    return list_tasks([Path("tasks/sim").absolute(), suite_folder() / "sim"])


def register() -> list[str]:
    """Register an environment for every twin; returns the ids."""
    ids = []
    for task, path in task_files().items():
        name = environment_id(task)
        ids.append(name)
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=f"{__name__}:CellEnv", kwargs={"task": str(path)})
    return ids


register()
