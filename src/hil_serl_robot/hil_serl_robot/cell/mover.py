# SPDX-License-Identifier: Apache-2.0
"""Who commands a cell's arms between episodes: one reset motion at a time, then a hold until somebody else does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from hil_serl_core import geometry
from hil_serl_core.action import ArmCommand
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import TaskSpec
from hil_serl_robot.cell.reset_run import Ended, ResetLimits, ResetRun, unusable

_GRACE = 0.5  # s after the start of a motion in which the actor's last target may still arrive


class Mover:
    """Plain object behind the cell node: arm states and times in, commands out.

    Attributes:
        arms: Arm name to its latest state, None before the first.
        halt: Why nothing may move, for people; empty when it may; set from outside.
        reserved: The arms are the cell's, so that somebody else's target does not end a hold; set from outside.
    """

    def __init__(
        self,
        spec: TaskSpec,
        limits: ResetLimits,
        publish: Callable[[Mapping[str, ArmCommand], float], None],
        stamp_of: Callable[[float], int],
    ) -> None:
        """``publish``: takes commands and their time [s]; ``stamp_of``: the stamp such a time becomes [ns]."""
        self._spec, self._limits = spec, limits
        self._publish, self._stamp_of = publish, stamp_of
        self.arms: dict[str, ArmSample | None] = dict.fromkeys(spec.arm_names)
        self.halt, self.reserved = "", False
        self._run: ResetRun | None = None
        self._on_end: Callable[[Ended], None] = lambda ended: None
        self._held: Mapping[str, np.ndarray] | None = None
        self._own: deque[int] = deque(maxlen=1000)  # stamps
        self._intruder, self._quiet_until, self._began = "", 0.0, 0

    @property
    def opening(self) -> float | None:
        """Opening of the grippers at the start of an episode, None where the task does not move them."""
        gripper = self._spec.action.gripper
        if gripper is None:
            return None
        return gripper.open_position if gripper.initial == "open" else gripper.close_position

    @property
    def poses(self) -> dict[str, np.ndarray]:
        """Arm name to its measured (7,) pose."""
        return {name: arm.tcp_pose for name, arm in self.arms.items() if arm is not None}

    @property
    def openings(self) -> list[float]:
        """Measured opening of each arm's gripper, 0 closed to 1 open."""
        return [arm.gripper for arm in self.arms.values() if arm is not None]

    def put_arm(self, arm: str, sample: ArmSample) -> None:
        """Take an arm's state.

        Raises:
            ValueError: Another frame than the task's, or no pose.
        """
        frame = self._spec.arm(arm).base_frame
        if sample.frame_id != frame or not geometry.is_pose(sample.tcp_pose):
            raise ValueError(
                f"no tcp pose in '{frame}', the task's base_frame (frame '{sample.frame_id}', pose "
                f"{sample.tcp_pose.tolist()}), so it is not used"
            )
        self.arms[arm] = sample

    def hear_target(self, topic: str, stamp: int, now: float) -> None:
        """A target was heard, stamped ``stamp`` [ns]: somebody else's ends our hold, and in a motion it is one too many."""
        if stamp in self._own:
            return
        # One that was on its way when the motion began is the actor's last, however late it is.
        if self._run is not None and now > self._quiet_until and stamp > self._began:
            self._intruder = topic
        if not self.reserved:
            self._held = None

    def unusable(self, now: float) -> str:
        """Why the arms cannot be moved; empty when they can."""
        return unusable(self.arms, now, self._limits.stale)

    def start(self, goals: Mapping[str, np.ndarray], now: float, on_end: Callable[[Ended], None]) -> None:
        """Begin a motion to (7,) poses; ``on_end`` is told how it ended. The arms are usable, nothing is under way."""
        arms = {name: arm for name, arm in self.arms.items() if arm is not None}
        self._intruder, self._quiet_until, self._began = "", now + _GRACE, self._stamp_of(now)
        self._on_end = on_end
        self._run = ResetRun(self._spec, goals, arms, self._limits, now)
        self.tick(now)

    def hold_here(self, now: float) -> None:
        """Hold the arms where they are measured, and set the grippers for the start."""
        self._held = self.poses
        self.tick(now)

    def let_go(self) -> None:
        """Command nothing any more."""
        self._held = None

    def clock_was_set(self, words: str) -> None:
        """Ages of states and times of a motion mean nothing any more; ``words`` say what happened.

        A motion ends; a hold goes on with the arms' next states.
        """
        self.arms = dict.fromkeys(self.arms)
        run, self._run = self._run, None
        if run is not None:
            self._held = None
            self._on_end(Ended(False, f"{words} on the way"))

    def tick(self, now: float) -> None:
        """Command what is due at ``now`` [s]."""
        if self._run is not None:
            self._step(self._run, now)
        elif self._held is not None and self.unusable(now):
            self._held = None  # who has the arm now may leave it elsewhere: it is not pulled back from there
        elif self._held is not None:
            self._command(self._held, now)

    def _step(self, run: ResetRun, now: float) -> None:
        result = run.step(now, self.arms, self.halt, self._intruder)
        if not isinstance(result, Ended):
            self._held = result
            self._command(result, now)
            return
        self._run = None
        if not result.success:  # where nobody knows the pose, the controller's own watchdog holds
            self._held = None if self.unusable(now) or self._intruder else self.poses
        if self._held is not None:
            self._command(self._held, now)
        self._on_end(result)

    def _command(self, poses: Mapping[str, np.ndarray], now: float) -> None:
        self._own.append(self._stamp_of(now))
        self._publish({arm: ArmCommand(pose=pose, gripper=self.opening) for arm, pose in poses.items()}, now)
