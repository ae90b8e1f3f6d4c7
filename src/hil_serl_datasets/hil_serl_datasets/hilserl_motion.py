# SPDX-License-Identifier: Apache-2.0
"""Do recorded actions and velocities tell the motion that was recorded? In which convention, and what undoes another one.

The relative-frame wrapper of HIL-SERL's original release takes actions and velocities u = (v, w), linear first, from the
base frame into the tcp frame by the inverse of

    A = [[R, 0], [[p]x R, R]]    for the pose (R, p) of the tcp in the base frame,

an adjoint whose lever-arm block stands where twists ordered (w, v) need it. Its environment moves the tcp by v and turns it
by w about the tcp, so that R^T v and R^T w would be right; recorded is

    v_rec = R^T v,    w_rec = R^T w - R^T (p x v) = R^T w - q x v_rec    with q = R^T p.

A pure translation is recorded with a rotation of |p| times it. The error is exactly undone by w_rec + q x v_rec where the
pose in the base frame is known. Whether data have it is seen from the data: from one observation to the next the tcp moved
by d and turned by t, in its own frame, and one of the conventions explains that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from hil_serl_core import geometry

MOVING = 0.05
"""Share of a full action from which a step counts as a motion."""
ENOUGH = 20
"""Motions from which on data that explain nothing are refused."""
_BETTER = 0.7  # share of the other convention's squared error that leaves a doubt
_FITTED = 0.4  # the same where the lever arm was found from the same data
_EXPLAINED = 0.25  # least share of the motion that the right convention explains
_LEVER = 0.1  # m; a lever arm that is found from the data alone is at least so long
_LEVER_USUAL = 0.5  # m; of an arm at work
_SLIP = (0.05, 20.0)  # bounds of the share of a commanded motion that the arm makes


class Convention(StrEnum):
    """In which frame actions and velocities were recorded."""

    TCP = "tcp"
    ORIGINAL = "original"
    BASE = "base"


@dataclass
class Motion:
    """Steps of one arm; N of them.

    Attributes:
        twist: (N, 6) as recorded: shares of a full action, or velocities [m/s, rad/s].
        moved: (N, 6) displacement and rotation vector from this observation to the next, in the tcp frame [m, rad].
        relative: (N, 7) poses relative to the reset pose.
        reset: (7,) reset pose in the base frame of each step's episode, or None where it is unknown.
    """

    twist: list[np.ndarray] = field(default_factory=list)
    moved: list[np.ndarray] = field(default_factory=list)
    relative: list[np.ndarray] = field(default_factory=list)
    reset: list[np.ndarray | None] = field(default_factory=list)

    def add_action(self, twist: np.ndarray, poses: np.ndarray, index: int, reset: np.ndarray | None) -> None:
        """An action (6,) as recorded from the observation at ``index`` of relative poses (n + 1, 7)."""
        self._add(twist, _step(poses, index), poses[index], reset)

    def add_velocity(
        self, twist: np.ndarray, poses: np.ndarray, index: int, reset: np.ndarray | None
    ) -> None:
        """A velocity (6,) in an observation: compared with the mean of the motions before and after it."""
        mean = 0.5 * (_step(poses, index - 1) + _step(poses, index))
        self._add(twist, mean, poses[index], reset)

    def _add(self, twist: np.ndarray, moved: np.ndarray, pose: np.ndarray, reset: np.ndarray | None) -> None:
        self.twist.append(np.asarray(twist, dtype=np.float64))
        self.moved.append(moved)
        self.relative.append(pose)
        self.reset.append(reset)


def _step(poses: np.ndarray, index: int) -> np.ndarray:
    """(6,) displacement and rotation vector from one pose to the next, in the first one's frame."""
    step = geometry.relative(poses[index], poses[index + 1])
    return np.concatenate([step[:3], geometry.rotation_of(step).as_rotvec()])


@dataclass(frozen=True)
class Verdict:
    """What the data say.

    Attributes:
        convention: None if they cannot tell.
        moving: Number of motions.
        explained: Convention to the share of the rotation (``base``: of the translation) that it explains.
        leak: Largest rotation that the original's error put into a step [rad].
        known: The poses in the base frame are known, so that the error can be undone.
        translation: Share of the translation that the recorded one explains, as if it were in the tcp frame.
        slip: How far the tcp moved, in shares of the recorded translation.
    """

    convention: Convention | None
    moving: int
    explained: dict[Convention, float]
    leak: float = 0.0
    known: bool = True
    translation: float = 0.0
    slip: float = 1.0

    def shares(self) -> str:
        """The figures, for people."""
        names = {
            Convention.TCP: "as recorded they explain {} of the rotation",
            Convention.ORIGINAL: "without the lever-arm error of HIL-SERL's adjoint {}",
            Convention.BASE: "as motions in the base frame {} of the translation",
        }
        return ", ".join(names[c].format(f"{100 * max(0.0, s):.0f} %") for c, s in self.explained.items())


def lever(relative: np.ndarray, reset: np.ndarray) -> np.ndarray:
    """(3,) q = R^T p of a pose (7,) relative to a reset pose (7,) in the base frame [m]."""
    pose = geometry.compose(reset, relative)
    return geometry.rotation_of(pose).inv().apply(pose[:3])


def in_tcp_frame(
    twist: np.ndarray, convention: Convention, relative: np.ndarray, reset: np.ndarray
) -> np.ndarray:
    """(6,) twist in the tcp frame from one recorded in another convention; see the module."""
    if convention is Convention.TCP:
        return twist
    if convention is Convention.BASE:
        rotation = geometry.rotation_of(geometry.compose(reset, relative)).inv()
        return rotation.apply(twist.reshape(2, 3)).ravel()
    return np.concatenate([twist[:3], twist[3:] + np.cross(lever(relative, reset), twist[:3])])


def judge(
    motion: Motion, scale: tuple[float, float], full: tuple[float, float], *, base: bool = False
) -> Verdict:
    """Which convention explains the motion.

    Args:
        motion: Of one arm, of all episodes.
        scale: What a recorded 1 means in a step, translation [m] and rotation [rad].
        full: Translation [m] and rotation [rad] of a full action, the measure of what matters.
        base: Whether motions in the base frame come into question.
    """
    if not motion.twist:
        return Verdict(None, 0, {})
    raw, moved = np.array(motion.twist), np.array(motion.moved)
    twist = raw * np.repeat(scale, 3)
    count = int((np.abs(twist / np.repeat(full, 3)).max(axis=1) > MOVING).sum())
    if not count:
        return Verdict(None, 0, {})
    slip = _slip(twist[:, :3], moved[:, :3])
    known = all(reset is not None for reset in motion.reset)
    if known:
        pairs = zip(motion.relative, motion.reset, strict=True)
        levers = np.array([lever(r, reset) for r, reset in pairs if reset is not None])
    else:
        levers = _fitted_levers(motion, raw, moved, slip * scale[1])
    errors = {Convention.TCP: _turn_error(twist[:, 3:], moved[:, 3:], slip)}
    leak = np.zeros((1, 3))
    if len(levers):
        leak = np.cross(levers, raw[:, :3]) * scale[1]
        errors[Convention.ORIGINAL] = _turn_error(twist[:, 3:] + leak, moved[:, 3:], slip)
    floor = 1e-9 + (1e-3 * full[1]) ** 2 * count
    worst = max(float((moved[:, 3:] ** 2).sum()), floor, *errors.values())
    explained = {c: 1.0 - error / worst for c, error in errors.items()}
    shift = float(((moved[:, :3] - slip * twist[:, :3]) ** 2).sum() / max((moved[:, :3] ** 2).sum(), 1e-12))
    if base and known:
        explained |= _base_share(motion, raw, moved, scale, full)
    usual = _LEVER_USUAL**2 * 2.0 / 3.0 * float(((raw[:, :3] * slip * scale[1]) ** 2).sum())
    chosen = _choose(errors, floor, levers, known, usual)
    if explained.get(Convention.BASE, 0.0) > max(0.5, 1.0 - shift):
        chosen = Convention.BASE
    elif np.abs(raw[:, :3]).max() > 1e-9 and 1.0 - shift < _EXPLAINED:
        chosen = None  # the tcp did not move where the recorded translations point
    return Verdict(
        chosen, count, explained, float(np.linalg.norm(leak, axis=1).max()), known, 1.0 - shift, slip
    )


def _slip(command: np.ndarray, moved: np.ndarray) -> float:
    """Share of the commanded translation that the arm made, which the error leaves alone."""
    energy = float((command**2).sum())
    return float(np.clip((command * moved).sum() / energy, *_SLIP)) if energy > 0.0 else 1.0


def _turn_error(turn: np.ndarray, moved: np.ndarray, slip: float) -> float:
    """Squared error of the rotation, at the best gain within a factor of three of the translation's."""
    energy = float((turn**2).sum())
    gain = float((turn * moved).sum()) / energy if energy > 0.0 else slip
    gain = float(np.clip(gain, slip / 3.0, slip * 3.0))
    return float(((moved - gain * turn) ** 2).sum())


def _fitted_levers(motion: Motion, raw: np.ndarray, moved: np.ndarray, gain: float) -> np.ndarray:
    """(N, 3) levers [m] from the one reset pose that explains the rotations best; none if the motions do not tell.

    q_k = R_k^T (q_0 + p_k) for relative poses (R_k, p_k), so that q_0 enters linearly.
    """
    rows, rest = [], []
    back = [geometry.rotation_of(pose).inv() for pose in motion.relative]
    for k, pose in enumerate(motion.relative):
        linear = raw[k, :3] * gain
        rows.append(-geometry.skew(linear) @ back[k].as_matrix())
        rest.append(moved[k, 3:] - gain * raw[k, 3:] - np.cross(back[k].apply(pose[:3]), linear))
    matrix = np.concatenate(rows)
    if len(motion.twist) < 4 or np.linalg.matrix_rank(matrix) < 2:
        return np.zeros((0, 3))
    start, *_ = np.linalg.lstsq(matrix, np.concatenate(rest), rcond=None)
    return np.array([r.apply(start + pose[:3]) for r, pose in zip(back, motion.relative, strict=True)])


def _base_share(
    motion: Motion, raw: np.ndarray, moved: np.ndarray, scale: tuple[float, float], full: tuple[float, float]
) -> dict[Convention, float]:
    """How much of the translation is explained if the motion was recorded in the base frame."""
    turned = [
        in_tcp_frame(twist, Convention.BASE, r, reset)
        for twist, r, reset in zip(raw, motion.relative, motion.reset, strict=True)
        if reset is not None
    ]
    command, target = np.array(turned)[:, :3] * scale[0], moved[:, :3]
    total = float((target**2).sum())
    if total < (1e-3 * full[0]) ** 2:
        return {}
    return {Convention.BASE: 1.0 - float(((target - _slip(command, target) * command) ** 2).sum()) / total}


def _choose(
    errors: dict[Convention, float], floor: float, levers: np.ndarray, known: bool, usual: float
) -> Convention | None:
    """By the squared errors of the rotation; ``floor``: what does not matter, ``usual``: what a usual lever arm makes."""
    recorded, undone = errors[Convention.TCP] + floor, errors.get(Convention.ORIGINAL, np.inf) + floor
    if undone < (_BETTER if known else _FITTED) * recorded:
        short = not known and np.linalg.norm(levers, axis=1).mean() < _LEVER
        return Convention.TCP if short else Convention.ORIGINAL
    if not known:
        return Convention.TCP if recorded < _FITTED * usual + floor else None
    return Convention.TCP if recorded < _BETTER * undone else None


def agree(verdicts: Sequence[Verdict]) -> Convention | None:
    """The one convention that all that can tell agree on; None if none can.

    Raises:
        ValueError: They contradict each other.
    """
    found = {v.convention for v in verdicts if v.convention is not None}
    if len(found) > 1:
        raise ValueError(" but ".join(f"{v.shares()} ({v.moving} motions)" for v in verdicts if v.convention))
    return next(iter(found), None)
