# SPDX-License-Identifier: Apache-2.0
"""What the set-up shows, and how it runs other programs: one line per step, their output in a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HEARTBEAT_S = 10.0  # a line this often where the output is not a terminal
MARK = "HIL_SERL_SETUP_OF"  # environment variable of every child: whose set-up it belongs to
PR_SET_PDEATHSIG = 1


class SetupError(Exception):
    """Something the user has to know; the message says what and what to do."""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Console:
    """Prints steps with elapsed seconds and runs children with their output in `log_dir`."""

    def __init__(self, log_dir: Path, root: Path) -> None:
        self.log_dir = log_dir
        self.root = root
        self.terminal = sys.stdout.isatty()
        self.start = time.monotonic()
        self.title = ""
        self.step_start = self.start

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        self._clear()
        print(text, flush=True)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows `title` while the body runs and its duration when it ends well."""
        self.title, self.step_start = title, time.monotonic()
        if self.terminal:
            self._live("")
        else:
            print(f"setup: {title} ...", flush=True)
        yield
        self._clear()
        print(f"setup: {title}: done in {time.monotonic() - self.step_start:.0f} s", flush=True)

    def run(
        self, command: Sequence[str], log: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        """Runs `command` to its end with stdin closed and everything it prints in `log_dir/log`.

        Raises:
            SetupError: it exited with an error; the message ends with its last lines.
        """
        self.log_dir.mkdir(parents=True, exist_ok=True)
        path = self.log_dir / log
        with path.open("ab") as stream:
            stream.write(f"$ {' '.join(command)}\n".encode())
            stream.flush()
            begin = stream.tell()
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**(env or os.environ), MARK: str(self.root)},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
            try:
                code = self._wait(child, path)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(3)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                raise
        if code != 0:
            with path.open("rb") as stream:
                stream.seek(begin)
                lines = stream.read().decode(errors="replace").strip().splitlines()
            tail = "\n".join(f"    {line[:300]}" for line in lines[-20:])
            raise SetupError(f"'{self.title}' failed (exit code {code}). Last lines of {path}:\n{tail}")

    def _wait(self, child: subprocess.Popen[bytes], path: Path) -> int:
        beat = time.monotonic()
        while True:
            try:
                return child.wait(0.5 if self.terminal else 1.0)
            except subprocess.TimeoutExpired:
                if self.terminal:
                    self._live(_last_line(path))
                elif time.monotonic() - beat > HEARTBEAT_S:
                    beat = time.monotonic()
                    print(f"setup:   {beat - self.step_start:4.0f} s  {_last_line(path)[:90]}", flush=True)

    def _live(self, detail: str) -> None:
        width = max(20, os.get_terminal_size().columns - 1)
        text = f"setup: {self.title} {time.monotonic() - self.step_start:4.0f} s  {detail}"
        print("\r\033[K" + text[:width], end="", flush=True)

    def _clear(self) -> None:
        if self.terminal:
            print("\r\033[K", end="")


def _last_line(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 2000))
        lines = [
            line.strip()
            for line in stream.read().decode(errors="replace").splitlines()
            if line.strip() and (not line.startswith("WARNING") or "Retrying" in line)  # why it takes so long
        ]
    return lines[-1] if lines else ""


def end_orphans(root: Path, proc: Path = Path("/proc")) -> int:
    """Ends what a killed set-up of the same clone left running (compilers, pip); returns how many.

    A process belongs to it when its environment carries the mark with this clone's path; the mark is set
    for children of the set-up only, so the set-up that is running now never carries it.
    """
    mark = f"{MARK}={root}".encode()
    ended = 0
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                ended += 1
        except (OSError, ValueError):  # gone already, or not ours to read
            continue
    return ended
