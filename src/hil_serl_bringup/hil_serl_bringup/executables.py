# SPDX-License-Identifier: Apache-2.0
"""Find the program of a ROS executable in the sourced workspace, without ros2cli."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path


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
    except ModuleNotFoundError:
        module = None
    if module is not None:
        return [sys.executable, "-m", f"{package}.{executable}"]
    raise ExecutableNotFound(
        f"executable '{executable}' of package '{package}' was not found in this workspace. "
        + _remedy(package)
    )


def _remedy(package: str) -> str:
    if package.startswith("hil_serl_"):
        return "Build the workspace (make setup) and activate it (source tools/env.sh)."
    installer = "sudo apt install" if shutil.which("apt") else "install"
    debian = f"ros-jazzy-{package.replace('_', '-')}"
    return f"It comes with a ROS install: {installer} {debian}, then source /opt/ros/jazzy/setup.bash."
