# SPDX-License-Identifier: Apache-2.0
"""Demonstrations of HIL-SERL's original release as a recording of ours.

Its ``record_demos.py`` writes one list of transitions: dicts with observations, actions, next_observations, rewards, masks,
dones and infos. What it does not say is made up, and said here: stamps count on at the task's rate; every step is the
operator's; tcp poses in the base frame come from ``infos["original_state_obs"]`` of an episode's first step, else they are
displaced from the task file's nominal pose. Actions and velocities are compared with the motion
(:mod:`hil_serl_bringup.dataset.hilserl_motion`). An episode that ended without a reward is taken as cut off by the time
limit; the original marks such an end as terminal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_bringup.dataset.errors import DatasetError
from hil_serl_bringup.dataset.hilserl_episode import (
    Corrected,
    Geometry,
    Transition,
    check_start,
    find_convention,
    geometry_of,
)
from hil_serl_bringup.dataset.hilserl_layout import Layout
from hil_serl_bringup.dataset.output import ActorOutput, Result, create_run, new_folder, refuse_existing
from hil_serl_bringup.dataset.pickled import read_plain_pickle
from hil_serl_core.episode import Mode
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Source, Step
from hil_serl_ros.conversions import step_to_message

__all__ = ["Layout", "Result", "import_files"]

_KEYS = ("observations", "actions", "next_observations", "rewards", "dones")
_BETWEEN_EPISODES = 1.0  # s
_START = 1.0  # s; zero means "no stamp" in ROS


def import_files(
    files: Sequence[Path], spec: TaskSpec, layout: Layout, target: Path, adjoint: str = "auto"
) -> Result:
    """Write a run folder with the demonstrations of all files.

    Args:
        files: Pickles; see :func:`hil_serl_bringup.dataset.pickled.read_plain_pickle`.
        spec: Task that they are demonstrations of.
        layout: Where things are in them.
        target: Must not exist; it is there only when it is complete.
        adjoint: ``auto``: see from the data whether actions and velocities carry the error of the original's adjoint, and
            undo it; ``original``: they do; ``none``: take them as they are.

    Raises:
        DatasetError: A file is no list of such transitions, or does not fit the task; names file, transition, numbers.
            Poses are absolute, or actions are not those of the motion, and it cannot be undone.
        BagWriteError, OSError: Reading or writing fails.
    """
    refuse_existing(target.expanduser().absolute())
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    actor_id = f"hilserl_{digest.hexdigest()[:8]}"
    frame_id = spec.arm(spec.arm_names[0]).base_frame
    middles: list[bool] = []
    convention, said = find_convention(_geometries(files, spec, layout, middles), spec, layout, adjoint)
    records, cut, clipped, time = 0, 0, 0, _START
    with new_folder(target) as folder:
        facts: dict[str, Any] = {
            "sources": [str(file) for file in files],
            "begin_in_the_middle": sum(middles),
        }
        create_run(folder, [spec], "dataset import-hilserl", **facts)
        with ActorOutput(folder, str(Mode.RECORD_DEMOS), actor_id) as output:
            for episode, _ in _all_episodes(files, layout):
                corrected = Corrected(geometry_of(episode, spec, layout), convention, spec, layout)
                steps = _steps(episode, corrected, spec, layout, time)
                output.write_episode([step_to_message(step, frame_id) for step in steps])
                records += len(steps)
                clipped += corrected.clipped
                cut += not episode[-1].done
                time = steps[-1].stamp + _BETWEEN_EPISODES
            if not output.episodes:
                raise DatasetError(f"there is no transition in {', '.join(map(str, files))}")
        count = output.episodes
    if cut:
        said.insert(0, f"{cut} episodes had no end of their own; they end as cut off by the time limit.")
    if clipped:
        said.append(
            f"{clipped} actions reached beyond 1 along an axis of the tcp frame, and were clipped there."
        )
    return Result(target, count, records, tuple(said))


def _all_episodes(files: Sequence[Path], layout: Layout) -> Iterator[tuple[list[Transition], bool]]:
    """Episodes of all files in order; one that goes on in the next file is one."""
    return _episodes(transition for file in files for transition in _transitions(file, layout))


def _geometries(
    files: Sequence[Path], spec: TaskSpec, layout: Layout, middles: list[bool]
) -> Iterator[Geometry]:
    """Motions of all episodes; refuses those that do not begin where their poses say. ``middles``: grows by each's mark."""
    for episode, in_the_middle in _all_episodes(files, layout):
        middles.append(in_the_middle)
        geometry = geometry_of(episode, spec, layout)
        check_start(geometry, spec, layout, episode[0], cut=in_the_middle)
        yield geometry


def _transitions(file: Path, layout: Layout) -> Iterator[Transition]:
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
        yield Transition(
            where=where,
            observation=_dict(entry["observations"], where),
            next_observation=_dict(entry["next_observations"], where),
            action=layout.recorded_action(entry["actions"], where),
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


def _episodes(transitions: Iterator[Transition]) -> Iterator[tuple[list[Transition], bool]]:
    """Transitions up to each end, and whether they begin in the middle of an episode.

    One that does not start where the one before ended begins a new episode, in its middle. Demonstrations have no such
    breaks, a replay buffer's segments of intervention have.
    """
    episode: list[Transition] = []
    middle = False
    for transition in transitions:
        if episode and not episode[-1].leads_to(transition):
            yield episode, middle
            episode, middle = [], True
        episode.append(transition)
        if transition.done:
            yield episode, middle
            episode, middle = [], False
    if episode:
        yield episode, middle


def _steps(
    episode: Sequence[Transition], corrected: Corrected, spec: TaskSpec, layout: Layout, start: float
) -> list[Step]:
    """Records of one episode: each observation with the action taken from it and the reward on arrival at it."""
    solved = episode[-1].done and episode[-1].reward > 0.0
    observations = [(t.observation, t.where) for t in episode]
    observations.append((episode[-1].next_observation, episode[-1].where))
    steps: list[Step] = []
    for index, (observation, where) in enumerate(observations):
        last = index == len(episode)
        before = episode[index - 1] if index else None
        state = corrected.state(index)
        steps.append(
            Step(
                stamp=start + index * spec.period,
                actor_id="",  # the output numbers and names records
                sequence=0,
                episode=0,
                step_index=index,
                frames=layout.frames_of(observation, where),
                state=state,
                tcp_poses=corrected.tcp_poses(index),
                action=None if last else layout.action_of(corrected.action(index), where),
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
