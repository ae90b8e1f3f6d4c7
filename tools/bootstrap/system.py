# SPDX-License-Identifier: Apache-2.0
"""System packages: what is missing, and getting it where that needs no password."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console import Console, SetupError

EGL_VENDORS = (Path("/usr/share/glvnd/egl_vendor.d"), Path("/etc/glvnd/egl_vendor.d"))


def loads(library: str) -> bool:
    """Whether the dynamic linker finds `library`."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_egl() -> bool:
    """EGL with at least one driver behind it, and desktop GL."""
    vendors = any(folder.is_dir() and any(folder.glob("*.json")) for folder in EGL_VENDORS)
    return loads("libEGL.so.1") and vendors and (loads("libOpenGL.so.0") or loads("libGL.so.1"))


def has_osmesa() -> bool:
    """Mesa's off-screen renderer."""
    return loads("libOSMesa.so.8") or loads("libOSMesa.so.6") or loads("libOSMesa.so")


@dataclass(frozen=True)
class Need:
    """Something the system provides: how to see that it is there, and Debian's packages that bring it."""

    name: str
    present: Callable[[], bool]
    packages: tuple[str, ...]


NEEDS = (
    Need("a C++ compiler", lambda: any(map(shutil.which, ("c++", "g++", "clang++"))), ("g++",)),
    Need("make", lambda: shutil.which("make") is not None, ("make",)),
    Need("Python's venv", lambda: importlib.util.find_spec("ensurepip") is not None, ("python3-venv",)),
    Need(
        "Python's headers",
        lambda: Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
        ("python3-dev",),
    ),
    Need(
        "a GL renderer",
        lambda: has_egl() or has_osmesa(),
        ("libegl1", "libegl-mesa0", "libgl1-mesa-dri", "libopengl0", "libgl1"),
    ),
)


def missing() -> list[Need]:
    """What this machine lacks."""
    return [need for need in NEEDS if not need.present()]


def apt_prefix() -> list[str] | None:
    """How to run apt-get without being asked for a password, or None where that is impossible."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if (
        sudo
        and subprocess.run([sudo, "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode
        == 0
    ):
        return [sudo, "-n"]
    return None


def apt_install(console: Console, prefix: list[str], packages: list[str]) -> None:
    """Installs Debian packages, repairing first what an interrupted installation left.

    Raises:
        SetupError: apt failed; the message carries its last lines.
    """
    options = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    console.run([*prefix, *env, "dpkg", "--configure", "-a"], "apt.log")
    console.run([*prefix, *env, "apt-get", "-q", *options, "update"], "apt.log")
    console.run(
        [*prefix, *env, "apt-get", "-q", "-y", "--no-install-recommends", *options, "install", *packages],
        "apt.log",
    )


def ensure(console: Console) -> None:
    """Makes sure that all of `NEEDS` are there.

    Raises:
        SetupError: something is missing and cannot be installed here; one line says what, and the command.
    """
    lacking = missing()
    if not lacking:
        return
    packages = [package for need in lacking for package in need.packages]
    names = ", ".join(need.name for need in lacking)
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    prefix = apt_prefix()
    if prefix is None:
        how = f"sudo {command}" if shutil.which("apt-get") else "your system's package manager"
        raise SetupError(f"missing on this system: {names}. Install with: {how}")
    with console.step(f"System packages with apt ({names})"):
        try:
            apt_install(console, prefix, packages)
        except SetupError as error:
            raise SetupError(
                f"missing on this system: {names}. Install with: sudo {command}\n{error}"
            ) from error
    still = missing()
    if still:
        raise SetupError(f"still missing after apt: {', '.join(need.name for need in still)}")
