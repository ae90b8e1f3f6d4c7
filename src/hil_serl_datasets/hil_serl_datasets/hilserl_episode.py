# SPDX-License-Identifier: Apache-2.0
"""One episode of HIL-SERL's original release in our frames: poses, actions and velocities, and what has to be undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import nominal_pose
from hil_serl_core.spec import TaskSpec
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.hilserl_layout import Layout
from hil_serl_datasets.hilserl_motion import (
    ENOUGH,
    Convention,
    Motion,
    Verdict,
    agree,
    in_tcp_frame,
    judge,
)
from hil_serl_datasets.starts import start_fault

_AT_THE_BASE = 0.05  # m; a tcp so near to the origin of its base is none
_FASTER = 1.5  # an arm moves no more than this times what is commanded
_SMALL = 0.02  # share of a full rotation that an error may put into a step unseen


@dataclass(frozen=True)
class Transition:
    """One checked transition; ``where`` names it in errors. ``action``: (arms, A / arms) as recorded."""

    where: str
    observation: Mapping[str, Any]
    next_observation: Mapping[str, Any]
    action: np.ndarray
    reward: float
    penalty: float
    done: bool
    infos: Mapping[str, Any]

    def leads_to(self, other: Transition) -> bool:
        """Whether ``other`` starts where this ends."""
        mine, theirs = self.next_observation.get("state"), other.observation.get("state")
        return (
            isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray) and np.array_equal(mine, theirs)
        )


@dataclass(frozen=True)
class Geometry:
    """Where the arms were in an episode of n transitions.

    Attributes:
        states: n + 1 states, their ``tcp_pose`` relative to the reset pose.
        actions: n of (arms, A / arms), as recorded.
        relative: Arm to (n + 1, 7) poses relative to the reset pose; None if the state has no pose.
        resets: Arm to its (7,) reset pose in the base frame; None where it is unknown.
    """

    states: Sequence[dict[str, np.ndarray]]
    actions: Sequence[np.ndarray]
    relative: Mapping[str, np.ndarray | None]
    resets: Mapping[str, np.ndarray | None]


def _key(arm: str, part: str) -> str:
    return f"{arm}/{part}" if arm else part


def geometry_of(episode: Sequence[Transition], spec: TaskSpec, layout: Layout) -> Geometry:
    """Poses of an episode; absolute ones become relative to the first.

    Raises:
        DatasetError: A state does not fit the task, or holds NaN.
    """
    states = [layout.state_of(t.observation, t.where) for t in episode]
    states.append(layout.state_of(episode[-1].next_observation, episode[-1].where))
    for index, state in enumerate(states):
        for part, values in state.items():
            if not np.isfinite(values).all():
                where = episode[min(index, len(episode) - 1)].where
                raise DatasetError(f"{where}: state part '{part}' holds NaN or infinity")
    relative: dict[str, np.ndarray | None] = {}
    resets: dict[str, np.ndarray | None] = {}
    for arm in spec.arm_names:
        key = _key(arm, "tcp_pose")
        relative[arm] = None
        if key in spec.state_sizes:
            poses = [_pose(state[key]) for state in states]
            if layout.absolute:
                resets[arm] = poses[0]
                poses = [geometry.relative(poses[0], pose) for pose in poses]
                for state, pose in zip(states, poses, strict=True):
                    vector = np.concatenate([pose[:3], geometry.rotation_of(pose).as_rotvec()])
                    state[key] = vector.astype(np.float32)
            relative[arm] = np.array(poses)
        if arm not in resets:
            resets[arm] = _reset_pose(arm, episode[0], relative[arm], layout)
    return Geometry(states, [t.action for t in episode], relative, resets)


def _pose(vector: np.ndarray) -> np.ndarray:
    values = np.asarray(vector, dtype=np.float64)
    return geometry.make_pose(values[:3], Rotation.from_rotvec(values[3:]))


def _reset_pose(
    arm: str, first: Transition, relative: np.ndarray | None, layout: Layout
) -> np.ndarray | None:
    """(7,) where the episode began: from the absolute pose that the first transition may carry, else as a person said."""
    original = first.infos.get("original_state_obs")
    pose = original.get(_key(arm, "tcp_pose")) if isinstance(original, dict) else None
    if isinstance(pose, np.ndarray) and geometry.is_pose(pose) and relative is not None:
        return geometry.compose(pose, geometry.inverse(relative[1]))
    return layout.resets.get(arm)


def check_start(found: Geometry, spec: TaskSpec, layout: Layout, first: Transition, *, cut: bool) -> None:
    """Relative poses begin at zero, absolute ones do not.

    Args:
        found: The episode.
        spec: Its task.
        layout: Says which of the two the poses are meant to be.
        first: Names the episode in errors.
        cut: It begins in its middle, see ``start_fault``.

    Raises:
        DatasetError: They are of the other kind; names the option.
    """
    if layout.absolute:
        for arm, reset in found.resets.items():
            if reset is not None and np.linalg.norm(reset[:3]) < _AT_THE_BASE:
                what = f"{np.linalg.norm(reset[:3]):.3f} m from the base frame's origin"
                raise DatasetError(
                    f"{first.where}: an episode{f' of arm {arm!r}' if arm else ''} begins {what}, so its poses are "
                    "relative to the reset pose; import it without --pose absolute"
                )
        return
    if (fault := start_fault(found.states[0], spec, cut=cut)) is not None:
        raise DatasetError(
            f"{first.where}: the episode {fault}. HIL-SERL's tasks without its relative-frame wrapper, such as the egg "
            "flip, record absolute poses: import them with --pose absolute (and see --state for where the pose stands)"
        )


class Corrected:
    """An episode's states and actions in the tcp frame, whatever they were recorded in.

    Attributes:
        clipped: Actions that reached beyond 1 along an axis of the tcp frame, though not along one of the base frame.
    """

    def __init__(self, found: Geometry, convention: Convention, spec: TaskSpec, layout: Layout) -> None:
        """``convention``: of actions and velocities, from :func:`find_convention`."""
        self._found = found
        self._convention = convention
        self._spec = spec
        self.clipped = 0

    def state(self, index: int) -> dict[str, np.ndarray]:
        """State parts, float32, of an observation."""
        state = dict(self._found.states[index])
        for arm in self._spec.arm_names:
            key = _key(arm, "tcp_twist")
            if self._convention is not Convention.TCP and key in state:
                state[key] = self._turned(arm, index, state[key]).astype(np.float32)
        return state

    def action(self, index: int) -> np.ndarray:
        """(arms, A / arms) action from an observation; undone ones as they were executed, clipped in the base frame."""
        action = self._found.actions[index].copy()
        if self._convention is Convention.TCP or self._spec.action.kind != "twist":
            return action
        for k, arm in enumerate(self._spec.arm_names):
            relative, reset = self._place(arm, index)
            turn = geometry.rotation_of(geometry.compose(reset, relative))
            twist = self._turned(arm, index, action[k, :6])
            executed = np.clip(turn.apply(twist.reshape(2, 3)), -1.0, 1.0)
            action[k, :6] = turn.inv().apply(executed).ravel()
            self.clipped += bool(np.abs(action[k, :6]).max() > 1.0 + 1e-6)
        return action

    def tcp_poses(self, index: int) -> np.ndarray:
        """(arms, 7) tcp poses in the base frames: the reset pose, else the task's nominal one, displaced."""
        poses = []
        for arm in self._spec.arm_names:
            reset, relative = self._found.resets[arm], self._found.relative[arm]
            start = nominal_pose(self._spec.arm(arm)) if reset is None else reset
            poses.append(start if relative is None else geometry.compose(start, relative[index]))
        return np.array(poses)

    def _turned(self, arm: str, index: int, twist: np.ndarray) -> np.ndarray:
        return in_tcp_frame(np.asarray(twist, np.float64), self._convention, *self._place(arm, index))

    def _place(self, arm: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        relative, reset = self._found.relative[arm], self._found.resets[arm]
        if relative is None or reset is None:
            raise DatasetError(
                f"the pose of {f'arm {arm!r}' if arm else 'the arm'} in the base frame is unknown in an episode (its infos "
                "hold no original_state_obs), so that its actions and velocities cannot be taken into the tcp frame; say "
                "where episodes begin with --reset-pose X,Y,Z,ROLL,PITCH,YAW (RESET_POSE of its configuration)"
            )
        return relative[index], reset


def find_convention(
    episodes: Iterable[Geometry], spec: TaskSpec, layout: Layout, adjoint: str
) -> tuple[Convention, list[str]]:
    """In which convention actions and velocities are, and what to tell a person about it.

    Args:
        episodes: All of them.
        spec: Their task.
        layout: With absolute poses, motions in the base frame come into question.
        adjoint: ``auto``, ``original`` or ``none``, see ``import_files``.

    Raises:
        DatasetError: The data contradict themselves, explain nothing, or carry an error that cannot be undone.
    """
    full = (spec.action.translation_scale or 0.01, spec.action.rotation_scale or 0.05)
    actions = {arm: Motion() for arm in spec.arm_names}
    velocities = {arm: Motion() for arm in spec.arm_names}
    known = True
    for found in episodes:
        for k, arm in enumerate(spec.arm_names):
            known &= found.resets[arm] is not None
            _collect(found, k, arm, actions[arm] if spec.action.kind == "twist" else None, velocities[arm])
    if adjoint != "auto":
        chosen = Convention.ORIGINAL if adjoint == "original" else Convention.TCP
        return chosen, [f"Actions and velocities were not compared with the motion (--adjoint {adjoint})."]
    judged = {
        "actions": [judge(m, full, full, base=layout.absolute) for m in actions.values()],
        "velocities": [
            judge(m, (spec.period, spec.period), full, base=layout.absolute) for m in velocities.values()
        ],
    }
    said = [
        *(_scale_doubt(v, full) for v in judged["actions"] if v.slip > _FASTER and v.translation > 0.5),
    ]
    said += [
        f"{what.capitalize()} of {v.moving} moving steps were compared with the motion: {v.shares()}."
        for what, verdicts in judged.items()
        for v in verdicts
        if v.explained
    ]
    everything = [v for verdicts in judged.values() for v in verdicts]
    try:
        convention = agree(everything)
    except ValueError as error:
        raise DatasetError(
            f"actions and velocities contradict each other about their frame: {error}; look at --state, or decide with "
            "--adjoint original or --adjoint none"
        ) from error
    if convention is None:
        return Convention.TCP, said + _undecided(judged, full)
    return convention, said + _decided(convention, everything, known, full)


def _scale_doubt(verdict: Verdict, full: tuple[float, float]) -> str:
    return (
        f"The arm moved {verdict.slip:.1f} times as far as the actions ask: translation_scale of the task file, "
        f"{full[0]:g} m, has to be the one of the original's ACTION_SCALE."
    )


def _collect(found: Geometry, k: int, arm: str, actions: Motion | None, velocities: Motion) -> None:
    poses = found.relative[arm]
    if poses is None:
        return
    for index, action in enumerate(found.actions):
        if actions is not None:
            actions.add_action(action[k, :6], poses, index, found.resets[arm])
        twist = found.states[index].get(_key(arm, "tcp_twist"))
        if twist is not None and index:
            velocities.add_velocity(twist, poses, index, found.resets[arm])


def _decided(
    convention: Convention, verdicts: Sequence[Verdict], known: bool, full: tuple[float, float]
) -> list[str]:
    if convention is Convention.TCP:
        return []
    leak = max(v.leak for v in verdicts if v.convention is convention)
    if convention is Convention.BASE:
        return ["They were recorded in the base frame, and were taken into the tcp frame."]
    error = f"up to {leak / full[1]:.3f} of a full rotation ({np.degrees(leak):.1f} degrees a step)"
    if not known:
        figures = "; ".join(v.shares() for v in verdicts if v.convention is convention)
        raise DatasetError(
            f"actions and velocities carry the lever-arm error of HIL-SERL's adjoint: {figures}; it turns translations "
            f"into rotations, {error}. To undo it, the poses in the base frame are needed, and the files do not hold them "
            "(infos with original_state_obs). Say where episodes begin with --reset-pose X,Y,Z,ROLL,PITCH,YAW (RESET_POSE "
            "of its configuration): what its random reset added stays as an error, 1 % of a full rotation for each "
            "centimetre"
        )
    return [f"They carried the lever-arm error of HIL-SERL's adjoint, {error}; it was undone."]


def _undecided(judged: Mapping[str, Sequence[Verdict]], full: tuple[float, float]) -> list[str]:
    everything = [v for verdicts in judged.values() for v in verdicts]
    if all(not v.moving or (v.known and v.leak <= _SMALL * full[1]) for v in everything):
        return (
            []
            if any(v.moving for v in everything)
            else ["No recorded motion could be compared with the actions."]
        )
    for verdict in judged["actions"]:
        if verdict.moving >= ENOUGH:
            raise DatasetError(
                "it cannot be told whether the recorded actions carry the error of HIL-SERL's adjoint: of "
                f"{verdict.moving} moving steps they explain {100 * max(0.0, verdict.translation):.0f} % of the "
                f"translation, {verdict.shares()}. Are they in another frame, is the state laid out otherwise "
                "(--state, --rotation, --pose), or is it another task? Take them as they are with --adjoint none, "
                "or undo the error with "
                "--adjoint original"
            )
    return [
        "There is too little motion to tell whether actions and velocities carry the error of HIL-SERL's adjoint; they "
        "were taken as they are (--adjoint original undoes it)."
    ]
