# SPDX-License-Identifier: Apache-2.0
"""What `hil-serl camera-check` shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_DARK, _BRIGHT = 8, 247
"""Grey values that count as black and as burnt out."""
_CLIPPED = 0.2
"""Share of such pixels from which on the exposure is doubted."""


@dataclass(frozen=True)
class CameraLine:
    """One camera as it is now.

    Attributes:
        name: Camera in the task.
        topic: Where its pictures come from.
        picture: Encoding and size in words; empty before the first picture.
        rate: Pictures per second.
        latency: From stamp to arrival [s].
        age: Of the newest picture [s].
        bandwidth: Bytes per second.
        problems: What a person should cure.
        brightness: Of what the policy sees, in words.
    """

    name: str
    topic: str
    picture: str = ""
    rate: float = math.nan
    latency: float = math.nan
    age: float = math.inf
    bandwidth: float = 0.0
    problems: Sequence[str] = ()
    brightness: str = ""


def brightness_of(view: np.ndarray) -> tuple[str, str]:
    """Mean grey value of (size, size, 3) uint8 in words, and what is wrong with the exposure; empty for nothing."""
    grey = view.mean(axis=2)
    dark, bright = float((grey <= _DARK).mean()), float((grey >= _BRIGHT).mean())
    problem = ""
    if max(dark, bright) > _CLIPPED:
        what, remedy = ("black", "longer") if dark > bright else ("burnt out", "shorter")
        problem = (
            f"{100 * max(dark, bright):.0f} % of what the policy sees is {what}: take a {remedy} exposure"
        )
    return f"mean {grey.mean():.0f} of 255", problem


def _number(value: float, unit: str, digits: int = 1) -> str:
    return f"{value:.{digits}f} {unit}" if math.isfinite(value) else "–"


def render(lines: Sequence[CameraLine], note: str = "") -> RenderableType:
    """A table of the cameras, and under it what is wrong with which."""
    table = Table(title="cameras", title_justify="left")
    for heading in ("camera", "picture", "rate", "latency", "age", "data", "brightness", ""):
        table.add_column(heading, no_wrap=heading != "picture")
    blocks: list[RenderableType] = [table]
    for line in lines:
        bad = bool(line.problems)
        table.add_row(
            line.name,
            line.picture or "–",
            _number(line.rate, "/s"),
            _number(1000 * line.latency, "ms", 0),
            _number(1000 * line.age, "ms", 0),
            _number(line.bandwidth / 1e6, "MB/s"),
            line.brightness or "–",
            Text("✗", "bold red") if bad else Text("✓", "bold green"),
        )
        blocks.append(Text(f"{line.name}: {line.topic}", "dim"))
        blocks += [Text(f"  ✗ {problem}", "red") for problem in line.problems]
    return Group(*blocks, *([Text(note, "dim")] if note else []))
