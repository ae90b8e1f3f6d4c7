# SPDX-License-Identifier: Apache-2.0
"""Everything the control loop has heard: arms, cameras, operator's devices, the cell's truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hil_serl_actor.senses.camera_input import CameraInputs, CameraMessage
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import Outcome
from hil_serl_core.observation import ArmSample, ObservationAssembler, ObservationError
from hil_serl_core.spec import TaskSpec

EXACT = 1e-6  # s


@dataclass(frozen=True)
class SceneVerdict:
    """The simulated cell's own judgement of the state at ``stamp`` [s]; ``goals`` as in SceneTruth."""

    stamp: float
    success: bool
    failure: bool
    goals: Mapping[str, bool]

    def outcome(self, goal: str | None) -> Outcome:
        """Verdict for a task; ``goal`` names one of several goals of the scene."""
        success = self.success if goal is None else self.goals.get(goal, False)
        return Outcome(success=success, failure=self.failure and not success)


class Operators:
    """Latest input of each arm's device; a button pressed between two ticks is not lost."""

    def __init__(self, spec: TaskSpec, switched: bool = False) -> None:
        """``switched``: one device drives one arm at a time, and a button moves it to the next arm."""
        self._spec = spec
        self._switched = switched
        self._latest: dict[str, OperatorInput] = {}
        self._pressed: dict[str, list[bool]] = {}
        self._down: dict[str, tuple[bool, ...]] = {}
        self._driven = 0
        self.drives = True  # the devices may move the arms; else only their buttons for stop and labels count

    @property
    def driven(self) -> str:
        """Arm that a switched device drives."""
        return self._spec.arm_names[self._driven]

    def put(self, value: OperatorInput, arm: str) -> list[int]:
        """Take a message; returns the buttons that went down with it (0-based)."""
        before = self._down.get(arm, ())
        now = tuple(bool(b) for b in value.buttons)
        edges = [k for k, down in enumerate(now) if down and not (k < len(before) and before[k])]
        self._down[arm] = now
        if self._switched and self._spec.intervention.switch_button in edges:
            self._latest.pop(self.driven, None)
            self._driven = (self._driven + 1) % len(self._spec.arm_names)
        target = self.driven if self._switched else arm
        held = self._pressed.setdefault(target, [])
        held += [False] * (len(now) - len(held))
        for k, down in enumerate(now):
            held[k] = held[k] or down
        self._latest[target] = value
        return edges

    def clock_was_set(self) -> None:
        """Forget the last inputs: by their stamps nobody would notice for how long a device has been silent."""
        self._latest, self._pressed = {}, {}

    def is_down(self, button: int | None) -> bool:
        """Whether a button (0-based, None: there is none) was down in the last message of any device."""
        return button is not None and any(button < len(down) and down[button] for down in self._down.values())

    def take(self) -> dict[str, OperatorInput]:
        """Inputs for one tick, with every button that was down since the last one; the deadman as it is now."""
        if not self.drives:
            self._pressed = {}
            return {}
        inputs = {
            arm: replace(value, buttons=self._buttons(arm, value)) for arm, value in self._latest.items()
        }
        self._pressed = {}
        return inputs

    def _buttons(self, arm: str, value: OperatorInput) -> tuple[bool, ...]:
        held = self._pressed.get(arm, [])
        deadman = self._spec.intervention.deadman_button  # let go between two ticks means let go
        return tuple(
            bool(b) or (k < len(held) and held[k] and k != deadman) for k, b in enumerate(value.buttons)
        )

    def answered(self, stamp: float) -> bool:
        """Every device of the task has spoken at exactly this stamp."""
        arms = (self.driven,) if self._switched else self._spec.arm_names
        return all(arm in self._latest and abs(self._latest[arm].stamp - stamp) <= EXACT for arm in arms)


class Inputs:
    """Latest inputs, and what is missing for a tick."""

    def __init__(
        self,
        spec: TaskSpec,
        warn: Callable[[str], None],
        *,
        lockstep: bool,
        await_operator: bool,
        await_truth: bool,
        switched: bool = False,
    ) -> None:
        self._spec = spec
        self._warn = warn
        self._lockstep = lockstep
        self._await_operator = await_operator
        self._await_truth = await_truth
        self.assembler = ObservationAssembler(spec)
        self.cameras = CameraInputs([camera.name for camera in spec.cameras])
        self.operators = Operators(spec, switched)
        self.verdict: SceneVerdict | None = None
        self.not_before = -np.inf  # s; older inputs are from before the last reset
        self._heard: dict[str, float] = {}  # arm's topic: stamp of its newest usable state since then [s]

    @property
    def timeout(self) -> float:
        """Age from which on an input does not count [s]."""
        return self._spec.observation_timeout

    @property
    def arms(self) -> dict[str, ArmSample] | None:
        """Latest state of all arms, None while one is missing."""
        return self.assembler.arms

    @property
    def poses(self) -> dict[str, np.ndarray]:
        """Arm name to its measured tcp pose (7,), base frame."""
        return {name: arm.tcp_pose for name, arm in (self.arms or {}).items()}

    def put_arm(self, sample: ArmSample, arm: str = "") -> None:
        """Take an arm state; one from before the last reset or with bad content is dropped, the latter with a warning."""
        if sample.stamp < self.not_before - EXACT:
            return
        try:
            self.assembler.put_arm(sample, arm)
        except ObservationError as error:
            self._warn(str(error))
        else:
            self._heard[f"{arm}/arm_state" if arm else "arm_state"] = sample.stamp

    def put_image(self, camera: str, message: CameraMessage, latency: float = np.nan) -> None:
        """Take a camera's message; it is decoded when somebody asks what is missing. ``latency``: see CameraInputs."""
        self.cameras.put(camera, message, latency)

    def _put_frame(self, camera: str, stamp: float, image: np.ndarray) -> None:
        if stamp >= self.not_before - EXACT:
            self.assembler.put_frame(camera, stamp, image)

    def start_after(self, stamp: float) -> None:
        """Nothing stamped before ``stamp`` counts from now on."""
        self.not_before = stamp
        self._heard.clear()
        latest = self.assembler.stamp
        if latest is not None and latest < stamp - EXACT:
            self.assembler.clear()

    def clock_was_set(self, step: float) -> None:
        """The clock was set by ``step`` [s]: what was heard is dropped, and limits move along with the clock."""
        self.assembler.clear()
        self.cameras.clock_was_set()
        self.operators.clock_was_set()
        self.verdict = None
        self.not_before += step
        self._heard = {topic: stamp + step for topic, stamp in self._heard.items()}

    def fault(self) -> str:
        """Fault that a controller has latched, with the arm's name; empty for none."""
        for name, arm in (self.arms or {}).items():
            if arm.fault:
                text = arm.fault_text or f"code {arm.fault}"
                return f"{name} arm: {text}" if name else text
        return ""

    def silent_arms(self, now: float, limit: float) -> list[str]:
        """Topics of arms that were heard since the last reset, but not for the last ``limit`` [s]."""
        return [topic for topic, stamp in self._heard.items() if now - stamp > limit]

    def missing(self, now: float) -> list[str]:
        """What keeps a tick at ``now`` [s] from happening."""
        self.cameras.decode(self._put_frame, self._warn)
        problems = self.assembler.missing(now, exact=self._lockstep)
        if self._await_truth:
            problems += self._missing_truth(now)
        if self._lockstep and self._await_operator and not self.operators.answered(now):
            problems.append("spacenav/joy (no input of this tick)")
        return problems

    def _missing_truth(self, now: float) -> list[str]:
        verdict = self.verdict
        if verdict is None:
            return ["sim/truth (nothing received)"]
        if self._lockstep and abs(verdict.stamp - now) > EXACT:
            return [f"sim/truth (stamp {verdict.stamp:.3f} s)"]
        if not self._lockstep and now - verdict.stamp > self._spec.observation_timeout:
            return [f"sim/truth ({now - verdict.stamp:.2f} s old)"]
        return []
