# SPDX-License-Identifier: Apache-2.0
"""The results page: our numbers beside the papers', and what was not run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hil_serl_cli.results.cells import Budget, same_settings
from hil_serl_cli.results.page_robustness import robustness
from hil_serl_cli.results.paper import HOURS, REPORTED, Reported
from hil_serl_cli.results.table import number, percent, seconds, success
from hil_serl_core.spec import TaskSpec
from hil_serl_runs.formats import NOTHING
from hil_serl_runs.report import wilson
from hil_serl_runs.statistics import StopRule

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by `hil-serl results`; do not edit. -->
# Results on the simulated twins

Every number was measured through the same nodes as on a robot, with the command

```bash
{command}
```

The twins are simulated stand-ins with a scripted operator, lower image resolution and shorter episodes; the papers' numbers
come from real arms and people, over 100 trials. They stand side by side to show whether the methods order alike, not to
compare the machines. A training ends when at least {success:.0%} of its last {window} episodes were solved and none of
them needed an intervention, or when its budget of transitions or time is spent{limits};
`hg_dagger` gets no more episodes than `hil_serl` had. Success is that of the final policy alone, acting deterministically
from seeded initial states, with its 95 % confidence interval (Wilson).
"""


_EARLIER = "†"
_PAPER_TRIALS = 100  # of each number in Table 1 and in SERL's Fig. 6


def page(
    cells: Sequence[Mapping[str, Any]],
    tasks: Sequence[str],
    methods: Sequence[str],
    command: str,
    present: Mapping[str, TaskSpec] | None = None,
    experts: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The page in Markdown.

    Args:
        cells: Finished cells, as stored.
        tasks: Tasks of the page, in order.
        methods: Methods of the page, in order.
        command: The command line that made it.
        present: Task -> its present settings; cells that had others are marked.
        experts: Task -> what its scripted expert solves when it is disturbed, as kept by `hil-serl expert`.
    """
    present, experts = present or {}, experts or {}
    by_task: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for cell in cells:
        by_task[cell["task"]].append(cell)
    head = _HEAD.format(
        command=command, window=Budget.window, success=StopRule.success, limits=_time_limits(cells)
    )
    parts = [head, _overview(by_task, tasks, methods)]
    parts += [
        _section(task, by_task[task], methods, present.get(task), experts.get(task))
        for task in tasks
        if by_task[task]
    ]
    parts.append(_gaps(by_task, tasks, methods))
    return "\n".join(parts)


def _time_limits(cells: Sequence[Mapping[str, Any]]) -> str:
    """The time that trainings were given, if not all the same: a cell keeps what it was measured with."""
    minutes = [c["budget"]["minutes"] for c in cells if c["training"]["env_steps"]]
    if not minutes or min(minutes) == max(minutes):
        return ""
    return f" (time limits of these were {min(minutes):g} to {max(minutes):g} minutes)"


def _overview(
    by_task: Mapping[str, Sequence[Mapping[str, Any]]], tasks: Sequence[str], methods: Sequence[str]
) -> str:
    lines = ["", "## Success of the final policy", ""]
    lines.append("| task | " + " | ".join(f"{m} | paper" for m in methods) + " |")
    lines.append("|---|" + "---:|---:|" * len(methods))
    for task in tasks:
        cells = [f"[{task}](#{task})" if by_task.get(task) else task]
        for method in methods:
            own = [c for c in by_task.get(task, ()) if c["method"] == method]
            cells += [_share(own) if own else "not run", _paper_success(task, method)]
        lines.append("| " + " | ".join(cells) + " |")
    notes = [
        f"{task} by {method}: {reported.note}"
        for task in tasks
        for method in methods
        if (reported := REPORTED.get(task, {}).get(method)) is not None and reported.note
    ]
    if notes:
        lines += ["", f"\\* in the paper under other conditions; {'; '.join(notes)}."]
    return "\n".join(lines) + "\n"


def _section(
    task: str,
    cells: Sequence[Mapping[str, Any]],
    methods: Sequence[str],
    present: TaskSpec | None,
    expert: Mapping[str, Any] | None,
) -> str:
    hours = f"; the paper trained for {HOURS[task]:g} h" if task in HOURS else ""
    lines = [f"## {task}", "", f"![learning curves](curves/{task}.png)", ""]
    lines.append(
        "| method | seed | agent | success (95 %) | paper | cycle | paper | transitions | updates | minutes | "
        "interventions, all / last 20 episodes | ended by |"
    )
    lines.append("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    for method in methods:
        for cell in sorted((c for c in cells if c["method"] == method), key=lambda c: c["seed"]):
            mark = "" if present is None or same_settings(cell, present) else _EARLIER
            lines += [_row(task, method, cell, agent, mark) for agent in cell["agents"]]
    if any(line.startswith("|") and _EARLIER in line for line in lines):
        lines += ["", f"{_EARLIER} with earlier settings of this task; the command runs it again."]
    lines += [
        "",
        _demonstrations(cells) + hours + ".",
        *robustness(cells, expert),
        *_remarks(task, cells, methods),
        "",
    ]
    return "\n".join(lines)


def _row(task: str, method: str, cell: Mapping[str, Any], agent: Mapping[str, Any], mark: str) -> str:
    train, reported = cell["training"], REPORTED.get(task, {}).get(method)
    intervened = f"{percent(train['intervention'])} / {percent(train['intervention_last'])}"
    offline = not train["env_steps"]
    cells = (
        method,
        f"{cell['seed']}{mark}",
        agent["agent"] or "",
        success(agent),
        _paper_success(task, method),
        seconds(agent["cycle_time"]),
        seconds(reported.cycle_time if reported else None),
        "offline" if offline else _transitions(cell, agent["agent"]),
        number(_trained(cell, agent["agent"])["updates"]),
        f"{train['seconds'] / 60:.1f}",
        NOTHING if offline else intervened,
        train["stopped_by"],
    )
    return "| " + " | ".join(cells) + " |"


def _trained(cell: Mapping[str, Any], agent: str) -> Mapping[str, Any]:
    """Transitions and updates of one agent; None where they were not kept."""
    train = cell["training"]
    kept = next((entry for entry in train.get("agents", ()) if entry["agent"] == agent), None)
    if kept is not None:
        return dict(kept)
    alone = len(cell["agents"]) == 1
    return {
        key: train[own] if alone else None
        for key, own in (("transitions", "env_steps"), ("updates", "updates"))
    }


def _transitions(cell: Mapping[str, Any], agent: str) -> str:
    own = _trained(cell, agent)["transitions"]
    return f"{cell['training']['env_steps']:,} of both" if own is None else f"{own:,}"


def _demonstrations(cells: Iterable[Mapping[str, Any]]) -> str:
    shown = next((c["demonstrations"] for c in cells if c["demonstrations"]["episodes"]), None)
    if shown is None:
        return "No demonstrations"
    return f"{shown['episodes']} demonstrations with a cycle time of {seconds(shown['cycle_time'])}"


def _remarks(task: str, cells: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> list[str]:
    """Where a method does better or worse than reported, beyond the confidence intervals of both."""
    remarks = []
    for method in methods:
        reported = REPORTED.get(task, {}).get(method)
        own = [c for c in cells if c["method"] == method]
        if reported is None or not own:
            continue
        solved, trials = _counts(own)
        low, high = wilson(solved, trials)
        text = f"here {solved} of {trials}, in the paper {reported.success:g} %" + _note(reported)
        paper_low, paper_high = wilson(round(_PAPER_TRIALS * reported.success / 100), _PAPER_TRIALS)
        if low > paper_high:
            remarks.append(f"- `{method}` does better than reported: {text}.")
        elif high < paper_low:
            remarks.append(f"- `{method}` does worse than reported: {text}.")
    return ["", *remarks] if remarks else []


def _gaps(
    by_task: Mapping[str, Sequence[Mapping[str, Any]]], tasks: Sequence[str], methods: Sequence[str]
) -> str:
    missing = [
        f"- {task}: {', '.join(lacking)}"
        for task in tasks
        if (lacking := [m for m in methods if not any(c["method"] == m for c in by_task.get(task, ()))])
    ]
    if not missing:
        return "## Not run\n\nNothing is missing from the tables above.\n"
    return "\n".join(
        ["## Not run", "", "These have no result yet; the command above goes on with them:", "", *missing, ""]
    )


def _counts(cells: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    agents = [agent for cell in cells for agent in cell["agents"]]
    return sum(a["successes"] for a in agents), sum(a["episodes"] for a in agents)


def _share(cells: Sequence[Mapping[str, Any]]) -> str:
    solved, trials = _counts(cells)
    return f"{100 * solved / trials:.0f} %" if trials else NOTHING


def _paper_success(task: str, method: str) -> str:
    reported = REPORTED.get(task, {}).get(method)
    return NOTHING if reported is None else f"{reported.success:g} %{'*' if reported.note else ''}"


def _note(reported: Reported) -> str:
    return f" ({reported.note})" if reported.note else ""
