# SPDX-License-Identifier: Apache-2.0
"""Find packages and programs of the sourced workspaces, without ros2cli."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil_serl_bringup.graph.process import ProcessSpec

Find = Callable[[str, str], list[str]]


class ExecutableNotFound(LookupError):
    """No program for (package, executable); the message says what to install or build."""


def _prefixes(environment: Mapping[str, str]) -> Iterator[Path]:
    for entry in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if entry:
            yield Path(entry)


def find_command(package: str, executable: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Command line of a ROS executable.

    Args:
        package: ROS package name.
        executable: Name of the executable under `lib/<package>/`.
        environment: Environment to look in, default this process's.

    Returns:
        `[program, ...]`: `lib/<package>/<executable>` of the first prefix in AMENT_PREFIX_PATH that has
        it, else `python -m <package>.<executable>` where that module can be imported (a workspace that was
        not installed).

    Raises:
        ExecutableNotFound: Neither exists.
    """
    environment = os.environ if environment is None else environment
    for prefix in _prefixes(environment):
        program = prefix / "lib" / package / executable
        if program.is_file() and os.access(program, os.X_OK):
            return [str(program)]
    try:
        module = find_spec(f"{package}.{executable}")
    except (ModuleNotFoundError, ValueError):
        module = None
    if module is not None:
        return [sys.executable, "-m", f"{package}.{executable}"]
    raise ExecutableNotFound(
        f"executable '{executable}' of package '{package}' was not found in this workspace. "
        + remedy(package)
    )


def command_of(process: ProcessSpec, find: Find = find_command) -> list[str]:
    """Command line of a process of the graph, with its arguments.

    Args:
        process: The process.
        find: Maps (package, executable) to a command line.

    Raises:
        ExecutableNotFound: Its program, or a package that it needs, is missing.
    """
    for package in process.requires:
        if not is_installed(package):
            raise ExecutableNotFound(
                f"'{process.name}' needs the ROS package '{package}', which was not found. {remedy(package)}"
            )
    try:
        program = find(process.package, process.executable)
    except ExecutableNotFound:
        on_path = None if process.ros else shutil.which(process.executable)
        if on_path is None:
            raise
        program = [on_path]
    return process.command_line(program)


def is_installed(package: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether a ROS package is in the sourced workspaces."""
    environment = os.environ if environment is None else environment
    marker = Path("share") / "ament_index" / "resource_index" / "packages" / package
    return any((prefix / marker).exists() for prefix in _prefixes(environment))


def package_share(package: str) -> Path:
    """Share folder of a ROS package.

    Raises:
        ExecutableNotFound: It is not installed.
    """
    marker = Path("share") / "ament_index" / "resource_index" / "packages" / package
    for prefix in _prefixes(os.environ):
        if (prefix / marker).exists():
            return prefix / "share" / package
    raise ExecutableNotFound(f"the ROS package '{package}' was not found. {remedy(package)}")


def remedy(package: str) -> str:
    """How to get a ROS package."""
    if package.startswith(("hil_serl_", "serl_")):
        return "Build the workspace (make setup) and activate it (source tools/env.sh)."
    if package.startswith("franka_"):
        return "It comes with franka_ros2, which is built in a workspace of its own: source that workspace."
    installer = "sudo apt install" if shutil.which("apt") else "install"
    debian = f"ros-jazzy-{package.replace('_', '-')}"
    return f"It comes with a ROS install: {installer} {debian}, then source /opt/ros/jazzy/setup.bash."
