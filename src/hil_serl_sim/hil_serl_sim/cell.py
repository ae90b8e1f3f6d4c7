# SPDX-License-Identifier: Apache-2.0
"""Simulated cell: the twin's scene, the arm under the control law at 1 kHz, cameras. No ROS."""

from functools import cached_property

import mujoco
import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.arm import Arm, ArmReading
from hil_serl_sim.images import DisplayCamera, PolicyCameras
from hil_serl_sim.panda import TIMESTEP, inverse_kinematics
from hil_serl_sim.scene import build_model
from hil_serl_sim.tasks import make_twin
from hil_serl_sim.twin import InitialState, Truth


class Cell:
    """One arm and its task. Equal seeds and targets give equal states and pictures, bit by bit.

    Args:
        spec: the task; its ``sim.twin`` names the twin.
        seed: of the resets that are asked for without a seed; None: fresh randomness.
    """

    def __init__(self, spec: TaskSpec, seed: int | None = None):
        self.spec = spec
        self.twin = make_twin(spec)
        self.model = build_model(spec, self.twin, display=False)
        self.data = mujoco.MjData(self.model)
        self.arm = Arm(self.model, self.data, spec)
        self.period_ticks = round(spec.period / TIMESTEP)
        self._rng = np.random.default_rng(seed)
        self._initial = self.twin.sample(np.random.default_rng(0))
        self._ticks = 0  # since the cell was made; never goes back, as a clock
        self.resets = 0
        self.reset(0)

    @property
    def time(self) -> float:
        """Simulated time since the cell was made [s]; resets do not turn it back."""
        return self._ticks * TIMESTEP

    @property
    def ticks(self) -> int:
        """Ticks of 1 ms since the cell was made."""
        return self._ticks

    @property
    def seed(self) -> int:
        """Seed of the present episode's initial state."""
        return self._seed

    @property
    def initial(self) -> InitialState:
        """Initial state of the present episode."""
        return self._initial

    def reset(self, seed: int | None = None) -> None:
        """Put the cell into a random initial state, arm at rest.

        Args:
            seed: of the randomisation; None: the cell draws its own.
        """
        self._seed = int(self._rng.integers(2**31)) if seed is None or seed < 0 else int(seed)
        rng = np.random.default_rng(self._seed)
        self._initial = self.twin.sample(rng)
        self._gain = 1.0 + self.twin.image_gain * rng.uniform(-1.0, 1.0, len(self.spec.cameras))
        mujoco.mj_resetData(self.model, self.data)
        self.twin.apply(self.model, self.data, self._initial)
        self.arm.place(inverse_kinematics(self.model, self._initial.tcp_pose))
        self._episode_ticks = 0
        self._ticks += self.period_ticks  # later than every stamp before
        self.resets += 1

    def advance(self, target: np.ndarray | None, ticks: int | None = None) -> None:
        """Run the law and the physics for some ticks of 1 ms.

        Args:
            target: (7,) target pose of the tcp, base frame, xyz [m] + quaternion xyzw; None: no new
                target, so that the law goes on with the last one until it is stale, then latches a fault.
            ticks: how many; default: one control period.
        """
        ticks = self.period_ticks if ticks is None else ticks
        if target is not None:
            self.command(target, self.time)
        self.arm.run(self.time, ticks)
        self._ticks += ticks
        self._episode_ticks += ticks

    def command(self, target: np.ndarray, stamp: float, frame: str | None = None) -> None:
        """Hand a target pose to the law without moving on.

        Args:
            target: (7,) pose; NaN, a bad quaternion or a wrong frame make the law latch a fault and hold.
            stamp: its time on the cell's clock [s].
            frame: frame it is expressed in; default: the task's base frame.
        """
        self.arm.set_target(np.asarray(target, dtype=np.float64), stamp, frame or self.spec.base_frame)

    def arm_state(self) -> ArmReading:
        """What the arm reports now."""
        return self.arm.reading()

    def truth(self) -> Truth:
        """Success, failure and the objects' poses now."""
        return self.twin.truth(self.model, self.data)

    def render(self, camera: str) -> np.ndarray:
        """Picture of one of the task's cameras at the driver's size, with gain and noise.

        Args:
            camera: name in the task file.

        Returns:
            (H, W, 3) uint8 RGB. The same tick gives the same picture.

        Raises:
            KeyError: the task has no camera of this name.
        """
        names = [c.name for c in self.spec.cameras]
        if camera not in names:
            raise KeyError(f"task '{self.spec.name}' has no camera '{camera}'; it has {names}")
        index = names.index(camera)
        picture = self._cameras.render(self.data, camera)
        noise = np.random.default_rng((self._seed, self._episode_ticks, index)).standard_normal(
            picture.shape, dtype=np.float32
        )
        noisy = picture * np.float32(self._gain[index]) + np.float32(self.twin.image_noise) * noise
        return np.clip(noisy, 0.0, 255.0).astype(np.uint8)

    def render_display(self) -> np.ndarray:
        """Picture for people: meshes and shadows, (480, 640, 3) uint8 RGB. Slow (about 0.1 s)."""
        return self._display.render(self.data, self._initial)

    @cached_property
    def _cameras(self) -> PolicyCameras:
        return PolicyCameras(self.model, self.spec)

    @cached_property
    def _display(self) -> DisplayCamera:
        return DisplayCamera(build_model(self.spec, self.twin, display=True), self.twin)

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for name in ("_cameras", "_display"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
