# SPDX-License-Identifier: Apache-2.0
"""What the results page says of disturbed episodes: finished policies beside the scripted expert, and the expert alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hil_serl_cli.results.table import percent, seconds, success
from hil_serl_runs.formats import NOTHING

_DISTURBED = {
    "none": "not disturbed",
    "move_target": "goal moved at step {step}",
    "open_gripper": "grippers forced open at step {step}",
}
_ALONE = {"move_target": "goal moved at step", "open_gripper": "grippers forced open at step"}


def robustness(cells: Iterable[Mapping[str, Any]], expert: Mapping[str, Any] | None) -> list[str]:
    """Lines of a task's section.

    Args:
        cells: Its finished cells, as stored.
        expert: What its scripted expert solves alone, as kept by `hil-serl expert`; None: not measured.
    """
    rows = [
        f"| {cell['method']} | {cell['seed']} | {agent['agent']} | {_DISTURBED[kind].format(step=entry['step'])} | "
        f"{success(agent)} | {_expert_beside(entry, agent['agent'])} | {seconds(agent['cycle_time'])} |"
        for cell in cells
        for kind, entry in cell.get("disturbed", {}).items()
        for agent in entry["agents"]
    ]
    head = (
        "| method | seed | agent | disturbed in every episode (Sec. 4.4) | success (95 %) | scripted expert, from the same "
        "states | cycle |"
    )
    lines = ["", head, "|---|---:|---|---|---:|---:|---:|", *rows] if rows else []
    return lines + (_alone(expert) if expert else [])


def _expert_beside(entry: Mapping[str, Any], agent: str) -> str:
    own = next((one for one in entry.get("expert", ()) if one["agent"] == agent), None)
    return NOTHING if own is None else success(own)


def _alone(expert: Mapping[str, Any]) -> list[str]:
    """One table for each disturbance: the step at which it comes, and what the expert still solves."""
    lines: list[str] = []
    for kind in _ALONE:
        series: Sequence[Mapping[str, Any]] = [one for one in expert["series"] if one["disturbance"] == kind]
        if not series:
            continue
        steps = " ".join(str(one["step"]) for one in series)
        trials = max(one["episodes"] for one in series)
        command = (
            f"hil-serl expert --task {expert['task']} --perturb {kind} --steps {steps} --episodes {trials}"
        )
        solved = " | ".join(
            f"{percent(one['successes'] / one['episodes'])} ({one['successes']} of {one['episodes']})"
            for one in series
        )
        lines += [
            "",
            "A disturbance may leave little that can be solved: the scripted expert, which sees everything, alone",
            f"(`{command}`):",
            "",
            f"| {_ALONE[kind]} | " + " | ".join(str(one["step"]) for one in series) + " |",
            "|---|" + "---:|" * len(series),
            f"| scripted expert | {solved} |",
        ]
    return lines
