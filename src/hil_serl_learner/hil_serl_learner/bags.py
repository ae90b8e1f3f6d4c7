# SPDX-License-Identifier: Apache-2.0
"""Experience of a run folder: demonstrations and earlier online records, in a reproducible order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from hil_serl_core.episode import Mode
from hil_serl_core.step import Step
from hil_serl_ros.bag import read_steps


def actor_folders(run_dir: Path, mode: Mode) -> list[Path]:
    """Folders ``bags/<mode>/<actor_id>`` that hold bags, sorted by name.

    An actor makes its folder before its bag.
    """
    root = run_dir / "bags" / str(mode)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    # An actor that starts beside us has its folder before its first bag.
    return [folder for folder in folders if any(folder.resolve().rglob("*.mcap"))]


def read_run(run_dir: Path, mode: Mode, *, keep_before_damage: bool = False) -> Iterator[Step]:
    """Records of all actors of a phase, merged by time; each actor's stay in their order.

    Args:
        run_dir: Run folder, or the folder of one of its agents.
        mode: The phase.
        keep_before_damage: Deliver what is before damage in a bag, instead of raising.

    Raises:
        BagError, BagDamagedError: A bag cannot be read; the message names it.
    """
    streams = [
        # The folder of one of two agents holds links to its actor's bags, which a search from above does not follow.
        read_steps(folder.resolve(), keep_before_damage=keep_before_damage)
        for folder in actor_folders(run_dir, mode)
    ]
    yield from streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda step: step.stamp)
