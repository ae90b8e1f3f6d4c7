# SPDX-License-Identifier: Apache-2.0
"""What the control loop is told, what it can be doing, and what it does to the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from hil_serl_actor.loop.agent import Agent
from hil_serl_core.action import ArmCommand
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Tick
from hil_serl_core.step import Step


class LogFull(Exception):
    """The step log could not take a record now; the same record may be tried again."""


class Ports(Protocol):
    """Effects of the loop on the world."""

    def log_step(self, step: Step) -> None:
        """Make the record durable. Raises LogFull when the disk does not take it."""

    def send_step(self, step: Step) -> None:
        """Hand a durable record to the learner."""

    def label_step(self, step: Step, label: str) -> None:
        """Note the class of a record for the reward classifier."""

    def send_commands(self, commands: Mapping[str, ArmCommand], stamp: float) -> None:
        """Command the controllers and grippers, by arm name."""

    def request_reset(self, reset: Reset) -> None:
        """Start a reset; its end arrives through ``reset_finished``."""

    def report_tick(self, tick: Tick, runner: EpisodeRunner) -> None:
        """Publish who drives."""

    def report_start(self, agent: Agent, seed: int, stamp: float) -> None:
        """Publish that an episode of an agent starts."""

    def report_episode(self, agent: Agent, result: EpisodeResult, stamp: float) -> None:
        """Publish how an episode of an agent ended."""

    def report_stop(self) -> None:
        """Publish that a stop was latched or cleared."""

    def report_pause(self) -> None:
        """Publish that the loop was paused, once more perhaps, or goes on."""

    def warn(self, text: str) -> None:
        """Tell the operator; repeated texts may be throttled."""


class Phase(Enum):
    """What the loop is doing."""

    IDLE = auto()
    RESETTING = auto()
    AWAITING_PERSON = auto()  # who puts the scene back and says so
    RUNNING = auto()
    PAUSED = auto()
    STOPPED = auto()  # latched, until ``clear_stop``
    DONE = auto()


@dataclass(frozen=True)
class Reset:
    """What the cell is asked for.

    Attributes:
        seed: Of the initial state.
        arm_only: The arms go back to their start, the objects stay.
        goal: The one of the twin's goals that the coming episode is for; empty: its only one.
    """

    seed: int
    arm_only: bool = False
    goal: str = ""


@dataclass(frozen=True)
class LoopConfig:
    """How the loop runs.

    Attributes:
        mode: What episodes are for.
        lockstep: Tick on complete inputs of one stamp instead of on time.
        await_operator: In lockstep, the operator's input of the same stamp belongs to a complete tick.
        await_truth: The cell's ``sim/truth`` gives the reward, or labels what a reward model judges.
        episodes: Stop after this many counted episodes (demonstrations: successful ones); 0 for no limit.
        seed: Seed of the initial states.
        switched_operator: One device drives one of several arms at a time.
        interventions: Devices may drive the arms; else only their buttons for stop and labels count (evaluation).
    """

    mode: Mode
    lockstep: bool = False
    await_operator: bool = False
    await_truth: bool = True
    episodes: int = 0
    seed: int = 0
    switched_operator: bool = False
    interventions: bool = True
