# SPDX-License-Identifier: Apache-2.0
"""How the self-test of the operator's devices looks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hil_serl_teleop.check import DeviceCheck

HALF = 6  # characters of a bar on each side of zero


def bar(value: float) -> str:
    """A value in [-1, 1] as a bar of 2 HALF + 1 characters around zero."""
    length = round(min(abs(value), 1.0) * HALF)
    if length == 0 and value != 0.0:
        length = 1  # what is not zero is seen
    left = "█" * length if value < 0 else ""
    right = "█" * length if value > 0 else ""
    return f"{left:·>{HALF}}│{right:·<{HALF}}"


def render(checks: Sequence[DeviceCheck], how_to_start: str, now: float, note: str = "") -> RenderableType:
    """All devices.

    Args:
        checks: The devices.
        how_to_start: How their driver is started, shown while one is missing.
        now: Steady time [s], as the checks were told.
        note: One more line, e.g. what this tool has started.
    """
    blocks: list[RenderableType] = [_device(check, how_to_start, now) for check in checks]
    if note:
        blocks.append(Text(note, style="dim"))
    return Group(*blocks)


def _device(check: DeviceCheck, how_to_start: str, now: float) -> RenderableType:
    problems = check.problems(now)
    lines = [Text(f"✗ {problem}", style="bold red") for problem in problems]
    if not check.received:
        lines.append(Text(how_to_start, style="yellow"))
        return Panel(Group(*lines), title=Text(check.topic, style="bold"), title_align="left")
    age = check.age(now)
    seen = f"{age:.2f} s ago" if np.isfinite(age) else "long ago"
    title = f"{check.topic}  {check.rate(now):.0f} messages/s, last {seen}"
    drives = check.arbitration.active
    state = (
        Text("the operator would drive", style="bold yellow")
        if drives
        else Text("the policy would drive", style="green")
    )
    todo = check.untried()
    lines += [Text(f"→ {step}", style="yellow") for step in todo]
    if not problems and not todo:
        lines.append(
            Text("✓ usable: every axis and button that the task uses was seen to work", style="green")
        )
    return Panel(
        Group(_axes(check), Text(), _buttons(check), Text(), state, *lines),
        title=Text(title, style="bold"),
        title_align="left",
    )


def _axes(check: DeviceCheck) -> Table:
    """Each axis of the device (negative: reversed), and what axis map, dead-band and scale make of it."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("axis", "", "before", "after mapping", "", "command", "after scale"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("", "after scale") else "left")
    for reading in check.axes():
        axis = str(reading.axis)
        if not reading.name:
            table.add_row(
                axis, f"{reading.raw:+.2f}", bar(reading.raw), Text("not used in this task", style="dim")
            )
            continue
        after = Text(bar(reading.action), style="yellow" if reading.action else "")
        value = f"{reading.command:+.2f} {reading.unit}"
        table.add_row(
            axis,
            f"{reading.raw:+.2f}",
            bar(reading.raw),
            after,
            f"{reading.action:+.2f}",
            reading.name,
            value,
        )
    return table


def _buttons(check: DeviceCheck) -> Table:
    table = Table.grid(padding=(0, 1))
    for button in check.buttons():
        mark = Text("✓" if button.tried else "○" if button.there else "?", style="dim")
        if button.down:
            mark = Text("●", style="bold yellow")
        meaning = Text(button.meaning or "nothing in this task", style="" if button.meaning else "dim")
        table.add_row(Text(f"button {button.number}"), mark, meaning)
    return table
