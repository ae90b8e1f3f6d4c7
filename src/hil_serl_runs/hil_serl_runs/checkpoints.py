# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hil_serl_runs.run_folder import RunFolder, RunFolderError


def latest_checkpoints(folder: RunFolder) -> list[Path]:
    """Newest checkpoint folder of each agent of a run.

    Raises:
        RunFolderError: One has none.
    """
    return [latest_checkpoint(folder.path / agent) for agent in folder.agents]


def latest_checkpoint(run: Path) -> Path:
    """Newest checkpoint folder of a run.

    Raises:
        RunFolderError: It has none.
    """
    from hil_serl_core.weights import POLICY_FILE  # imports torch, which takes a second

    found: Sequence[Path] = sorted((run / "checkpoints").glob(f"step_*/{POLICY_FILE}"))
    if not found:
        raise RunFolderError(f"{run} has no checkpoint yet; train it first")
    return found[-1].parent
