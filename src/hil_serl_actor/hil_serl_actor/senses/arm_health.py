# SPDX-License-Identifier: Apache-2.0
"""Whether an arm's state lives: fresh stamps do not show that its driver still measures anything. No ROS."""

from __future__ import annotations

import numpy as np

from hil_serl_core.action import ArmCommand
from hil_serl_core.observation import ArmSample

FROZEN = 3.0  # s; encoders and their velocities are never the same to the last bit for so long
NO_WRENCH = 5.0  # s; neither is a wrench exactly zero
_ASKED = (0.002, 0.02, 0.5)  # m, rad, N or Nm that an arm was asked for, from which on something has to show


class ArmHealth:
    """Looks at one arm's state about once a second; times are of a steady clock [s]."""

    def __init__(self, sees_wrench: bool) -> None:
        """``sees_wrench``: the task uses the external wrench, so that one that is not measured matters."""
        self._sees_wrench = sees_wrench
        self._sample: ArmSample | None = None
        self._changed = self._pushed = self._now = 0.0
        self._asked = False

    def look(self, sample: ArmSample | None, now: float) -> None:
        """Take the newest state, None while there is none."""
        last, self._sample, self._now = self._sample, sample, now
        if sample is None or last is None or sample.stamp == last.stamp or not _same(sample, last):
            self._changed, self._asked = now, False
        if sample is None or last is None or np.any(sample.external_wrench):
            self._pushed = now

    def commanded(self, command: ArmCommand) -> None:
        """Take what the arm is asked for."""
        if self._sample is None or self._asked:
            return
        way, turn, force = _ASKED
        if command.wrench is not None:
            self._asked = bool(np.max(np.abs(command.wrench)) > force)
        if command.pose is not None:
            pose = self._sample.tcp_pose
            angle = 2.0 * np.arccos(min(abs(float(pose[3:] @ command.pose[3:])), 1.0))
            self._asked |= bool(np.linalg.norm(command.pose[:3] - pose[:3]) > way or angle > turn)

    def problem(self) -> str:
        """What is wrong, with the remedy; empty if nothing is."""
        still = self._now - self._changed
        if self._asked and still >= FROZEN:
            return (
                f"its state has not changed by a bit for {still:.0f} s though it was asked to move: its driver repeats an "
                "old state; see its log, and whether the arm is enabled"
            )
        zero = self._now - self._pushed
        if self._sees_wrench and self._sample is not None and zero >= NO_WRENCH:
            return (
                f"its external_wrench has been exactly zero for {zero:.0f} s, and the policy sees it: nobody measures it; "
                "give the controller a source for it"
            )
        return ""


def _same(one: ArmSample, other: ArmSample) -> bool:
    names = ("tcp_pose", "tcp_twist", "external_wrench", "joint_position", "joint_velocity")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
