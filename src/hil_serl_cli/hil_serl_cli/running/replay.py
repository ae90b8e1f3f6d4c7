# SPDX-License-Identifier: Apache-2.0
"""Look at recorded episodes: list them, film them, or publish them again for RViz, rqt and Foxglove."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hil_serl_core.step import Source, Step
from hil_serl_runs.statistics import Episode
from hil_serl_runs.video import compose, write_video

REPLAY_NAMESPACE = "replay"


def select(steps: Iterable[Step], episodes: Sequence[int]) -> Iterator[Step]:
    """Records of the named episodes; of all if none is named."""
    return (step for step in steps if not episodes or step.episode in episodes)


def show_episodes(console: Console, episodes: Sequence[Episode]) -> None:
    """Print a table of episodes."""
    table = Table()
    for heading in ("actor", "episode", "steps", "by the operator", "end", "duration"):
        table.add_column(heading, justify="left" if heading in ("actor", "end") else "right")
    for e in episodes:
        end = e.reason.replace("_", " ")
        cells = (e.actor_id, e.episode, e.steps, e.intervened_steps, end, f"{e.duration:.1f} s")
        table.add_row(*(str(cell) for cell in cells))
    console.print(table)


def film_steps(steps: Iterable[Step], path: Path, rate: float) -> int:
    """Video of what the policy saw, with an orange bar where the operator drove; returns its length."""

    def picture(step: Step) -> np.ndarray:
        image = compose(None, list(step.frames.values()), height=360)
        image[-8:] = {Source.HUMAN: (230, 159, 0), Source.POLICY: (0, 158, 115)}.get(
            step.source, (90, 90, 90)
        )
        return image

    return write_video(path, (picture(step) for step in steps), rate)


def publish_steps(steps: Iterable[Step], rate: float, console: Console) -> int:
    """Publish records under the namespace `replay` at `rate` records a second; returns how many.

    Under names of their own they cannot be taken for a running cell's, by neither actor nor learner.
    """
    # ROS is imported only when something is published.
    from hil_serl_cli.running.replayed_cell import TOPICS, ReplayedCell
    from hil_serl_ros.tool_node import ToolNode

    tool = ToolNode("replay", REPLAY_NAMESPACE)
    cell = ReplayedCell(tool.node)
    console.print(f"Publishing {', '.join(TOPICS)} under /{REPLAY_NAMESPACE}; Ctrl-C ends it.")
    count = 0
    try:
        for step in steps:
            began = time.monotonic()
            cell.show(step)
            count += 1
            time.sleep(max(0.0, 1.0 / rate - (time.monotonic() - began)))
    finally:
        tool.close()
    return count
