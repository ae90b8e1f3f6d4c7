# SPDX-License-Identifier: Apache-2.0
"""What a check of the doctor may ask of the computer, and what it answers.

Standard library only: the doctor has to work before the set-up and on a broken one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Status(Enum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"  # works, with something lost
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One finding: what is there, what its lack costs, what to do about it.

    Attributes:
        name: what was looked at.
        status: how it is.
        finding: what was found.
        cost: what the user cannot do, or does slower; empty if all is well.
        remedy: a command or an action; empty if all is well.
        required: whether the simulated main job cannot run without it.
    """

    name: str
    status: Status
    finding: str
    cost: str = ""
    remedy: str = ""
    required: bool = False

    @property
    def blocks(self) -> bool:
        """Whether the suite cannot work as it is."""
        return self.required and self.status is Status.MISSING


def _run(command: Sequence[str], env: Mapping[str, str], timeout: float) -> tuple[int, str]:
    try:
        done = subprocess.run(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {timeout:.0f} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout.strip() if done.returncode == 0 else done.stderr.strip()


@dataclass(frozen=True)
class Machine:
    """What the checks may ask of the computer; tests put other answers in its place.

    Attributes:
        workspace: folder of the clone, or where the doctor was started.
        python: interpreter of the environment, or the running one.
        root: root of the file system.
        env: environment variables.
        run: (command, env, timeout in s) -> (exit code, standard output, or standard error on failure).
        which: looks a program up.
    """

    workspace: Path
    python: str = sys.executable
    root: Path = Path("/")
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    run: Callable[[Sequence[str], Mapping[str, str], float], tuple[int, str]] = _run
    which: Callable[[str], str | None] = shutil.which
    version: tuple[int, ...] = tuple(sys.version_info[:3])

    def code(self, source: str, timeout: float = 180.0, **env: str) -> tuple[int, str]:
        """Runs Python source in the environment's interpreter; on a busy machine PyTorch loads for more than a minute."""
        return self.run([self.python, "-c", source], {**self.env, **env}, timeout)

    def text(self, path: str) -> str:
        """Contents of a small file below `root`, empty if unreadable."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""
