# SPDX-License-Identifier: Apache-2.0
"""What a process of the suite needs of its surroundings, made to work on unusual accounts, machines and terminals.

Standard library only: it comes before ROS is imported.
"""

from __future__ import annotations

import codecs
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

MIDDLEWARE = "rmw_fastrtps_cpp"
"""The one in ROS's wheels."""
NO_LOG_FILE = ("--ros-args", "--disable-external-lib-logs")
"""ROS arguments with which rcl logs to the console alone, so that it needs no folder."""

_RMW, _LOG_DIR = "RMW_IMPLEMENTATION", "ROS_LOG_DIR"
# How what the suite prints looks in a terminal that has none of these.
_LOOK_ALIKES = {
    **dict.fromkeys("–—−⁻", "-"),
    "·": "|",
    "•": "*",
    "…": "...",
    "×": "x",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "±": "+-",
    "√": "sqrt ",
    "µ": "u",
    "μ": "u",
    "°": " deg",
    "²": "2",
    "¹": "1",
    "⁺": "+",
    "α": "alpha",
    "γ": "gamma",
    "τ": "tau",
    "ζ": "zeta",
    "σ": "sigma",
    "Δ": "delta ",
    **dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True)),
}
_ERRORS = "hil_serl_look_alike"


def print_anywhere() -> None:
    """Let every text be printed on every terminal: what its encoding lacks is replaced, and ends no run.

    Names that cannot be shown, such as those of files in another encoding, keep their code (``\\xfc``).
    """
    codecs.register_error(_ERRORS, _look_alike)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a test or a notebook has put its own
            stream.reconfigure(errors=_ERRORS)


def _look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = "".join(
        _LOOK_ALIKES.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii") for sign in text
    )
    return escaped, error.end


def drop_missing_middleware() -> None:
    """Take RMW_IMPLEMENTATION out of the environment, with a word, where that middleware is not installed.

    Left from another workspace, it would end every process at its first line, the one that stops the robot too.
    """
    name = os.environ.get(_RMW, "")
    if not name or _is_installed(name):
        return
    del os.environ[_RMW]
    print(
        f"note: {_RMW}={name} is set, and that middleware is not installed here; ROS's default is used instead. "
        f"In this terminal: unset {_RMW}",
        file=sys.stderr,
    )


def _is_installed(middleware: str) -> bool:
    if importlib.util.find_spec("ros_wheels_bootstrapper") is not None:  # built for one middleware
        return middleware == MIDDLEWARE
    folders = [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    folders += [
        Path(entry, "lib") for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry
    ]
    return any((folder / f"lib{middleware}.so").exists() for folder in folders)


def log_arguments() -> list[str]:
    """ROS arguments that a node needs besides its own, so that it can start whatever its log folder is like.

    Where ROS's log folder cannot be written (no home, a read-only one), a temporary one takes its place, in ROS_LOG_DIR;
    where that cannot be written either, the console has to do.
    """
    if _writable(_log_folder()):
        return []
    other = _temporary_folder()
    if other is not None and _writable(other):
        os.environ[_LOG_DIR] = str(other)
        print(f"note: ROS's log folder cannot be written; logs are in {other}", file=sys.stderr, flush=True)
        return []
    return list(NO_LOG_FILE)


def _log_folder() -> Path | None:
    """Where rcl writes its logs, None without a home."""
    home = os.environ.get("HOME", "")
    for variable, below in ((_LOG_DIR, ""), ("ROS_HOME", "log"), ("HOME", ".ros/log")):
        value = os.environ.get(variable, "")
        if value.startswith("~") and home:
            value = home + value[1:]
        if value:
            return Path(value, below)
    return None


def _writable(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)  # a full disk opens files and writes none
    except OSError:
        return False
    return True


def _temporary_folder() -> Path | None:
    try:
        return Path(tempfile.gettempdir(), f"hil-serl-logs-{os.getuid()}")
    except OSError:  # there is none that can be written
        return None
