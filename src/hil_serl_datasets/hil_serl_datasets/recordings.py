# SPDX-License-Identifier: Apache-2.0
"""Recordings by path: the bags of one actor in one phase, and the task they were made under."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hil_serl_core.rewards.labels import LABELS_FILE
from hil_serl_core.spec import TaskFileError, TaskSpec, load_task
from hil_serl_datasets.errors import DatasetError
from hil_serl_ros.bag import STEP_TYPE, BagMessage, BagProblem, find_bag_files, read_messages
from hil_serl_tasks.finder import tasks, twins

_EDITING = ("dataset trim", "dataset relabel", "dataset merge")


@dataclass(frozen=True)
class Recording:
    """Bags of one actor in one phase, in recording order.

    Attributes:
        folder: ``<run>/bags/<mode>/<actor_id>``; the bag folder itself outside a run folder.
        files: Its .mcap files.
        run: Run folder, None outside one.
        mode: Phase of the run, e.g. ``record_demos``; empty outside a run folder.
        problems: What the latest reading had to leave out.
    """

    folder: Path
    files: tuple[Path, ...]
    run: Path | None = None
    mode: str = ""
    problems: list[BagProblem] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """How a person names it: ``record_demos/actor_0``, or the bag's name."""
        return f"{self.mode}/{self.folder.name}" if self.mode else self.folder.name

    @property
    def labels_file(self) -> Path | None:
        """Labels of its records, None if there are none."""
        path = self.folder / LABELS_FILE
        return path if path.is_file() else None

    @property
    def cut(self) -> bool:
        """Whether its episodes may begin in their middle: trimmed ones, and imported segments of a replay buffer."""
        try:
            state = json.loads((self.run / "run.json").read_text(encoding="utf-8")) if self.run else {}
        except (OSError, ValueError):
            return False
        return state.get("command") in _EDITING or bool(state.get("begin_in_the_middle"))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.files)

    def tasks(self) -> list[TaskSpec]:
        """Tasks of its run folder: the task, and the backward agent's if there is one; none outside a run folder."""
        files = (self.run / name for name in ("task.yaml", "partner.yaml")) if self.run is not None else ()
        return [load_task(file) for file in files if file.is_file()]

    def messages(self, *, keep_before_damage: bool = False) -> Iterator[BagMessage]:
        """Its step messages; what a file has to leave out goes to ``problems``.

        Raises:
            BagError, BagDamagedError: See :func:`hil_serl_ros.bag.read_messages`.
        """
        self.problems.clear()
        for file in self.files:
            yield from read_messages(
                file,
                types={STEP_TYPE},
                keep_before_damage=keep_before_damage,
                on_problem=self.problems.append,
            )


def find_recordings(paths: Iterable[Path], mode: str = "") -> list[Recording]:
    """Recordings of run folders, bag folders and .mcap files, each once.

    Args:
        paths: What a person names.
        mode: Only this phase of run folders; empty: all.

    Raises:
        BagError: A path does not exist or holds no bag.
        DatasetError: A run folder has nothing of that mode.
    """
    found: dict[Path, Recording] = {}
    for path in paths:
        for recording in _recordings_of(path.expanduser().absolute(), mode):
            found.setdefault(recording.folder.resolve(), recording)
    return list(found.values())


def _recordings_of(path: Path, mode: str) -> list[Recording]:
    if not (path / "bags").is_dir():
        return _grouped(find_bag_files(path), mode)
    # A run that shares another's demonstrations links to them, and a search does not follow links.
    phases = [p for p in sorted((path / "bags").iterdir()) if not mode or p.name == mode]
    files = [file for phase in phases if any(phase.rglob("*.mcap")) for file in find_bag_files(phase)]
    if not files:
        have = ", ".join(sorted(p.name for p in (path / "bags").iterdir())) or "nothing"
        raise DatasetError(f"{path} has no bags{f' of mode {mode}' if mode else ''}; it has {have}")
    return _grouped(files, "")


def _grouped(files: list[Path], mode: str) -> list[Recording]:
    """Files of one actor and phase together."""
    groups: dict[Path, list[Path]] = {}
    for file in files:
        actor = file.parent.parent
        in_run = actor.parent.parent.name == "bags"
        groups.setdefault(actor if in_run else file.parent, []).append(file)
    recordings = []
    for folder, members in groups.items():
        run = folder.parent.parent.parent if folder.parent.parent.name == "bags" else None
        # Also a bag folder copied out of its run is a recording, of no known phase.
        run = run if run is not None and folder != members[0].parent else None
        kind = folder.parent.name if run is not None else ""
        if mode and kind != mode:
            raise DatasetError(f"{folder} is of mode '{kind or 'unknown'}', not '{mode}'; leave --mode out")
        recordings.append(Recording(folder, tuple(members), run, kind))
    return recordings


@cache
def known_tasks() -> dict[str, TaskSpec]:
    """Spec hash to task, of all task files of the suite and the working folder that can be read."""
    found: dict[str, TaskSpec] = {}
    for path in (*tasks().values(), *twins().values()):
        try:
            spec = load_task(path)
        except TaskFileError:
            continue
        found.setdefault(spec.hash, spec)
    return found


def task_of(recording: Recording, spec_hash: str, named: TaskSpec | None = None) -> TaskSpec | None:
    """Task of a recording's records: the one named, its run folder's, or a known one of that hash; else None."""
    candidates = [*([named] if named else []), *recording.tasks()]
    match = next((spec for spec in candidates if spec.hash == spec_hash), None)
    return match or known_tasks().get(spec_hash)
