# SPDX-License-Identifier: Apache-2.0
"""Finds task files by name.

A task has a file for the real cell, ``NAME.yaml``, and, if it has a simulated twin, ``sim/NAME.yaml``, which extends it. A
file with a ``sim`` section of its own serves both.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from hil_serl_core.spec import TaskFileError, TaskSpec, list_tasks, load_task

_SUFFIXES = (".yaml", ".yml")


def suite_folder() -> Path:
    """Folder of the suite's own task files: installed, else in the source tree."""
    source = Path(__file__).resolve().parent.parent / "tasks"
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        return source
    try:
        return Path(get_package_share_directory("hil_serl_tasks")) / "tasks"
    except PackageNotFoundError:
        return source


def task_folders() -> list[Path]:
    """Where named tasks are looked for: the working folder's `tasks`, then those of the suite."""
    return [Path("tasks"), suite_folder()]


def tasks() -> dict[str, Path]:
    """Task name -> file of the real cell."""
    return list_tasks(task_folders())


def twins() -> dict[str, Path]:
    """Task name -> file of the simulated cell, of the tasks that have one."""
    found = list_tasks(folder / "sim" for folder in task_folders())
    for name, path in tasks().items():
        if name not in found and load_task(path).sim is not None:
            found[name] = path
    return dict(sorted(found.items()))


def find_task(name: str, simulated: bool = True) -> TaskSpec:
    """Task by name or by path.

    Args:
        name: Name, or path of a task file.
        simulated: The twin's settings rather than the real cell's; a path is taken as it is.

    Raises:
        TaskFileError: Unknown (with the nearest known name), not valid, or without a twin when one is asked for.
    """
    return load_task(find_task_file(name, simulated))


def find_task_file(name: str, simulated: bool = True) -> Path:
    """Path of a task file; arguments and errors as for `find_task`."""
    path = Path(name)
    if path.suffix in _SUFFIXES:
        if simulated and load_task(path).sim is None:
            raise TaskFileError(f"{path} has no 'sim' section, so it cannot be simulated; {_with_twin()}")
        return path
    files, real = twins() if simulated else tasks(), tasks()
    if name in files:
        return files[name]
    if name in real:
        raise TaskFileError(f"task '{name}' has no simulated twin; {_with_twin()}")
    if not simulated and name in twins():
        raise TaskFileError(f"task '{name}' is only simulated; give the task file of your cell")
    near = difflib.get_close_matches(name, [*files, *real], n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"known tasks: {', '.join(files)}"
    raise TaskFileError(f"no task named '{name}'; {hint}")


def _with_twin() -> str:
    return f"tasks that have one: {', '.join(twins())}"
