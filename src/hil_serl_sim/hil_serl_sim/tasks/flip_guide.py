# SPDX-License-Identifier: Apache-2.0
"""How a person who sees pan and slab would flip the slab."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_sim.twin import Guide, Intent, SceneView


@dataclass(frozen=True)
class PanState:
    """What the guide looks at; the pan's axes are x forward, z up when it is level.

    Attributes:
        pitch: of the pan, nose up [rad].
        tool_pitch: of the hand [rad]; they differ by how the handle sits in it.
        pitch_rate: [rad/s]
        offset: (3,) of the tcp from where it started, world [m].
        slab: (3,) its centre from the middle of the pan's floor, the pan's axes [m].
        up: cosine between the pan's normal and that of the slab's face that looked up at first: 1 at the start, -1
            when it is flipped.
    """

    pitch: float
    tool_pitch: float
    pitch_rate: float
    offset: np.ndarray
    slab: np.ndarray
    up: float


class FlipGuide(Guide):
    """Tilt until the slab is at the far wall, flick the nose up, brake, bring the pan under the slab and level it.

    The numbers come from a random search over the twin's initial states.
    """

    habits: ClassVar = {  # a rehearsed motion: no time to react within it, but never quite the same strength
        "reaction": (0.0, 0.0),
        "hand_rate": 2.0,
        "pause_chance": 0.0,
        "patience_steps": (20, 28),  # stepping in mid-swing does harm (Sec. 4.3)
        "strength": (0.85, 1.15),
        "tremor": 0.08,
    }
    gathered = 0.034  # [m] forward of the middle: the slab is at the far wall
    lean = (-0.37, -0.15)  # pitch on the way there [rad], and how much more while the slab is far from it
    lean_gain = (2.18, 0.36)  # torque_y per radian and per rad/s
    jerk = -0.43  # force_x that drags the pan from under the slab
    come_back = (-2.33, 3.0)  # force_x, force_z per metre from the start
    steady_rate, ready_pitch = 0.8, -0.282  # [rad/s], [rad] when the flick may begin
    flick = (1.03, 0.0, 0.95, 0.0)  # forces; torque and its change with pitch [1/rad]
    swing_rate, brake_pitch = 1.5, 0.47  # [rad/s] the flick is under way; [rad] and ends
    brake = (0.65, 0.75, -0.79)
    gain = (1.6, 0.22)  # torque_y per radian and per rad/s, in the air and afterwards
    catch_pitch = 0.0
    follow = (0.028, 29.9, 0.2)  # force_x and its change with the slab's place [1/m]; force_z
    level = 0.86  # torque_y per radian of the hand's pitch

    def __init__(self, half_height: float, start: np.ndarray):
        """``half_height`` of the slab and ``start`` (3,) of the tcp, world [m]."""
        self._rest, self._start = half_height, start

    def pan_state(self, view: SceneView) -> PanState:
        """The scene in the pan's axes."""
        tool = Rotation.from_quat(view.tcp[""][3:])
        pan, slab = view.poses["pan"], view.poses["slab"]
        turn = Rotation.from_quat(pan[3:])
        normal = turn.inv().apply(Rotation.from_quat(slab[3:]).apply([0.0, 0.0, 1.0]))
        return PanState(
            pitch=_pitch(turn),
            tool_pitch=_pitch(tool),
            pitch_rate=float(-view.twist[""][4]),
            offset=view.tcp[""][:3] - self._start,
            slab=turn.inv().apply(slab[:3] - pan[:3]),
            up=float(normal[2]),
        )

    def intents(self, view: SceneView, bias: np.ndarray, tolerance: float = 1.0) -> dict[str, Intent]:
        """See :class:`Guide`. The bias is where the slab is taken to lie."""
        state = self.pan_state(view)
        wrench = np.array(self._swing(state, float(bias[0])))
        wrench[2] += self.level * state.tool_pitch  # against the law's own pull to the start
        return {"": Intent(wrench=np.clip(wrench, -1.0, 1.0))}

    def _swing(self, state: PanState, bias: float) -> tuple[float, float, float]:
        """force_x, force_z (down in the tool's axes), torque_y (nose up), as shares of the task's scale."""
        height, place = state.slab[2] - self._rest, state.slab[0] - bias
        if state.up < -0.9 and height < 0.006:
            return 0.0, 0.0, self._turn(self.gain, 0.0, state)
        if state.up < 0.9 or height > 0.012:  # in the air or tipping over: level, and stay below it
            force = self.follow[0] + self.follow[1] * state.slab[0]
            return force, self.follow[2], self._turn(self.gain, self.catch_pitch, state)
        flick = (*self.flick[:2], self.flick[2] + self.flick[3] * state.pitch)
        if state.pitch > self.brake_pitch:
            return self.brake
        if state.pitch_rate > self.swing_rate:
            return flick
        steady = abs(state.pitch_rate) < self.steady_rate and state.pitch < self.ready_pitch
        if place > self.gathered and steady:
            return flick
        away = float(np.clip((self.gathered - place) / 0.01, 0.0, 1.0))
        lean = self.lean[0] + self.lean[1] * away
        push = self.come_back[0] * state.offset[0] + self.jerk * away
        return push, self.come_back[1] * state.offset[2], self._turn(self.lean_gain, lean, state)

    @staticmethod
    def _turn(gain: tuple[float, float], pitch: float, state: PanState) -> float:
        return gain[0] * (pitch - state.pitch) - gain[1] * state.pitch_rate

    def resting(self, view: SceneView) -> bool:
        """Nothing to feel around for."""
        return False

    def progress(self, view: SceneView) -> float:
        """Way of the slab to the far wall, and how far from flipped it is [m]."""
        state = self.pan_state(view)
        return float(max(0.0, self.gathered - state.slab[0]) + 0.1 * (1.0 + state.up))

    def strayed(self, view: SceneView) -> bool:
        """The pan is on its edge, so that the slab is about to fall out."""
        return abs(self.pan_state(view).pitch) > 1.0


def _pitch(rotation: Rotation) -> float:
    """How far the x axis points up [rad]."""
    forward = rotation.apply([1.0, 0.0, 0.0])
    return float(np.arctan2(forward[2], forward[0]))
