# SPDX-License-Identifier: Apache-2.0
"""One hand of the scripted operator on one device: how a wish becomes deflection and presses of buttons."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.spec import TaskSpec
from hil_serl_core.spec.action import WRENCH_AXES
from hil_serl_sim.twin import Intent, SceneView


@dataclass(frozen=True)
class Person:
    """How the operator perceives and moves. Pairs are ranges that an episode draws from."""

    reaction: tuple[float, float] = (0.2, 0.3)  # [s] from seeing to moving
    bias_position: float = 0.0004  # [m] standard deviation of the goal's perceived place, cut at 1 mm
    bias_rotation: float = 0.006  # [rad]
    speed: tuple[float, float] = (0.6, 0.95)  # largest deflection of the device
    gain: tuple[float, float] = (0.6, 0.9)  # share of the perceived error asked for in a step
    foresight: tuple[float, float] = (
        0.45,
        0.62,
    )  # share of a command that it believes moves the arm, before it sees that
    hand_rate: float = 0.35  # change of deflection per step
    tremor: float = 0.035  # standard deviation of the deflection, correlated in time
    pause_chance: float = 0.02  # per step
    pause_steps: tuple[int, int] = (2, 4)
    start_steps: tuple[int, int] = (0, 2)  # looks before it moves
    tolerance: tuple[float, float] = (1.5, 2.5)  # times the guide's own, before it pushes
    press: tuple[float, float] = (
        0.15,
        0.35,
    )  # deflection along the tool's z while the part rests on something
    search: tuple[float, float] = (0.1, 0.18)  # deflection of the wobble with which it feels for the opening
    least_touch: float = 0.1  # a smaller wish is made with a tap of this deflection
    stuck_steps: int = 2  # of resting, until it looks again
    patience_steps: tuple[int, int] = (9, 14)  # without progress, until it steps in
    progress: float = 0.004  # [m] that counts as progress over that time
    correction_steps: tuple[int, int] = (5, 12)
    rest_steps: tuple[int, int] = (6, 10)  # after a correction it leaves the policy alone
    button_steps: tuple[int, int] = (0, 2)  # from wanting to press a button to pressing it
    button_patience: int = 9  # steps until it presses the same button again, when nothing seems to happen
    strength: tuple[float, float] = (0.9, 1.1)  # of a wrench, times what is wanted


@dataclass(frozen=True)
class DeviceInput:
    """What a 6-axis device reports: (6,) axes in [-1, 1], tcp frame, and its buttons."""

    axes: np.ndarray
    buttons: tuple[int, ...] = (0, 0)


HAND_OFF = DeviceInput(np.zeros(6))


def gripped(device: DeviceInput, deadman: int | None, driving: bool = False) -> DeviceInput:
    """The device with the task's deadman button held while the hand does anything, and while it stands still on purpose.

    Args:
        device: What the hand does.
        deadman: Number of the button; None: there is none.
        driving: The hand is on the device, in a correction or a demonstration.
    """
    if deadman is None or not (driving or device.axes.any() or any(device.buttons)):
        return device
    buttons = list(device.buttons) + [0] * (deadman + 1 - len(device.buttons))
    buttons[deadman] = 1
    return DeviceInput(device.axes, tuple(buttons))


@dataclass(frozen=True)
class Style:
    """What one episode drew from the ranges of a Person."""

    speed: float
    gain: float
    foresight: float
    press: float
    search: float
    phase: float  # [rad] of the wobble at its begin
    turning: float  # [rad] of the wobble per step
    strength: float = 1.0


class Hand:
    """Limited in speed and acceleration, with tremor; presses buttons late.

    Args:
        spec: for the action's scale and the buttons' numbers.
        arm: the arm that it moves.
        person: perception and motion.
        style: of this episode.
        rng: of tremor and delays.

    Raises:
        ValueError: the task moves its gripper, but no buttons do.
    """

    def __init__(self, spec: TaskSpec, arm: str, person: Person, style: Style, rng: np.random.Generator):
        self._arm, self._person, self._style, self._rng = arm, person, style, rng
        action, buttons = spec.action, spec.intervention
        self._scale = np.repeat([action.translation_scale or 1.0, action.rotation_scale or 1.0], 3)
        axes = spec.intervention.wrench_axis_map or [WRENCH_AXES.index(a) + 1 for a in action.wrench_axes]
        self._wrench_axes = np.array([abs(axis) - 1 for axis in axes], dtype=int)
        self._wrench_signs = np.sign(np.array(axes, dtype=float))
        self._buttons: tuple[int, int] | None = None
        if spec.grippers:
            if buttons.close_button is None or buttons.open_button is None:
                raise ValueError(
                    f"task '{spec.name}' moves its gripper: the operator needs intervention.close_button and open_button"
                )
            self._buttons = (buttons.close_button, buttons.open_button)
        self._deflection, self._tremor = np.zeros(6), np.zeros(6)
        self._phase = style.phase
        self._given: deque[tuple[float, np.ndarray]] = deque(maxlen=64)
        self._wish, self._pressed, self._since, self._wait = 0.0, 0.0, 0, -1

    @property
    def about_to_press(self) -> bool:
        """It wants to press a button and has not yet."""
        return self._wish != 0.0 and self._wait >= 0

    def note(self, stamp: float, given: DeviceInput) -> None:
        """Remember what the device reported at a time [s]."""
        self._given.append((stamp, given.axes))

    def release(self) -> DeviceInput:
        """Off the device."""
        self._deflection = np.zeros(6)
        self._wish, self._pressed, self._wait = 0.0, 0.0, -1
        return HAND_OFF

    def move(self, sight: SceneView, intent: Intent | None, resting: bool) -> DeviceInput:
        """Device input for one tick.

        Args:
            sight: the scene as consciously seen now, a reaction time ago.
            intent: what this hand wants; None: nothing.
            resting: the part rests on something.
        """
        if intent is None:
            return self.release()
        if intent.wrench is not None:
            axes = self._push(np.asarray(intent.wrench, dtype=float))
        elif intent.tcp_pose is not None:
            axes = self._steer(sight, intent.tcp_pose, resting)
        else:
            axes = self._deflection = np.zeros(6)
        return DeviceInput(axes, self._fingers(intent.gripper))

    def _steer(self, sight: SceneView, waypoint: np.ndarray, resting: bool) -> np.ndarray:
        """Deflection towards the waypoint: proportional, less what is under way and not yet seen."""
        p, style = self._person, self._style
        step = geometry.relative(sight.tcp[self._arm], waypoint)
        error = np.concatenate([step[:3], Rotation.from_quat(step[3:]).as_rotvec()]) / self._scale
        under_way = sum((axes for stamp, axes in self._given if stamp >= sight.stamp - 1e-6), np.zeros(6))
        wanted = style.gain * (error - style.foresight * under_way)
        for part in (slice(0, 3), slice(3, 6)):
            wanted[part] *= min(1.0, style.speed / max(1e-9, float(np.max(np.abs(wanted[part])))))
        largest = float(np.max(np.abs(wanted)))
        if 0.2 * p.least_touch < largest < p.least_touch:
            wanted *= p.least_touch / largest
        if resting:
            self._phase += style.turning
            wanted[2] = style.press  # keeps in touch, and slides
            wanted[:2] += style.search * np.array([np.cos(self._phase), np.sin(self._phase)])
            wanted[5] += 0.5 * style.search * np.sin(0.7 * self._phase)
        return self._deflect(wanted, np.ones(6))

    def _push(self, wrench: np.ndarray) -> np.ndarray:
        """Deflection that asks for a wrench, too strong or too weak by this episode's error."""
        wanted, used = np.zeros(6), np.zeros(6)
        wanted[self._wrench_axes] = np.clip(self._style.strength * wrench, -1.0, 1.0) * self._wrench_signs
        used[self._wrench_axes] = 1.0
        return self._deflect(wanted, used)

    def _deflect(self, wanted: np.ndarray, used: np.ndarray) -> np.ndarray:
        p = self._person
        self._deflection = self._deflection + np.clip(wanted - self._deflection, -p.hand_rate, p.hand_rate)
        self._tremor = 0.6 * self._tremor + 0.8 * p.tremor * self._rng.standard_normal(6)
        return np.clip(self._deflection + used * self._tremor, -1.0, 1.0)

    def _fingers(self, wish: float) -> tuple[int, ...]:
        """Buttons for a wish to close (-1) or open (+1): late, and not again before its effect can be seen."""
        if self._buttons is None:
            return (0, 0)
        p, button = self._person, 0.0
        self._since += 1
        news = wish not in (0.0, self._wish, self._pressed)
        again = wish != 0.0 and self._wait < 0 and self._since > p.button_patience
        if news or again:
            self._wait = int(self._rng.integers(*p.button_steps, endpoint=True))
        self._wish = wish
        if wish == 0.0:
            self._wait = -1
        elif self._wait >= 0:
            if self._wait == 0:
                button, self._pressed, self._since = wish, wish, 0
            self._wait -= 1
        reported = [0] * (max(self._buttons) + 1)
        if button != 0.0:
            reported[self._buttons[0 if button < 0 else 1]] = 1
        return tuple(reported)
