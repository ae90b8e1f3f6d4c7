# SPDX-License-Identifier: Apache-2.0
"""Commands that show something and change nothing: recorded episodes, tasks, schema, pictures, the machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.text import Text

from hil_serl_bringup.supervisor import interrupt_on_signals
from hil_serl_cli import schema
from hil_serl_cli.running import replay
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_core.step import Step
from hil_serl_runs.recorded import episodes_of
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task_file, tasks, twins


@dataclass
class Replay:
    """Look at recorded episodes: list them, publish them again for RViz and rqt, or make a video."""

    path: Annotated[Path, tyro.conf.Positional]
    """Run folder, bag folder or .mcap file."""
    phase: Literal["record_demos", "train", "eval", "all"] = "all"
    """Which bags of a run folder."""
    episode: tuple[int, ...] = ()
    """Only these episodes."""
    publish: bool = False
    """Publish steps, states of the arms, who drove and the camera images under /replay, for markers_node and RViz."""
    rate: float = 10.0
    """Records a second when publishing and in the video."""
    video: Path | None = None
    """Write an MP4 of what the policy saw."""

    def run(self) -> int:
        from hil_serl_ros.bag import read_steps

        path = self.path / "bags" if (self.path / "bags").is_dir() else self.path
        path = path if self.phase == "all" else path / self.phase
        console = plain_console()

        def steps() -> Iterator[Step]:
            return replay.select(read_steps(path, keep_before_damage=True), self.episode)

        if self.video is not None:
            count = replay.film_steps(steps(), self.video, self.rate)
            console.print(f"{self.video}: {count} pictures")
        elif self.publish:
            try:
                with interrupt_on_signals():
                    replay.publish_steps(steps(), self.rate, console)
            except KeyboardInterrupt:  # the way to end it, so no failure; launch may send one more
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        else:
            replay.show_episodes(console, episodes_of(steps()))
        return 0


@dataclass
class Tasks:
    """List the tasks of the papers and yours: where they come from, what they need, whether they are simulated."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Only these, with all details."""

    def run(self) -> int:
        console, simulated = plain_console(), twins()
        files = tasks() | {name: path for name, path in simulated.items() if name not in tasks()}
        unknown = sorted(set(self.names) - set(files))
        if unknown:
            find_task_file(unknown[0], simulated=False)  # says which name is near
        for name in self.names or files:
            spec = load_task(files[name])
            console.print(Text.assemble((name, "bold"), f"  {spec.description}"), soft_wrap=True)
            for key, value in _facts(spec, simulated.get(name)):
                console.print(f"    {key:<10}{value}", soft_wrap=True, highlight=False, markup=False)
            if self.names:
                console.print(f"    {'file':<10}{files[name]}", soft_wrap=True, highlight=False, markup=False)
        return 0


def _facts(spec: TaskSpec, twin: Path | None) -> list[tuple[str, str]]:
    """What a person wants to know of a task."""
    arms = f"{len(spec.arm_names)} arms, " if len(spec.arm_names) > 1 else ""
    if spec.action.kind == "wrench":
        action = f"{arms}wrench {', '.join(spec.action.wrench_axes)}"
    else:
        action = f"{arms}{spec.continuous_size}-D twist"
    if spec.grasp_choices:
        action += f" and {spec.grasp_choices} gripper commands"
    judge = spec.reward.classifier if spec.reward.kind in ("classifier", "vice") else None
    views = "" if judge is None else f" on {', '.join(judge.cameras)}"
    facts = [
        ("from", spec.source or "-"),
        ("cameras", ", ".join(f"{camera.name} ({camera.size} px)" for camera in spec.cameras)),
        ("state", ", ".join(spec.state)),
        ("action", f"{action} at {spec.control.frequency:g} Hz"),
        ("reward", spec.reward.kind + views),
        ("reset", spec.reset.method + (f", with {spec.reset.partner}" if spec.reset.partner else "")),
    ]
    if twin is None:
        return [*facts, ("twin", "no; on a robot only")]
    simulated = load_task(twin)
    sizes = ", ".join(f"{camera.name} ({camera.size} px)" for camera in simulated.cameras)
    return [*facts, ("twin", f"yes, with {sizes}")]


@dataclass
class Schema:
    """Print the reference of the task file, as it is in docs/task_schema.md, or of the robot file (docs/robot_file.md)."""

    of: Literal["task", "robot"] = "task"
    """Which file."""
    output: Path | None = None
    """Write it to this file."""

    def run(self) -> int:
        if self.output is None:
            print(schema.reference(self.of), end="")
        else:
            self.output.write_text(schema.reference(self.of), encoding="utf-8")
        return 0


@dataclass
class Fig3:
    """Draw SERL's Fig. 3 from the simulator: targets and pose along z, into contact and in free space."""

    task: str = "ram_insertion"
    """Name of a task with a simulated twin, or path of a task file."""
    output: Path = Path("fig3.png")
    """Picture to write."""

    def run(self) -> int:
        import subprocess

        from hil_serl_bringup.graph.executables import find_command

        task = find_task_file(self.task)
        command = [*find_command("hil_serl_sim", "fig3"), "--task", str(task), "--output", str(self.output)]
        return subprocess.run(command, check=False).returncode


@dataclass
class Doctor:
    """Say what is present, what is missing, what that costs you, and how to get it."""

    def run(self) -> int:
        from hil_serl_cli.doctor.report import main

        return int(main([]) or 0)
