# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal, for tests of commands: types a line, reads, presses Ctrl-C, opens a second terminal."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pty
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from doc_pages import ROOT
from doc_table import ENVIRONMENT, Run

from hil_serl_core.testing.waiting import PATIENCE

PERIOD = 0.2  # s between two looks


def environment() -> dict[str, str]:
    """Variables of a terminal in which the page's first line was typed, without a ROS domain chosen."""
    of_the_suite = ("ROS_DOMAIN_ID", "ROS_NAMESPACE", "MAKEFLAGS", "MAKELEVEL")
    bare = {key: value for key, value in os.environ.items() if key not in of_the_suite}
    line = f"cd {ROOT} && {ENVIRONMENT} && env -0"
    printed = subprocess.run(["bash", "-c", line], env=bare, check=True, capture_output=True).stdout
    return dict(entry.split("=", 1) for entry in printed.decode().split("\0") if "=" in entry)


@dataclass
class Terminal:
    """Types commands in a folder.

    Attributes:
        folder: Where.
        variables: Environment of the commands.
        names: What `{name}` in a command stands for.
    """

    folder: Path
    variables: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def fill_in(self, line: str) -> str:
        """The line with a word such as ``runs/task-...`` made the first thing there is of that name."""
        for name, value in self.names.items():
            line = line.replace(f"{{{name}}}", value)
        for word in [word for word in line.split() if "..." in word]:
            found = sorted(self.folder.glob(word.replace("...", "*")))
            assert found, f"nothing is there for {word} of: {line}"
            line = line.replace(word, str(found[0].relative_to(self.folder)))
        return line

    def type(self, run: Run) -> str:
        """Run a command, with what is to be done meanwhile, and check what it says it is checked for.

        Returns:
            What it printed.
        """
        line = self.fill_in(run.typed)
        log = self.folder / f"{time.monotonic_ns()}.log"
        print(f"\n$ {line}")
        of_the_repository = line.startswith(("make ", "colcon "))
        at = ROOT if of_the_repository else self.folder
        with log.open("wb") as output, _started(line, at, self.variables, output) as (process, keys):
            if run.until or run.beside:
                self._await(run, process, keys, log)
                for other in run.beside:
                    self._beside(other, log).type(other)
                os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        text = log.read_text(errors="replace")
        print(text)
        assert process.returncode == run.code, f"{line}: exit status {process.returncode}\n{text[-3000:]}"
        assert "Traceback" not in text, f"{line}:\n{text[-3000:]}"
        words = " ".join(text.split())
        assert re.search(run.says, words), f"{line}: does not say '{run.says}':\n{text[-3000:]}"
        missing = [pattern for pattern in run.leaves if not any(self.folder.glob(pattern))]
        assert not missing, f"{line}: {missing} are not there"
        return text

    def _beside(self, run: Run, log: Path) -> Terminal:
        """A second terminal in the ROS domain that the first one shows, if it shows one."""
        shown = re.search(r"ROS_DOMAIN_ID=(\d+)", log.read_text(errors="replace"))
        domain = {"ROS_DOMAIN_ID": shown.group(1)} if shown else {}
        return Terminal(self.folder, {**self.variables, **domain}, self.names)

    def _await(self, run: Run, process: subprocess.Popen[bytes], keys: int, log: Path) -> None:
        end, awaited = time.monotonic() + PATIENCE, re.compile(run.until)
        typed = itertools.cycle(
            [bytes([key]) for key in run.keys.encode()] or [b""]
        )  # one after the other, as by a hand
        file = self.folder / run.within if run.within else log
        while not (file.exists() and awaited.search(file.read_text(errors="replace"))):
            if process.poll() is not None or time.monotonic() > end:
                text = log.read_text(errors="replace")[-3000:]
                pytest.fail(f"{run.typed}: ended, or '{run.until}' never came:\n{text}")
            os.write(keys, next(typed))
            time.sleep(PERIOD)


@contextlib.contextmanager
def _started(
    line: str, folder: Path, variables: Mapping[str, str], output: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command in a terminal of its own, and where its keys are pressed; it is gone afterwards."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", line],
        cwd=folder,
        env=dict(variables),
        stdin=theirs,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_at_the_terminal,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(ours)


def _at_the_terminal() -> None:
    """The terminal controls the session, and Ctrl-C is heard, also where the tests are a shell's background job."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
