# SPDX-License-Identifier: Apache-2.0
"""A cell as a picture: one scene per arm, who drives, the stop, the advice. A plain object; knows no topics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from visualization_msgs.msg import Marker

from hil_serl_core.action import workspace_box
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec
from hil_serl_monitor.viewing.markers import ArmView, Driver, MarkerScene, advice_marker

SILENCE = 3.0
"""Seconds of wall-clock time without a state after which an arm counts as lost."""

QUIET = 2.0
"""Seconds of wall-clock time without a control tick after which nobody drives: reset, pause, or waiting for somebody."""

_AUTONOMOUS = (str(Mode.TRAIN), str(Mode.EVAL))


class CellScene:
    """Takes what the topics say; times ``now`` are of a steady clock [s].

    Attributes:
        stopped: The latched stop is engaged.
        advice: What the operator could do better, one line each.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.arms = {name: MarkerScene(spec.arm(name), name) for name in spec.arm_names}
        first = spec.arm(spec.arm_names[0])
        lower, upper = workspace_box(first)
        self._advice_frame = first.base_frame
        # Below: above are the hand, its text, and the arm where a robot model is shown.
        self._advice_at = np.array([*(lower + upper)[:2] / 2, lower[2] - 0.08])
        self.stopped = False
        self.advice: Sequence[str] = ()
        self._policy_drives = True
        self._operator, self._where = False, ""
        self._ticked = -np.inf
        self._heard: dict[str, float] = {}

    def on_arm(self, name: str, view: ArmView, now: float) -> None:
        """New state of an arm."""
        self.arms[name].arm = view
        self._heard[name] = now

    def on_tick(self, operator: bool, episode: int, step: int, now: float) -> None:
        """The actor has decided; ``operator``: a person's action is executed."""
        self._ticked, self._operator = now, operator
        self._where = f"episode {episode}, step {step}"
        for scene in self.arms.values():
            scene.tick(self._autonomous_or_operator)

    def on_episode(self, started: bool, mode: str) -> None:
        """An episode began or ended; ``mode`` as in EpisodeSummary."""
        self._policy_drives = mode in _AUTONOMOUS
        self._ticked = -np.inf
        for scene in self.arms.values():
            if started:
                scene.start_episode()
            else:
                scene.end_episode()

    @property
    def _autonomous_or_operator(self) -> Driver:
        if self._operator:
            return Driver.OPERATOR
        return Driver.POLICY if self._policy_drives else Driver.NOBODY

    def driver(self, now: float) -> Driver:
        """Who moves the robot."""
        if self.stopped:
            return Driver.STOPPED
        return self._autonomous_or_operator if now - self._ticked <= QUIET else Driver.NOBODY

    def text(self, name: str, now: float) -> str:
        """What floats above an arm's hand."""
        silent = now - self._heard.get(name, now)
        if silent > SILENCE:
            return f"no arm_state for {silent:.0f} s"
        driver = self.driver(now)
        if driver is Driver.STOPPED:
            return "STOPPED\nhil-serl clear-stop"
        if now - self._ticked > QUIET:
            return "between episodes"
        # Once: the texts of two arms that work together cover each other.
        return f"{driver.word}\n{self._where}" if name == next(iter(self.arms)) else driver.word

    def draw(self, stamp: Time, now: float) -> list[Marker]:
        """All markers of the cell."""
        driver = self.driver(now)
        lost = {name: now - heard > SILENCE for name, heard in self._heard.items()}
        markers = [
            marker
            for name, scene in self.arms.items()
            for marker in scene.draw(stamp, Driver.NOBODY if lost.get(name) else driver, self.text(name, now))
        ]
        markers.append(advice_marker(stamp, self._advice_frame, self._advice_at, list(self.advice)))
        return markers
