# SPDX-License-Identifier: Apache-2.0
"""Small recordings for tests, written by the actor's own log."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_actor.sending.step_log import StepLog
from hil_serl_cli import cli
from hil_serl_core.spec import TaskSpec, task_from_dict
from hil_serl_core.step import Source, Step
from hil_serl_runs.run_folder import RunFolder
from hil_serl_tasks.finder import find_task


@cache
def small_task(size: int = 16, name: str = "ram_insertion") -> TaskSpec:
    """A task of the suite with tiny pictures."""
    content = find_task(name).model_dump(mode="json")
    for camera in content["cameras"]:
        camera["size"] = size
    return task_from_dict(content)


def episode(
    spec: TaskSpec, number: int, length: int = 5, *, end: str = "success", start: float = 100.0
) -> list[Step]:
    """Records of one episode, `length` transitions; `end` is success, failure, time_limit or cut.

    The operator drives every second step. Contents depend on number and step, so that a mix-up shows.
    """
    rng = np.random.default_rng(number)

    def state(index: int) -> dict[str, np.ndarray]:
        parts = {part: rng.normal(0, 0.1, n).astype(np.float32) for part, n in spec.state_sizes.items()}
        if index == 0:  # relative to the pose where the episode begins
            parts |= {part: np.zeros_like(v) for part, v in parts.items() if part.endswith("tcp_pose")}
        return parts

    count = length if end == "cut" else length + 1
    steps = []
    for index in range(count):
        last = index == length
        source = Source.NONE if last else (Source.HUMAN if index % 2 == 0 else Source.POLICY)
        steps.append(
            Step(
                stamp=start + 10.0 * number + spec.period * index,
                actor_id="actor_0",
                sequence=0,
                episode=number,
                step_index=index,
                frames={
                    c.name: rng.integers(0, 256, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras
                },
                state=state(index),
                tcp_poses=np.tile([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0], (len(spec.arm_names), 1)),
                action=None if last else rng.uniform(-1, 1, spec.action_size).astype(np.float32),
                policy_action=None,
                source=source,
                reward=float(last and end == "success"),
                grasp_penalty=0.0,
                is_first=index == 0,
                is_last=last,
                is_terminal=last and end in ("success", "failure"),
                policy_version=-1,
                spec_hash=spec.hash,
            )
        )
    return steps


def write_run(
    path: Path,
    spec: TaskSpec,
    episodes: Sequence[Sequence[Step]],
    mode: str = "record_demos",
    actor: str = "actor_0",
) -> Path:
    """A run folder with one actor's episodes; returns it."""
    if not (path / "run.json").exists():
        RunFolder.create(spec, 0, "record-demos", path=path)
    log = StepLog(path / "bags" / mode / actor)
    for step in (step for one in episodes for step in one):
        log.append(dataclasses.replace(step, sequence=log.next_sequence, actor_id=actor))
    log.close()
    return path


def changed(steps: Sequence[Step], index: int, **fields: Any) -> list[Step]:
    """The same records but for fields of one."""
    result = list(steps)
    result[index] = dataclasses.replace(result[index], **fields)
    return result


def hil_serl(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and errors of the command line, in this process."""
    capsys.readouterr()
    code = cli.run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def files_below(path: Path) -> dict[str, bytes]:
    """Contents of all files, to see that nothing was changed."""
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
