# SPDX-License-Identifier: Apache-2.0
"""What the arm hits a wall with under the control law, at 1 kHz through the binding: the table of safety.md.

``python -m hil_serl_sim.impact_trials TASK_FILE ...`` lets the Panda run into a wall under the control settings of task
files, and under settings of its own without; each line is a row of the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

import serl_impedance_controller as impedance
from hil_serl_core.control import law_settings
from hil_serl_core.spec import load_task
from hil_serl_sim.law_trials import DelayedArm
from hil_serl_sim.panda import HOME

WALLS = (1.0e4, 1.0e5)
"""Stiffness of the walls [N/m]: soft like a padded table, hard like a metal fixture on one."""
RUN_UP = 0.15  # [m] free way before the wall: enough for the speed to settle
BEHIND = 0.10  # [m] from the wall to the target
FREE_SPACE = ("workspace_low", "workspace_high", "workspace_orientation", "workspace_max_rotation")


@dataclass(frozen=True)
class Impact:
    """How the arm met the wall.

    Attributes:
        speed: of the tcp towards the wall when it touched [m/s].
        mass: that the tcp showed towards the wall, ``1 / (Lambda^-1)_zz`` [kg].
        peak: largest force on the wall [N].
        predicted: ``speed * sqrt(mass * wall)`` [N].
        spring: stiffness times clip, what the spring gives at rest [N].
        fault: text of the law's fault, empty for none.
    """

    speed: float
    mass: float
    peak: float
    predicted: float
    spring: float
    fault: str


class _FineArm(DelayedArm):
    PHYSICS = 0.0001  # [s]; a hard wall and the arm swing within some ten milliseconds

    def tick_against(self, wall: float, height: float) -> float:
        """One tick of the law against an elastic, frictionless floor; the largest force on it [N]."""
        body = int(self.model.site_bodyid[self._site])
        self.data.ctrl[:7] = self.controller.update(**self.sample(), time=self.time)
        largest = 0.0
        for _ in range(self._substeps):
            point = self.data.site_xpos[self._site]
            force = max(0.0, wall * (height - point[2]))
            self.data.qfrc_applied[:] = 0.0
            push = np.array([0.0, 0.0, force])
            mujoco.mj_applyFT(self.model, self.data, push, np.zeros(3), point, body, self.data.qfrc_applied)
            mujoco.mj_step(self.model, self.data)
            mujoco.mj_kinematics(self.model, self.data)
            largest = max(largest, force)
        mujoco.mj_forward(self.model, self.data)
        self.time += 1.0 / self.controller.config.frequency
        return largest


def impact_trial(settings: Mapping[str, Any], wall: float) -> Impact:
    """Straight down from the home posture to a target behind a floor.

    Args:
        settings: of the law, as :func:`hil_serl_core.control.law_settings` has them.
        wall: stiffness [N/m].
    """
    controller = impedance.Controller()
    named = {"damping_kind": impedance.DampingKind, "damped_velocity": impedance.DampedVelocity}
    controller.set(
        **{
            name: named[name].__members__[value.upper()] if name in named else value
            for name, value in settings.items()
            if name not in FREE_SPACE
        }
    )
    arm = _FineArm(controller, 0)
    arm.place(HOME, np.zeros(7))
    start = arm.sample()["pose"]
    height = float(start[2]) - RUN_UP
    target = start.copy()
    target[2] = height - BEHIND
    speed = mass = peak = 0.0
    while arm.time < 10.0:
        controller.set_target_pose(target, arm.time)
        sample = arm.sample()
        if sample["pose"][2] > height:
            jacobian = sample["jacobian"]
            speed = -float(jacobian[2] @ sample["dq"])
            mass = 1.0 / float(jacobian[2] @ np.linalg.solve(sample["mass_matrix"], jacobian[2]))
        force = arm.tick_against(wall, height)
        peak = max(peak, force)
        if peak > 0.0 and force < 0.5 * peak:
            break  # the blow is over; what follows is the spring
    spring = float(controller.config.stiffness[2] * controller.config.clip_pos[2])
    fault = controller.fault.text if controller.fault else ""
    return Impact(speed, mass, peak, speed * float(np.sqrt(mass * wall)), spring, fault)


def own_settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and settings of the law: those of common/franka.yaml, stiffer and softer, and what damps less."""
    usual: dict[str, Any] = {"stiffness": [2000.0] * 3 + [75.0] * 3}
    for stiffness, clip in ((2000.0, 0.006), (2000.0, 0.01), (2000.0, 0.02), (1000.0, 0.01), (3000.0, 0.01)):
        clips = {name: [clip] * 3 + [0.05] * 3 for name in ("clip_pos", "clip_neg")}
        gains = {"stiffness": [stiffness] * 3 + usual["stiffness"][3:]}
        yield f"{stiffness:.0f} N/m, {1e3 * clip:.0f} mm, 89 Ns/m", {**gains, **clips}
        yield (
            f"{stiffness:.0f} N/m, {1e3 * clip:.0f} mm, 89 Ns/m, relative",
            {**gains, **clips, "damped_velocity": "relative"},
        )


def rows(files: list[Path]) -> Iterator[tuple[str, float, Impact]]:
    """Name, wall and impact, of the task files' settings or, without any, of :func:`own_settings`."""
    named = [(str(file.stem), law_settings(load_task(file), load_task(file).arm_names[0])) for file in files]
    for name, settings in named or own_settings():
        for wall in WALLS:
            yield name, wall, impact_trial(settings, wall)


def main(arguments: list[str] | None = None) -> int:
    """Print the table's rows."""
    parser = argparse.ArgumentParser(prog="python -m hil_serl_sim.impact_trials", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="task files; none: settings of its own")
    for name, wall, impact in rows(parser.parse_args(arguments).files):
        print(
            f"| {name} | {wall:.0e} | {impact.spring:.0f} | {impact.speed:.2f} | {impact.mass:.1f} | "
            f"{impact.predicted:.0f} | {impact.peak:.0f} | {impact.fault}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
