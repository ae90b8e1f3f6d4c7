# SPDX-License-Identifier: Apache-2.0
"""Live terminal view of a run; plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hil_serl_monitor.advice import Advice
from hil_serl_monitor.state import Driving
from hil_serl_runs.formats import NOTHING, percent, seconds
from hil_serl_runs.statistics import LearnerSample, Rates, rates, together
from hil_serl_runs.terminal import plain_console

BLOCKS = "▁▂▃▄▅▆▇█"
WIDE = 116  # columns that two tables side by side need


@dataclass(frozen=True)
class ViewState:
    """Everything the view shows.

    Attributes:
        title: Task, seed, domain.
        phase: Name of the phase, in words.
        number: Which phase of how many, e.g. (2, 5).
        elapsed: Seconds of this phase.
        limit: Its limit in seconds, infinity for none.
        episodes: Counted episodes of this phase.
        target: How many are wanted, 0 for no number.
        env_steps: Steps of this phase.
        recent: 20-episode means.
        success_history: Rolling success rates, oldest first.
        intervention_history: Rolling intervention rates.
        driving: Who drives now.
        stopped: The robot is stopped until somebody clears it.
        learners: Counters of this phase's learners, by agent; none where nothing learns.
        autonomous: Who drives while the operator does not.
        lines: (process, newest log line) pairs.
        note: One line that matters now.
        advice: What the operator could do better.
        tally: What is collected besides episodes: (what, so far, wanted).
    """

    title: str
    phase: str
    number: tuple[int, int] = (1, 1)
    elapsed: float = 0.0
    limit: float = math.inf
    episodes: int = 0
    target: int = 0
    env_steps: int = 0
    recent: Rates = field(default_factory=lambda: rates([]))
    success_history: Sequence[float] = ()
    intervention_history: Sequence[float] = ()
    driving: Driving = field(default_factory=Driving)
    stopped: bool = False
    learners: Mapping[str, LearnerSample] = field(default_factory=dict)
    autonomous: str = "policy"
    lines: Sequence[tuple[str, str]] = ()
    note: str = ""
    advice: Sequence[Advice] = ()
    tally: Sequence[tuple[str, int, int]] = ()


def clock(value: float) -> str:
    """Elapsed time as m:ss."""
    return NOTHING if not math.isfinite(value) else f"{int(value) // 60}:{int(value) % 60:02d}"


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """The newest `width` rates in [0, 1] as block characters."""
    levels = len(BLOCKS) - 1
    return "".join(
        " " if math.isnan(v) else BLOCKS[round(min(max(v, 0.0), 1.0) * levels)] for v in values[-width:]
    )


def _pairs(rows: Sequence[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _policy(state: ViewState) -> Table:
    where = Text(f"  (episode {state.driving.episode}, step {state.driving.step_index})", style="dim")
    driver = Text.assemble(
        ("operator", "bold yellow") if state.driving.active else (state.autonomous, "bold green"), where
    )
    if not state.env_steps and not state.driving.step_index:
        driver = Text("waiting for the first step", style="dim")
    if state.stopped:
        driver = Text("nobody: STOPPED, the robot holds", style="bold red")
    return _pairs(
        [
            *((f"labelled '{what}'", f"{have:>5} of {wanted}") for what, have, wanted in state.tally),
            ("driving now", driver),
            ("steps", f"{state.env_steps:,}"),
            (
                "success, last 20",
                Text(f"{percent(state.recent.success):>6}  ")
                + Text(sparkline(state.success_history), style="green"),
            ),
            (
                "intervened, last 20",
                Text(f"{percent(state.recent.intervention):>6}  ")
                + Text(sparkline(state.intervention_history), style="yellow"),
            ),
            ("cycle time, last 20", f"{seconds(state.recent.cycle_time):>6}"),
        ]
    )


def _number(value: float, digits: int = 3) -> str:
    return NOTHING if not math.isfinite(value) else f"{value:.{digits}g}"


def _learner(agent: str, learner: LearnerSample) -> Table:
    return _pairs(
        [
            (f"learner {agent}".strip(), learner.message or learner.phase or "starting"),
            ("updates", f"{learner.updates:,}  ({learner.updates_per_second:.1f} /s)"),
            *(
                [("skipped updates", Text(_skipped(learner), style="yellow"))]
                if learner.skipped_updates
                else []
            ),
            ("buffers", f"{learner.demo_size:,} demonstration, {learner.rl_size:,} online"),
            ("policy version", f"{learner.policy_version}" if learner.policy_version >= 0 else NOTHING),
            (
                "critic loss, Q, α",
                f"{_number(learner.critic_loss)}, {_number(learner.q_mean)}, {_number(learner.temperature)}",
            ),
        ]
    )


def _skipped(learner: LearnerSample) -> str:
    """What a learner that is slower than the robot leaves undone."""
    return (
        f"{learner.skipped_updates:,} of {learner.owed_updates:,} owed ({percent(learner.done_share)} done)"
    )


def _progress(state: ViewState) -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    done: float
    total: float
    if state.target:
        label, done, total = f"{state.episodes} of {state.target} episodes", state.episodes, state.target
    else:
        label, done, total = f"{state.episodes} episodes", state.elapsed, state.limit
    time_text = clock(state.elapsed) + (
        f" of at most {clock(state.limit)}" if math.isfinite(state.limit) else ""
    )
    finite = math.isfinite(total) and total > 0
    bar = ProgressBar(
        total=total if finite else None, completed=min(done, total) if finite else 0, pulse=not finite
    )
    row.add_row(label, bar, time_text)
    return row


def _advice(advice: Sequence[Advice]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold yellow", no_wrap=True)
    table.add_column()
    for one in advice:
        table.add_row(one.kind, Text.assemble((f"{one.reason}. ", "dim"), f"{one.remedy}."))
    return table


def render(state: ViewState, width: int = 120) -> RenderableType:
    """The whole view, for a terminal of `width` columns."""
    number, count = state.number
    heading = Text.assemble((state.phase, "bold"), (f" ({number} of {count})" if count > 1 else "", "dim"))
    blocks: list[RenderableType] = [_progress(state), Text()]
    tables: list[RenderableType] = [_policy(state)]
    if state.learners:
        tables.append(Group(*(_learner(agent, sample) for agent, sample in state.learners.items())))
    if width >= WIDE:
        columns = Table.grid(padding=(0, 4))
        columns.add_row(*tables)
        blocks.append(columns)
    else:
        blocks += tables
    if state.lines:
        log = Table.grid(padding=(0, 1))
        log.add_column(style="cyan", no_wrap=True)
        log.add_column(style="dim", no_wrap=True, overflow="ellipsis")
        for name, line in state.lines:
            log.add_row(name, Text(line))
        blocks += [Text(), log]
    if state.advice:
        blocks += [Text(), _advice(state.advice)]
    if state.note:
        blocks += [Text(), Text(state.note, style="bold red" if state.stopped else "bold yellow")]
    return Panel(
        Group(*blocks),
        title=heading,
        title_align="left",
        subtitle=Text(f"{state.title} · Ctrl-C ends cleanly", style="dim"),
        subtitle_align="right",
        padding=(1, 2),
    )


def plain_line(state: ViewState) -> str:
    """The view as one line."""
    goal = f"/{state.target}" if state.target else ""
    limit = f"/{state.limit:.0f}" if math.isfinite(state.limit) else ""
    parts = [
        f"{state.phase}: {state.elapsed:.0f}{limit} s",
        f"episodes {state.episodes}{goal}",
        f"steps {state.env_steps}",
        f"success {percent(state.recent.success)}",
        f"intervened {percent(state.recent.intervention)}",
        f"cycle {seconds(state.recent.cycle_time)}",
    ]
    if state.learners:
        learner = together(state.learners)
        parts += [
            f"updates {learner.updates} ({learner.updates_per_second:.1f}/s)",
            *([f"skipped {_skipped(learner)}"] if learner.skipped_updates else []),
            f"buffers {learner.demo_size}+{learner.rl_size}",
        ]
        if any(not one.updates or one.phase == "loading" for one in state.learners.values()):
            parts.append(f"learner: {learner.message or learner.phase or 'starting'}")
    parts += [f"'{what}' {have}/{wanted}" for what, have, wanted in state.tally]
    parts += [f"advice: {one.kind}" for one in state.advice]
    return " | ".join([*parts, *([state.note] if state.note else [])])


class View:
    """Shows `ViewState`s on a console: live where it is a terminal, else a line every `plain_period` seconds.

    Args:
        console: Where to draw.
        plain_period: Seconds between two lines without a terminal.
    """

    def __init__(self, console: Console | None = None, plain_period: float = 5.0) -> None:
        self.console = console or plain_console()
        self._period = plain_period
        self._last: tuple[str, float] = ("", -math.inf)
        self._live = (
            Live(console=self.console, auto_refresh=False, transient=True)
            if self.console.is_terminal
            else None
        )

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, state: ViewState) -> None:
        """Show a state."""
        if self._live is not None:
            self._live.update(render(state, self.console.width), refresh=True)
            return
        phase, shown = self._last
        if phase != state.phase or time.monotonic() - shown >= self._period:
            self._last = (state.phase, time.monotonic())
            self.console.print(plain_line(state), soft_wrap=True, highlight=False, markup=False)

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, soft_wrap=True, highlight=False)
