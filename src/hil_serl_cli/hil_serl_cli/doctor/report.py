# SPDX-License-Identifier: Apache-2.0
"""The doctor: what is present, what is missing, what that costs the user, and a remedy for each.

It works without the set-up: it needs the standard library only and draws its table with rich where that
is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hil_serl_cli.doctor import hardware, software
from hil_serl_cli.doctor.machine import Check, Machine, Status

CHECKS: tuple[Callable[[Machine], Check], ...] = (
    software.location,
    software.python,
    software.compiler,
    software.ros,
    software.workspace,
    software.torch,
    software.renderer,
    hardware.disk,
    hardware.processor,
    hardware.shared_memory,
    software.domain,
    software.ros_tools,
    hardware.spacemouse,
    hardware.gamepad,
    hardware.realtime,
    hardware.priority,
)

MARKS = {Status.OK: ("ok", "green"), Status.NOTE: ("note", "yellow"), Status.MISSING: ("MISSING", "bold red")}


def this_machine() -> Machine:
    """This machine: the clone this file belongs to, and its environment's interpreter if there is one."""
    clone = Path(__file__).resolve().parents[4]
    if not (clone / "tools" / "env.sh").is_file():
        clone = Path(os.environ.get("HIL_SERL_ROOT", Path.cwd()))
    python = clone / ".venv" / "bin" / "python"
    return Machine(workspace=clone, python=str(python) if python.exists() else sys.executable)


def run_doctor(machine: Machine | None = None) -> list[Check]:
    """Runs every check.

    Args:
        machine: what to look at; this machine by default.

    Returns:
        One finding per check, the required ones first. A check that itself fails is a finding too.
    """
    machine = machine or this_machine()
    found = []
    for check in CHECKS:
        try:
            found.append(check(machine))
        except Exception as error:  # a doctor that crashes helps nobody
            found.append(
                Check(
                    check.__name__, Status.NOTE, f"could not be examined: {error!r}", "unknown", "report this"
                )
            )
    return found


def render_text(checks: Sequence[Check]) -> str:
    """The findings as plain text, one block each."""
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.status][0]:8} {check.name}: {check.finding}")
        if check.cost:
            lines.append(f"{'':8}   costs: {check.cost}")
        if check.remedy:
            lines.append(f"{'':8}   remedy: {check.remedy}")
    return "\n".join(lines)


def render_table(checks: Sequence[Check]) -> None:
    """Prints the findings as a table.

    Raises:
        ImportError: rich is not installed.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="hil-serl doctor", title_justify="left", show_lines=True, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in checks:
        mark, style = MARKS[check.status]
        # Text: findings may hold brackets, which are markup otherwise.
        found = Text(check.finding)
        for label, text in (("costs", check.cost), ("remedy", check.remedy)):
            if text:
                found.append(f"\n{label}: ", "bold").append(text)
        table.add_row(Text(mark, style), Text(check.name), found)
    Console().print(table)


def verdict(checks: Sequence[Check]) -> str:
    """One line: can the main job run, and if not, what is in the way."""
    blocking = [check.name for check in checks if check.blocks]
    if blocking:
        return f"Not ready: {', '.join(blocking)}. See the remedies above."
    notes = sum(check.status is not Status.OK for check in checks)
    return "Ready for make demo." + (f" {notes} notes above say what is not available here." if notes else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the doctor and prints what it found; 1 if something required is missing."""
    parser = argparse.ArgumentParser(
        prog="hil-serl doctor", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--json", action="store_true", help="machine-readable findings instead of the table")
    arguments = parser.parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):  # a path or a device's name in a terminal that is not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    checks = run_doctor()
    if arguments.json:
        print(json.dumps([{**vars(check), "status": check.status.value} for check in checks], indent=2))
    else:
        try:
            render_table(checks)
        except ImportError:
            print(render_text(checks))
        print(verdict(checks))
    return int(any(check.blocks for check in checks))


if __name__ == "__main__":
    sys.exit(main())
