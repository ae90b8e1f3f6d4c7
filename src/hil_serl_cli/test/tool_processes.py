# SPDX-License-Identifier: Apache-2.0
"""The command-line tool as a child process, for tests."""

import os
import subprocess
import sys
from pathlib import Path

from hil_serl_core.testing.waiting import PATIENCE

ROOT = Path(__file__).parent.parent


def start(*arguments) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    environment.pop("ROS_DOMAIN_ID", None)  # the tool takes one that no other run holds
    command = [sys.executable, "-m", "hil_serl_cli.cli", *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def end(process: subprocess.Popen) -> str:
    """Wait for the end and return what it printed; a tool that does not end takes its processes along."""
    try:
        return process.communicate(timeout=PATIENCE)[0]
    finally:
        process.kill()


def processes_of(run: Path) -> list[str]:
    """Command lines of processes that name the run folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(run) in text and str(os.getpid()) != path.parent.name:
            found.append(text)
    return found
