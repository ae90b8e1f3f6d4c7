# SPDX-License-Identifier: Apache-2.0
"""How the system schedules a process: what was asked for in its environment, and what the system grants."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

VARIABLE = "HIL_SERL_SCHEDULING"
"""Environment variable of a process: ``nice=-10 realtime=20 cpus=2,3``, each part optional."""


class SchedulingError(ValueError):
    """The variable cannot be read."""


@dataclass(frozen=True)
class Scheduling:
    """What is asked for.

    Attributes:
        nice: Niceness, -20 (first) to 19 (last); 0: as it is.
        realtime: Priority of SCHED_FIFO, 1 to 99; 0: ordinary scheduling.
        cpus: Numbers of the CPUs that it may use; empty: all.
    """

    nice: int = 0
    realtime: int = 0
    cpus: tuple[int, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Scheduling:
        """Read what ``text`` writes; raises SchedulingError."""
        values: dict[str, int | tuple[int, ...]] = {}
        for part in text.split():
            key, _, value = part.partition("=")
            if key not in ("nice", "realtime", "cpus"):
                raise SchedulingError(f"{VARIABLE}: '{part}' is none of nice=N, realtime=N, cpus=N,N")
            try:
                numbers = tuple(int(number) for number in value.split(","))
            except ValueError as error:
                raise SchedulingError(f"{VARIABLE}: '{part}' needs whole numbers") from error
            values[key] = numbers if key == "cpus" else numbers[0]
        return cls(**values)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """As the environment variable holds it; empty if nothing is asked for."""
        parts = [f"nice={self.nice}"] if self.nice else []
        parts += [f"realtime={self.realtime}"] if self.realtime else []
        parts += [f"cpus={','.join(str(cpu) for cpu in self.cpus)}"] if self.cpus else []
        return " ".join(parts)


class System(Protocol):
    """What is asked of the operating system, as ``os`` has it; each raises OSError when it refuses."""

    def nice(self, nice: int) -> None:
        """Set the niceness."""

    def realtime(self, priority: int) -> None:
        """Schedule by SCHED_FIFO with a priority."""

    def cpus(self, cpus: tuple[int, ...]) -> None:
        """Use these CPUs only."""

    def granted(self) -> str:
        """How the thread is scheduled now, in words."""


class Linux:
    """This thread, and all that it starts: they inherit."""

    def nice(self, nice: int) -> None:
        """See ``System``."""
        os.setpriority(os.PRIO_PROCESS, 0, nice)

    def realtime(self, priority: int) -> None:
        """See ``System``."""
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))

    def cpus(self, cpus: tuple[int, ...]) -> None:
        """See ``System``."""
        os.sched_setaffinity(0, cpus)

    def granted(self) -> str:
        """See ``System``."""
        if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
            how = f"SCHED_FIFO priority {os.sched_getparam(0).sched_priority}"
        else:
            how = f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
        allowed = sorted(os.sched_getaffinity(0))
        every = len(allowed) == (os.cpu_count() or len(allowed))
        return how + ("" if every else f", CPUs {','.join(str(cpu) for cpu in allowed)}")


@dataclass(frozen=True)
class Granted:
    """What the system made of a wish; ``refused`` names what it did not grant, empty for nothing."""

    words: str
    refused: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.refused:
            return f"scheduled with {self.words}"
        return (
            f"scheduled with {self.words}; not granted: {'; '.join(self.refused)}. A busy machine may starve this process: "
            "hil-serl doctor and docs/safety.md say what to allow"
        )


def schedule(wanted: Scheduling, system: System | None = None) -> Granted:
    """Ask for as much of ``wanted`` as the system grants; before threads are started, which inherit it."""
    system = system or Linux()
    asked: tuple[tuple[bool, str, Callable[[], None]], ...] = (
        (bool(wanted.nice), f"nice {wanted.nice}", lambda: system.nice(wanted.nice)),
        (bool(wanted.realtime), f"SCHED_FIFO {wanted.realtime}", lambda: system.realtime(wanted.realtime)),
        (bool(wanted.cpus), f"CPUs {wanted.cpus}", lambda: system.cpus(wanted.cpus)),
    )
    refused = []
    for due, name, ask in asked:
        if not due:
            continue
        try:
            ask()
        except (OSError, AttributeError) as error:  # AttributeError: not Linux
            refused.append(f"{name} ({getattr(error, 'strerror', None) or 'this system has none'})")
    words = "the system's default"
    with contextlib.suppress(OSError, AttributeError):
        words = system.granted()
    return Granted(words, tuple(refused))


def schedule_by(environment: Mapping[str, str], system: System | None = None) -> Granted | None:
    """Ask for what the environment says; None if it says nothing. Raises SchedulingError."""
    wanted = Scheduling.from_text(environment.get(VARIABLE, ""))
    return schedule(wanted, system) if wanted.text else None
