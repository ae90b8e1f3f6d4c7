# SPDX-License-Identifier: Apache-2.0
"""Demonstrations of HIL-SERL's original release as a recording of ours.

Its ``record_demos.py`` writes one list of transitions: dicts with observations, actions, next_observations, rewards, masks,
dones and infos. What it does not say is made up, and said here: stamps count on at the task's rate; every step is the
operator's; tcp poses in the base frame come from ``infos["original_state_obs"]`` of an episode's first step, else they are
displaced from the task file's nominal pose. An episode that ended without a reward is taken as cut off by the time limit;
the original marks such an end as terminal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_bringup.dataset.errors import DatasetError
from hil_serl_bringup.dataset.hilserl_layout import Layout
from hil_serl_bringup.dataset.output import ActorOutput, Result, create_run, new_folder, refuse_existing
from hil_serl_bringup.dataset.pickled import read_plain_pickle
from hil_serl_core import geometry
from hil_serl_core.action import nominal_pose
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Source, Step
from hil_serl_ros.conversions import step_to_message

__all__ = ["Layout", "Result", "import_files"]

_KEYS = ("observations", "actions", "next_observations", "rewards", "dones")
_BETWEEN_EPISODES = 1.0  # s
_START = 1.0  # s; zero means "no stamp" in ROS


@dataclass(frozen=True)
class _Transition:
    """One checked transition; ``where`` names it in errors."""

    where: str
    observation: Mapping[str, Any]
    next_observation: Mapping[str, Any]
    action: np.ndarray
    reward: float
    penalty: float
    done: bool
    infos: Mapping[str, Any]

    def leads_to(self, other: _Transition) -> bool:
        """Whether ``other`` starts where this ends."""
        mine, theirs = self.next_observation.get("state"), other.observation.get("state")
        return (
            isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray) and np.array_equal(mine, theirs)
        )


def import_files(files: Sequence[Path], spec: TaskSpec, layout: Layout, target: Path) -> Result:
    """Write a run folder with the demonstrations of all files.

    Args:
        files: Pickles; see :func:`hil_serl_bringup.dataset.pickled.read_plain_pickle`.
        spec: Task that they are demonstrations of.
        layout: Where things are in them.
        target: Must not exist; it is there only when it is complete.

    Raises:
        DatasetError: A file is no list of such transitions, or does not fit the task; names file, transition, numbers.
        BagWriteError, OSError: Reading or writing fails.
    """
    refuse_existing(target.expanduser().absolute())
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    actor_id = f"hilserl_{digest.hexdigest()[:8]}"
    frame_id = spec.arm(spec.arm_names[0]).base_frame
    records, cut, time = 0, 0, _START
    with new_folder(target) as folder:
        create_run(folder, [spec], "dataset import-hilserl", sources=[str(file) for file in files])
        with ActorOutput(folder, str(Mode.RECORD_DEMOS), actor_id) as output:
            for file in files:
                for episode in _episodes(_transitions(file, layout)):
                    steps = _steps(episode, spec, layout, time)
                    output.write_episode([step_to_message(step, frame_id) for step in steps])
                    records += len(steps)
                    cut += not episode[-1].done
                    time = steps[-1].stamp + _BETWEEN_EPISODES
            if not output.episodes:
                raise DatasetError(f"there is no transition in {', '.join(map(str, files))}")
        count = output.episodes
    notes = (
        (f"{cut} episodes had no end of their own; they end as cut off by the time limit.",) if cut else ()
    )
    return Result(target, count, records, notes)


def _transitions(file: Path, layout: Layout) -> Iterator[_Transition]:
    content = read_plain_pickle(file)
    if not isinstance(content, list):
        raise DatasetError(f"{file} holds a {type(content).__name__}, expected a list of transitions")
    for number, entry in enumerate(content):
        where = f"{file}, transition {number}"
        if not isinstance(entry, dict) or (missing := [key for key in _KEYS if key not in entry]):
            what = (
                f"lacks {', '.join(missing)}" if isinstance(entry, dict) else f"is a {type(entry).__name__}"
            )
            raise DatasetError(f"{where} {what}; expected a dict with {', '.join(_KEYS)}")
        infos = entry.get("infos")
        infos = infos if isinstance(infos, dict) else {}
        penalty = entry.get("grasp_penalty", infos.get("grasp_penalty", 0.0))
        yield _Transition(
            where=where,
            observation=_dict(entry["observations"], where),
            next_observation=_dict(entry["next_observations"], where),
            action=layout.action_of(entry["actions"], where),
            reward=_number(entry["rewards"], "rewards", where),
            penalty=_number(penalty, "grasp_penalty", where),
            done=bool(_number(entry["dones"], "dones", where)),
            infos=infos,
        )


def _dict(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: an observation is a {type(value).__name__}, expected a dict")
    return value


def _number(value: Any, key: str, where: str) -> float:
    try:
        number = float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{where}: {key} is no number") from error
    if not np.isfinite(number):
        raise DatasetError(f"{where}: {key} is {number}")
    return number


def _episodes(transitions: Iterator[_Transition]) -> Iterator[list[_Transition]]:
    """Transitions up to each end; one that does not start where the one before ended begins a new episode.

    Demonstrations have no such breaks, a replay buffer's segments of intervention have.
    """
    episode: list[_Transition] = []
    for transition in transitions:
        if episode and not episode[-1].leads_to(transition):
            yield episode
            episode = []
        episode.append(transition)
        if transition.done:
            yield episode
            episode = []
    if episode:
        yield episode


def _steps(episode: Sequence[_Transition], spec: TaskSpec, layout: Layout, start: float) -> list[Step]:
    """Records of one episode: each observation with the action taken from it and the reward on arrival at it."""
    solved = episode[-1].done and episode[-1].reward > 0.0
    observations = [(t.observation, t.where) for t in episode]
    observations.append((episode[-1].next_observation, episode[-1].where))
    steps: list[Step] = []
    for index, (observation, where) in enumerate(observations):
        last = index == len(episode)
        before = episode[index - 1] if index else None
        state = layout.state_of(observation, where)
        for part, values in state.items():
            if not np.isfinite(values).all():
                raise DatasetError(f"{where}: state part '{part}' holds NaN or infinity")
        steps.append(
            Step(
                stamp=start + index * spec.period,
                actor_id="",  # the output numbers and names records
                sequence=0,
                episode=0,
                step_index=index,
                frames=layout.frames_of(observation, where),
                state=state,
                tcp_poses=_poses(state, episode[0], layout, spec),
                action=None if last else episode[index].action,
                policy_action=None,
                source=Source.NONE if last else Source.HUMAN,
                reward=before.reward if before else 0.0,
                grasp_penalty=min(0.0, before.penalty) if before else 0.0,
                is_first=index == 0,
                is_last=last,
                is_terminal=last and solved,
                policy_version=-1,
                spec_hash=spec.hash,
            )
        )
    return steps


def _poses(state: Mapping[str, np.ndarray], first: _Transition, layout: Layout, spec: TaskSpec) -> np.ndarray:
    """(arms, 7) tcp poses in the base frames: the reset pose displaced by the relative pose of the state."""
    poses = []
    for arm in spec.arm_names:
        reset = _reset_pose(arm, first, layout)
        relative = _relative(state, arm)
        poses.append(geometry.compose(nominal_pose(spec.arm(arm)) if reset is None else reset, relative))
    return np.array(poses)


def _relative(state: Mapping[str, np.ndarray], arm: str) -> np.ndarray:
    values = np.asarray(state.get(f"{arm}/tcp_pose" if arm else "tcp_pose", np.zeros(6)), dtype=np.float64)
    return geometry.make_pose(values[:3], Rotation.from_rotvec(values[3:]))


def _reset_pose(arm: str, first: _Transition, layout: Layout) -> np.ndarray | None:
    """(7,) where the episode began, from the one absolute pose that the first transition may carry."""
    original = first.infos.get("original_state_obs")
    pose = original.get(f"{arm}/tcp_pose" if arm else "tcp_pose") if isinstance(original, dict) else None
    if not isinstance(pose, np.ndarray) or not geometry.is_pose(pose):
        return None
    relative = _relative(layout.state_of(first.next_observation, first.where), arm)
    return geometry.compose(pose, geometry.inverse(relative))
