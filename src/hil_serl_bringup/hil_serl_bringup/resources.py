# SPDX-License-Identifier: Apache-2.0
"""Files that come with the suite: task and robot files."""

from __future__ import annotations

from pathlib import Path

from hil_serl_core.spec import TaskSpec, list_tasks, load_task


def share() -> Path:
    """Folder with this package's `config`, `launch` and `rviz`: installed, else in the source tree."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        return Path(__file__).resolve().parent.parent
    try:
        return Path(get_package_share_directory("hil_serl_bringup"))
    except PackageNotFoundError:
        return Path(__file__).resolve().parent.parent


def task_folders() -> list[Path]:
    """Where named tasks are looked for: the working folder's `tasks`, then those of the suite."""
    return [Path("tasks"), share() / "config" / "tasks"]


def tasks() -> dict[str, Path]:
    """Task name -> file."""
    return list_tasks(task_folders())


def find_task(name: str) -> TaskSpec:
    """Task by name or by path.

    Raises:
        TaskFileError: Unknown (with the nearest known name), or not valid.
    """
    return load_task(name, task_folders())


def find_task_file(name: str) -> Path:
    """Path of a task file by name or by path.

    Raises:
        TaskFileError: Unknown (with the nearest known name), or not valid.
    """
    find_task(name)
    return tasks().get(name, Path(name))
