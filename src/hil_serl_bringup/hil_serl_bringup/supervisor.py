# SPDX-License-Identifier: Apache-2.0
"""Start the processes of a graph as children, watch them, and end every one of them.

The supervisor is polled and starts no threads, so that the program around it decides what else runs
between polls.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil_serl_bringup import tether
from hil_serl_bringup.graph.executables import Find, command_of, find_command
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_runs.logs import tail

#: (signal, seconds to wait for all processes before the next one). Closing a bag or writing a checkpoint
#: takes seconds.
STOP_SEQUENCE: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 15.0),
    (signal.SIGTERM, 5.0),
    (signal.SIGKILL, 5.0),
)


@dataclass(frozen=True)
class Exit:
    """A process that ended by itself.

    Attributes:
        name: Process name.
        code: Exit code; negative is minus the signal's number.
        log: Path of its log.
        tail: Last lines of its log.
    """

    name: str
    code: int
    log: Path
    tail: tuple[str, ...]

    @property
    def cause(self) -> str:
        """How it ended, in words."""
        if self.code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-self.code).name}"
        return f"ended with exit code {self.code}"

    def report(self) -> str:
        """What a person needs: who, how, its last words, and where the rest is."""
        words = [f"  | {line}" for line in self.tail] or ["  | (it printed nothing)"]
        return "\n".join([f"{self.name} {self.cause}. Its last lines:", *words, f"Whole log: {self.log}"])


class ProcessFailure(RuntimeError):
    """A process of the run failed; str() is the report for a person."""

    def __init__(self, exit_: Exit) -> None:
        super().__init__(exit_.report())
        self.exit = exit_


@dataclass
class _Child:
    spec: ProcessSpec
    log: Path
    process: subprocess.Popen[bytes]
    restarts: int = 0
    group_gone: bool = field(default=False)


class Supervisor:
    """Children of one graph.

    Use as a context manager: leaving it, however, ends every child.

    Args:
        processes: The graph.
        log_dir: Folder for `<name>.log`; appended to, so that a resumed run keeps the logs of the first part.
        environment: Base environment, default this process's.
        stop_sequence: Signals and waiting times of an orderly end.
        find: Maps (package, executable) to a command line.
    """

    def __init__(
        self,
        processes: Sequence[ProcessSpec],
        log_dir: Path,
        *,
        environment: Mapping[str, str] | None = None,
        stop_sequence: Sequence[tuple[signal.Signals, float]] = STOP_SEQUENCE,
        find: Find = find_command,
    ) -> None:
        self._specs = list(processes)
        self._log_dir = log_dir
        self._environment = dict(os.environ if environment is None else environment)
        self._stop_sequence = tuple(stop_sequence)
        self._find = find
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Supervisor:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def logs(self) -> dict[str, Path]:
        """Process name -> log file."""
        return {spec.name: self._log_dir / f"{spec.name}.log" for spec in self._specs}

    def start(self) -> None:
        """Start every process. All executables are looked up first, so a missing one starts nothing.

        Must be called from a thread that lives as long as the run: the kernel ends the children with that
        thread.

        Raises:
            ExecutableNotFound: A program of the graph does not exist.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        commands = {spec.name: command_of(spec, self._find) for spec in self._specs}
        for spec in self._specs:
            log = self.logs[spec.name]
            self._children[spec.name] = _Child(spec, log, self._spawn(spec, commands[spec.name], log))

    def _spawn(self, spec: ProcessSpec, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        tied = [
            sys.executable,
            "-I",
            "-S",
            tether.__file__,
            str(os.getpid()),
            *command,
        ]
        with log.open("ab") as output:
            output.write(
                f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {spec.package}/{spec.executable}\n".encode()
            )
            output.flush()
            # Its own process group: a terminal's Ctrl-C reaches the supervisor alone, which ends the
            # children in order. A process that reads the keyboard has to stay in the terminal's foreground
            # group.
            return subprocess.Popen(
                tied,
                stdin=None if spec.interactive else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment | dict(spec.environment),
                process_group=None if spec.interactive else 0,
            )

    def running(self) -> list[str]:
        """Names of the processes that are alive."""
        return [name for name, child in self._children.items() if child.process.poll() is None]

    def pid(self, name: str) -> int:
        """Process id of a child."""
        return self._children[name].process.pid

    def peak_memory(self) -> dict[str, int]:
        """Largest resident memory so far of each process that is alive [bytes]."""
        peaks = {}
        for name in self.running():
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{self.pid(name)}/status").read_text().splitlines()
                peaks[name] = 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
        return peaks

    def poll(self) -> Exit | None:
        """Look after the children once; returns at once.

        Returns:
            The exit that completes the run (all processes with `ends_run` ended with code 0), else None.

        Raises:
            ProcessFailure: A process failed and may not be started again, or ended although the run is not
            complete.
        """
        finished: Exit | None = None
        running = False  # a process that has to end before the run is complete
        for child in self._children.values():
            code = child.process.poll()
            if code is None:
                running |= child.spec.ends_run
                continue
            if child.spec.optional or (child.spec.one_shot and code == 0):
                continue
            ended = Exit(child.spec.name, code, child.log, tail(child.log))
            if code == 0 and child.spec.ends_run:
                finished = ended
            elif child.restarts < child.spec.max_restarts:
                child.restarts += 1
                child.process = self._spawn(child.spec, command_of(child.spec, self._find), child.log)
            else:
                raise ProcessFailure(ended)
        return None if running else finished

    def stop(self, names: Sequence[str] | None = None) -> list[str]:
        """End the children: SIGINT to all, then SIGTERM, then SIGKILL to those that are left.

        Args:
            names: Processes to end, default all.

        Returns:
            Names of processes that had to be killed.
        """
        children = [self._children[name] for name in (self._children if names is None else names)]
        killed: list[str] = []
        for number, seconds in self._stop_sequence:
            pending = [child for child in children if not _gone(child)]
            if not pending:
                break
            for child in pending:
                _signal_group(child, number)
                if number == signal.SIGKILL:
                    killed.append(child.spec.name)
            _wait(pending, seconds)
        return killed


def _signal_group(child: _Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if child.spec.interactive:
            child.process.send_signal(number)
        else:  # also what the process has started itself
            os.killpg(child.process.pid, number)


def _gone(child: _Child) -> bool:
    """Whether the process and everything left in its group have ended."""
    if child.process.poll() is None:
        return False
    if not child.group_gone and not child.spec.interactive:
        child.group_gone = not _group_alive(child.process.pid)
        return (
            child.group_gone
        )  # once gone, never looked at again: the kernel may give the id to someone else
    return True


def _group_alive(group: int) -> bool:
    """Whether a process group has a member that is not a zombie (not every init reaps those)."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _parent, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                return True
    return False


def _wait(children: Sequence[_Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(_gone(child) for child in children):
        time.sleep(0.02)


@contextlib.contextmanager
def interrupt_on_signals(
    numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGHUP),
) -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (closed terminal) into KeyboardInterrupt: they too end children in order."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
