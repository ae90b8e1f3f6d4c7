# SPDX-License-Identifier: Apache-2.0
"""Simulated cell: the twin's scene, one arm or two under the control law at 1 kHz, cameras. No ROS."""

from collections.abc import Mapping
from functools import cached_property

import mujoco
import numpy as np

from hil_serl_core import geometry
from hil_serl_core.action import ArmCommand
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec
from hil_serl_sim.arm import Arm, ArmReading, full_inertia
from hil_serl_sim.gripper import TIMESTEP
from hil_serl_sim.images import DisplayCamera, PolicyCameras
from hil_serl_sim.panda import inverse_kinematics
from hil_serl_sim.scene import build_model
from hil_serl_sim.tasks import make_twin
from hil_serl_sim.twin import InitialState, SceneView, Truth

PERTURBATIONS = ("move_target", "open_gripper")


class Cell:
    """The arms and their task. Equal seeds and commands give equal states and pictures, bit by bit.

    Args:
        spec: the task; its ``sim.twin`` names the twin.
        seed: of the resets that are asked for without a seed; None: fresh randomness.
        perturbation: one of PERTURBATIONS and the control step of every episode at which it happens, or None.

    Raises:
        ValueError: unknown perturbation, or one that the task's twin cannot make.
    """

    RELEASE_TICKS = (
        500  # between opening the gripper and the arm's way back, when objects stay where they are
    )
    FORCED_OPEN_TICKS = 1000  # a person holds the fingers open that long

    def __init__(self, spec: TaskSpec, seed: int | None = None, perturbation: tuple[str, int] | None = None):
        self.spec = spec
        self.twin = make_twin(spec)
        if perturbation is not None:
            self._check_perturbation(perturbation[0])
        self.model = build_model(spec, self.twin, display=False)
        self.data = mujoco.MjData(self.model)
        self.arms = {name: Arm(self.model, self.data, spec, name) for name in spec.arm_names}
        self.period_ticks = round(spec.period / TIMESTEP)
        self._mass = np.zeros((self.model.nv, self.model.nv))
        self._perturbation = perturbation
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

    def reset(self, seed: int | None = None, arm_only: bool = False, goal: str | None = None) -> None:
        """Put the cell into a random initial state, arms at rest.

        Args:
            seed: of the randomisation; None: the cell draws its own.
            arm_only: the grippers let go and the arms go back; objects stay where they come to rest (reset-free
                training). Objects that are lost (Truth.failure) are put back all the same.
            goal: one of the twin's goals: objects that are put back lie where its task begins; None: the cell's own.

        Raises:
            ValueError: the twin has no such goal; nothing has changed.
        """
        chosen = int(self._rng.integers(2**31)) if seed is None or seed < 0 else int(seed)
        rng = np.random.default_rng(chosen)
        state = self.twin.sample_for(goal, rng)
        self._seed = chosen
        self._gain = 1.0 + self.twin.parameters.image_gain * rng.uniform(-1.0, 1.0, len(self.spec.cameras))
        if arm_only:
            self._let_go()
            arm_only = not self.truth().failure
        if arm_only:
            self._initial = InitialState(state.tcp_poses, self._initial.variation, state.grippers)
        else:
            self._initial = state
            mujoco.mj_resetData(self.model, self.data)
            self.twin.apply(self.model, self.data, state)
        self._place_arms()
        self._episode_ticks = 0
        self._due = self._perturbation  # of this episode, until it has happened
        self._ticks += self.period_ticks  # later than every stamp before
        self.resets += 1
        self.objects_put_back = not arm_only

    def _let_go(self) -> None:
        """Open the grippers and wait until what they held has come to rest."""
        for arm in self.arms.values():
            arm.activate()
            if arm.gripper is not None:
                arm.gripper.command(1.0)
        self._run(self.RELEASE_TICKS)
        self._ticks += self.RELEASE_TICKS

    def _place_arms(self) -> None:
        gripper = self.spec.action.gripper
        for name, arm in self.arms.items():
            pose = geometry.compose(arm.base, self._initial.tcp_poses[name]) if name else None
            pose = self._initial.tcp_poses[name] if pose is None else pose
            arm.place(inverse_kinematics(self.model, pose, name))
            if arm.gripper is not None and gripper is not None:
                usual = gripper.open_position if gripper.initial == "open" else gripper.close_position
                arm.gripper.place(self._initial.grippers.get(name, usual))
        mujoco.mj_forward(self.model, self.data)
        for arm in self.arms.values():
            arm.activate()
        self._control(0.0)

    def advance(self, commands: Mapping[str, ArmCommand] | None, ticks: int | None = None) -> None:
        """Run the law and the physics for some ticks of 1 ms.

        Args:
            commands: arm -> command; None: no new targets, so that the law goes on with the last ones until they
                are stale, then latches a fault.
            ticks: how many; default: one control period.
        """
        ticks = self.period_ticks if ticks is None else ticks
        for name, command in (commands or {}).items():
            self.command(command, self.time, arm=name)
        if self._due is not None and self._episode_ticks >= self._due[1] * self.period_ticks:
            self.perturb(self._due[0])
            self._due = None
        self._run(ticks)
        self._ticks += ticks
        self._episode_ticks += ticks

    def _run(self, ticks: int) -> None:
        felt = ticks - min(ticks, Arm.WRENCH_TICKS)
        arms, time = tuple(self.arms.values()), self.time
        for tick in range(ticks):
            self._control(time + TIMESTEP * tick)
            mujoco.mj_step2(self.model, self.data)
            if tick >= felt:
                for arm in arms:
                    if tick == felt:
                        arm.forget_wrench()
                    arm.feel()
        mujoco.mj_forward(self.model, self.data)

    def _control(self, time: float) -> None:
        mujoco.mj_step1(self.model, self.data)
        full_inertia(self.model, self.data, self._mass)
        for arm in self.arms.values():
            arm.control(time, self._mass)

    def command(self, command: ArmCommand, stamp: float, frame: str | None = None, arm: str = "") -> None:
        """Hand a command to one arm without moving on.

        Args:
            command: NaN, a bad quaternion or a wrong frame make the law latch a fault and hold.
            stamp: its time on the cell's clock [s].
            frame: frame of the pose or wrench; default: the arm's base or tcp frame.
            arm: which arm.

        Raises:
            ValueError: a gripper opening that is no number.
            KeyError: the task has no such arm.
        """
        if arm not in self.arms:
            raise KeyError(f"task '{self.spec.name}' has no arm '{arm}'; it has {list(self.arms)}")
        self.arms[arm].command(command, stamp, frame)

    def perturb(self, kind: str) -> None:
        """Disturb the running episode as in the paper's robustness tests (Sec. 4.4).

        Args:
            kind: 'move_target': the goal lies somewhere else from now on; 'open_gripper': every gripper is forced
                open for a moment.

        Raises:
            ValueError: unknown, or the task has no such thing.
        """
        self._check_perturbation(kind)
        if kind == "move_target":
            self.twin.move_target(self.model, self.data, np.random.default_rng((self._seed, 1)))
            mujoco.mj_forward(self.model, self.data)
            return
        for arm in self.arms.values():
            if arm.gripper is not None:
                arm.gripper.force_open(self.FORCED_OPEN_TICKS)

    def _check_perturbation(self, kind: str) -> None:
        if kind not in PERTURBATIONS:
            raise ValueError(f"unknown perturbation '{kind}'; known: {list(PERTURBATIONS)}")
        if kind in self.twin.perturbations:
            return
        if kind == "open_gripper":
            raise ValueError(
                f"task '{self.spec.name}' does not move its gripper, so it cannot be forced open"
            )
        raise ValueError(f"the twin of task '{self.spec.name}' has no target that can be moved")

    def arm_state(self, arm: str = "") -> ArmReading:
        """What an arm reports now."""
        return self.arms[arm].reading()

    def sample(self, arm: str = "") -> ArmSample:
        """An arm's state as the actor gets it, stamped with the cell's time."""
        return self.arm_state(arm).sample(self.time, self.spec.arm(arm).base_frame)

    def truth(self) -> Truth:
        """Success, failure and the objects' poses now."""
        return self.twin.truth(self.model, self.data)

    def view(self) -> SceneView:
        """What a person sees now, world frame."""
        tcp, twist, gripper = {}, {}, {}
        for name, arm in self.arms.items():
            reading = arm.reading()
            turn = geometry.rotation_of(arm.base)
            tcp[name] = arm.world_pose()
            twist[name] = np.concatenate([turn.apply(reading.twist[:3]), turn.apply(reading.twist[3:])])
            gripper[name] = reading.gripper
        return SceneView(self.time, tcp, twist, gripper, self.truth().poses)

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
        noisy = picture * np.float32(self._gain[index]) + np.float32(self.twin.parameters.image_noise) * noise
        return np.clip(noisy, 0.0, 255.0).astype(np.uint8)

    def render_display(self) -> np.ndarray:
        """Picture for people: meshes and shadows, (480, 640, 3) uint8 RGB. Slow (about 0.1 s)."""
        openings = {name: arm.reading().gripper for name, arm in self.arms.items()}
        return self._display.render(self.model, self.data, self._initial, openings)

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
