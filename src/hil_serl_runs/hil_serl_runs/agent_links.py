# SPDX-License-Identifier: Apache-2.0
"""Folders of the learners of two agents."""

from __future__ import annotations

from hil_serl_core.episode import Mode
from hil_serl_runs.run_folder import RunFolder

ACTOR_ID = "actor_0"
"""Usual name of a run's only actor; of two agents each adds its own."""


def link_agents(folder: RunFolder) -> None:
    """Folders of the learners of two agents, with links to the bags of their own agent; none for a single one.

    A learner reads the bags of its folder at its start; the links may dangle until the actor makes their targets.
    """
    for agent in filter(None, folder.agents):
        for mode in (Mode.RECORD_DEMOS, Mode.TRAIN):
            name = f"{ACTOR_ID}_{agent}"
            link = folder.path / agent / "bags" / str(mode) / name
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(folder.path / "bags" / str(mode) / name, target_is_directory=True)
