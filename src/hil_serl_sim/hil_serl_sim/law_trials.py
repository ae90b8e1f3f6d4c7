# SPDX-License-Identifier: Apache-2.0
"""Trials of the control law on the Panda alone, at 1 kHz through the binding: what safety.md and the tests state.

``python -m hil_serl_sim.law_trials wrench TASK_FILE ...`` drives wrench tasks by a random policy, ``... singular`` holds
the arm near singularities with a delay, ``... stability`` goes through rates, delays, inertias and kinds of damping. Each
prints one line a trial and a summary, and ends with status 1 if the law did not keep what it promises.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

import serl_impedance_controller as impedance
from hil_serl_core.action import ActionMapper, nominal_pose, workspace_box
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_sim.arm import Arm, full_inertia
from hil_serl_sim.panda import HOME, JOINTS, Fingers, inverse_kinematics, panda_spec

FRICTIONS = (0.0, 0.5, 1.5)
"""What is left of the joints' Coulomb friction after compensation [Nm]."""
TILT_SLACK = 0.1  # [rad] beyond workspace.max_rotation
JOINT_SLACK = 0.1  # [rad] to the joints' limits


def panda_model(
    friction: float = 0.0, timestep: float = 0.001, inertia: float = 1.0, gravity: bool = True
) -> mujoco.MjModel:
    """The arm alone.

    Args:
        friction: Coulomb friction of each joint [Nm].
        timestep: of the physics [s].
        inertia: what masses, inertias and armatures are multiplied with.
        gravity: there is any; the motors could not hold an arm several times as heavy.
    """
    spec = panda_spec(display=False, fingers=Fingers())
    for name in JOINTS:
        spec.joint(name).frictionloss = friction
    spec.option.timestep = timestep
    if not gravity:
        spec.option.gravity = np.zeros(3)
    model = spec.compile()
    model.body_mass *= inertia
    model.body_inertia *= inertia
    model.dof_armature *= inertia
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


@dataclass(frozen=True)
class WrenchTrial:
    """How a random policy went.

    Attributes:
        fault: text of the law's fault, empty for none.
        tilt: largest turn from the nominal orientation [rad].
        joint_room: smallest distance of a joint to its limits [rad].
        depth: largest distance outside the box [m].
        speed: largest speed of the tcp [m/s].
    """

    fault: str
    tilt: float
    joint_room: float
    depth: float
    speed: float


def wrench_trial(spec: TaskSpec, seed: int, seconds: float, friction: float) -> WrenchTrial:
    """Uniform random actions at the task's rate from its nominal pose, with the task file's own limits."""
    model = panda_model(friction)
    data = mujoco.MjData(model)
    arm = Arm(model, data, spec)
    arm.place(inverse_kinematics(model, nominal_pose(spec.arm(""))))
    mujoco.mj_forward(model, data)
    arm.activate()
    rng, mapper = np.random.default_rng(seed), ActionMapper(spec)
    nominal = Rotation.from_quat(nominal_pose(spec.arm(""))[3:])
    low, high = workspace_box(spec.arm(""))
    limits = np.array([model.joint(name).range for name in JOINTS])
    mass = np.zeros((model.nv, model.nv))
    tilt, room, depth, speed, fault = 0.0, np.inf, 0.0, 0.0, ""
    period = round(1000.0 * spec.period)
    for tick in range(round(1000.0 * seconds)):
        time = 1e-3 * tick
        if tick % period == 0:
            sample = arm.reading().sample(time, spec.base_frame)
            arm.command(mapper.commands(rng.uniform(-1, 1, spec.action_size), {"": sample})[""], time)
        mujoco.mj_step1(model, data)
        full_inertia(model, data, mass)
        arm.control(time, mass)
        mujoco.mj_step2(model, data)
        pose, q = arm.pose(), data.qpos[:7]
        tilt = max(tilt, float((Rotation.from_quat(pose[3:]) * nominal.inv()).magnitude()))
        room = min(room, float(np.min(np.minimum(q - limits[:, 0], limits[:, 1] - q))))
        depth = max(depth, float(np.max(np.maximum(low - pose[:3], pose[:3] - high))))
        speed = max(speed, float(np.linalg.norm(arm.twist()[:3])))
        if arm.controller.fault:
            fault = f"{arm.controller.fault.text} ({arm.controller.fault.value:.3g}) at {time:.2f} s"
            break
    return WrenchTrial(fault, tilt, room, depth, speed)


def wrench_sweep(
    spec: TaskSpec, seeds: int, seconds: float, frictions: tuple[float, ...] = FRICTIONS
) -> Iterator[tuple[int, float, WrenchTrial]]:
    """Seed, friction and trial of every combination."""
    for friction in frictions:
        for seed in range(seeds):
            yield seed, friction, wrench_trial(spec, seed, seconds, friction)


def kept(spec: TaskSpec, trial: WrenchTrial) -> bool:
    """The law kept its promise: no fault, not turned too far, away from the joints' limits."""
    most = spec.arm("").workspace.max_rotation + TILT_SLACK
    return not trial.fault and trial.tilt <= most and trial.joint_room >= JOINT_SLACK


class DelayedArm:
    """The arm under the law alone, at a rate and with a delay; holds the pose it is found in.

    Args:
        controller: configured; its ``frequency`` is the law's rate [Hz].
        delay: ticks of the law by which a torque comes late.
        inertia: see :func:`panda_model`.
        friction: see :func:`panda_model`.
    """

    PHYSICS = 0.0005  # [s]

    def __init__(
        self, controller: impedance.Controller, delay: int, inertia: float = 1.0, friction: float = 0.0
    ):
        self.controller, self._pending = controller, deque([np.zeros(7)] * delay)
        self.model = panda_model(friction, self.PHYSICS, inertia, gravity=inertia == 1.0)
        self.data = mujoco.MjData(self.model)
        self._substeps = round(1.0 / controller.config.frequency / self.PHYSICS)
        self._site = self.model.site("tcp").id
        self.time = 0.0

    def place(self, q: np.ndarray, dq: np.ndarray) -> None:
        """Joint positions and velocities (7,) to begin from."""
        self.data.qpos[:7], self.data.qvel[:7] = q, dq
        mujoco.mj_forward(self.model, self.data)
        self._pending = deque(self.data.qfrc_bias[:7].copy() for _ in self._pending)

    def sample(self) -> dict[str, np.ndarray]:
        """Arguments of ``Controller.update`` but the time."""
        mass, jacobian = np.zeros((self.model.nv, self.model.nv)), np.zeros((6, self.model.nv))
        full_inertia(self.model, self.data, mass)
        mujoco.mj_jacSite(self.model, self.data, jacobian[:3], jacobian[3:], self._site)
        turn = Rotation.from_matrix(self.data.site_xmat[self._site].reshape(3, 3)).as_quat()
        return {
            "q": self.data.qpos[:7].copy(),
            "dq": self.data.qvel[:7].copy(),
            "pose": np.concatenate([self.data.site_xpos[self._site], turn]),
            "jacobian": np.ascontiguousarray(jacobian[:, :7]),
            "bias": self.data.qfrc_bias[:7].copy(),
            "mass_matrix": np.ascontiguousarray(mass[:7, :7]),
        }

    def tick(self) -> np.ndarray:
        """One tick of the law; joint velocities (7,) after it."""
        self._pending.append(self.controller.update(**self.sample(), time=self.time))
        self.data.ctrl[:7] = self._pending.popleft()
        mujoco.mj_step(self.model, self.data, self._substeps)
        mujoco.mj_forward(self.model, self.data)
        self.time += 1.0 / self.controller.config.frequency
        return self.data.qvel[:7].copy()


def smallest_singular_value(arm: DelayedArm, q: np.ndarray) -> float:
    """Of the Jacobian at a posture (7,)."""
    arm.place(q, np.zeros(7))
    return float(np.linalg.svd(arm.sample()["jacobian"], compute_uv=False)[-1])


def near_singular_posture(arm: DelayedArm, rng: np.random.Generator, wanted: float) -> np.ndarray:
    """(7,) random posture, moved down the smallest singular value until that is ``wanted`` or less [rad]."""
    limits = np.array([arm.model.joint(name).range for name in JOINTS])
    low, high = limits[:, 0] + 0.2, limits[:, 1] - 0.2
    while True:
        q = rng.uniform(low, high)
        for _ in range(60):
            value = smallest_singular_value(arm, q)
            if value <= wanted:
                return q
            slope = np.array([smallest_singular_value(arm, q + 1e-5 * e) - value for e in np.eye(7)]) / 1e-5
            norm = float(slope @ slope)
            if norm < 1e-6:
                break
            step = (value - 0.8 * wanted) / norm * slope
            q = np.clip(q - step * min(1.0, 0.2 / float(np.linalg.norm(step))), low, high)


@dataclass(frozen=True)
class HoldTrial:
    """How holding a pose went.

    Attributes:
        fault: text of the law's fault, empty for none.
        fault_after: time of the fault [s], infinite without one.
        rest: largest joint speed in the last 0.2 s [rad/s].
    """

    fault: str
    fault_after: float
    rest: float


def hold_trial(arm: DelayedArm, q: np.ndarray, kick: np.ndarray, seconds: float) -> HoldTrial:
    """Hold at a posture (7,) after a kick, joint velocities (7,) that the arm begins with."""
    arm.place(q, kick)
    after, rest = np.inf, 0.0
    while arm.time < seconds:
        speed = float(np.max(np.abs(arm.tick())))
        if arm.controller.fault and np.isinf(after):
            after = arm.time
        if arm.time > seconds - 0.2:
            rest = max(rest, speed)
    return HoldTrial(arm.controller.fault.text if arm.controller.fault else "", after, rest)


def singular_sweep(postures: int, seconds: float = 6.0) -> Iterator[tuple[float, int, HoldTrial]]:
    """Smallest singular value, delay in ticks and trial, of postures whose values go down to 1e-3; 1 kHz, ratio damping."""
    rng = np.random.default_rng(0)
    for k in range(postures):
        wanted = 10.0 ** rng.uniform(-3.0, -1.0)
        for delay in range(4):
            controller = impedance.Controller()
            # Without friction a null space as soft as the tasks' would still be drifting home after minutes.
            controller.set(
                damping_kind=impedance.DampingKind.RATIO, nullspace_stiffness=5.0, nullspace_damping=5.0
            )
            arm = DelayedArm(controller, delay)
            if delay == 0:
                q = near_singular_posture(arm, rng, wanted if k else 1e-3)
                value, kick = smallest_singular_value(arm, q), rng.uniform(-0.2, 0.2, 7)
            yield value, delay, hold_trial(arm, q, kick, seconds)


RATES, DELAYS, INERTIAS = (100.0, 200.0, 500.0, 1000.0), (0, 1, 2, 3), (0.2, 1.0, 4.0)
LATCHED_WITHIN = 0.3  # [s] of a kick, where the loop is unstable


def stability_rows(
    rates: tuple[float, ...] = RATES,
) -> Iterator[tuple[float, int, float, str, impedance.Stability, HoldTrial]]:
    """Rate, delay in ticks, inertia, kind of damping, what the check says, and how it went, at the home posture.

    The law believes in the arm's true inertia, and its gains are its own defaults. A kick is 0.6 rad/s a joint at most.
    """
    rng = np.random.default_rng(1)
    for rate in rates:
        for delay in DELAYS:
            for inertia in INERTIAS:
                for kind in ("FIXED", "RATIO"):
                    controller = impedance.Controller()
                    controller.set(
                        frequency=rate,
                        damping_kind=impedance.DampingKind.__members__[kind],
                        delay=min(0.1, delay / rate),
                        torque_rate=1000.0 / rate,
                    )
                    arm = DelayedArm(controller, delay, inertia)
                    arm.place(HOME, np.zeros(7))
                    sample = arm.sample()
                    check = controller.stability(sample["pose"], sample["jacobian"], sample["mass_matrix"])
                    trial = hold_trial(arm, HOME, rng.uniform(-0.6, 0.6, 7), 1.0)
                    yield rate, delay, inertia, kind, check, trial


def _wrench(files: list[Path], seeds: int) -> bool:
    good = True
    for file in files:
        spec = load_task(file)
        for seed, friction, trial in wrench_sweep(spec, seeds, 10.0):
            good &= kept(spec, trial)
            print(f"{spec.name} seed {seed} friction {friction} Nm: {trial}", flush=True)
    return good


def _singular(postures: int) -> bool:
    good = True
    for value, delay, trial in singular_sweep(postures):
        good &= trial.rest < 0.02 and not trial.fault
        print(f"sigma_min {value:.4f} delay {delay} ticks: {trial}", flush=True)
    return good


def as_said(check: impedance.Stability, trial: HoldTrial) -> bool:
    """An unstable loop latched in time and a stable one did not.

    Of a loop that the check calls close to oscillating, either may become: the check is of small motions, and a kick that
    runs into the torque rate limit makes such an arm shake for as long as it lasts. It has been warned of.
    """
    if not check.stable:
        return trial.fault_after <= LATCHED_WITHIN
    return check.close or not trial.fault


def _stability() -> bool:
    good = True
    for rate, delay, inertia, kind, check, trial in stability_rows():
        good &= as_said(check, trial)
        print(
            f"{rate:.0f} Hz delay {delay} inertia {inertia} {kind}: radius {check.radius:.4f} {trial}",
            flush=True,
        )
    return good


def main(arguments: list[str] | None = None) -> int:
    """Run one of the sweeps."""
    parser = argparse.ArgumentParser(prog="python -m hil_serl_sim.law_trials", description=__doc__)
    parser.add_argument("sweep", choices=("wrench", "singular", "stability"))
    parser.add_argument("files", nargs="*", type=Path, help="task files of the wrench sweep")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--postures", type=int, default=200)
    options = parser.parse_args(arguments)
    if options.sweep == "wrench":
        good = _wrench(options.files, options.seeds)
    else:
        good = _singular(options.postures) if options.sweep == "singular" else _stability()
    print("kept" if good else "NOT KEPT")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
