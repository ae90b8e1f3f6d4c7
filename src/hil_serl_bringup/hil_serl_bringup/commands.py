# SPDX-License-Identifier: Apache-2.0
"""The commands of `hil-serl`: the fields of each class are its options, `run` does it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from hil_serl_bringup import demo, phases, replay
from hil_serl_bringup.graph import Operator
from hil_serl_bringup.options import CellOptions, LearnerOptions, open_folder, session
from hil_serl_bringup.phases import Setup
from hil_serl_bringup.recorded import episodes_of
from hil_serl_bringup.resources import find_task, find_task_file, tasks
from hil_serl_bringup.robots import find_robot
from hil_serl_bringup.run_folder import RunFolder, write_json
from hil_serl_bringup.statistics import rates
from hil_serl_bringup.supervisor import interrupt_on_signals
from hil_serl_bringup.view import percent, seconds
from hil_serl_core.step import Step


@dataclass
class Demo(LearnerOptions, CellOptions):
    """The main job: record demonstrations, train with interventions, evaluate without them, compare, report.

    Watch it in the terminal; at the end a table, a learning-curve picture and a video are in the run
    folder. The last line printed is the path of summary.json. About 10 to 15 minutes on two cores.
    """

    demos: int = 20
    """Demonstrations to record."""
    episodes: int = 50
    """Autonomous evaluation episodes, of the policy and of behaviour cloning on the same demonstrations."""
    film_episodes: int = 3
    """Episodes in the video; 0 for none."""
    compare: bool = True
    """Train and evaluate behaviour cloning on the same demonstrations."""

    def run(self) -> int:
        setup = self.setup(self.device, self.learner_threads)
        folder = open_folder(self.task, self.seed, "demo", self.run_dir, self.resume, setup.robot.simulated)
        plan = demo.DemoPlan(self.demos, self.episodes, self.stop_rule(), self.film_episodes, self.compare)
        with session(folder, self.namespace, "hil-serl demo") as running:
            summary = demo.run_demo(running, setup, plan)
        demo.show_report(Console(), running, summary)
        return 0


@dataclass
class Train(LearnerOptions, CellOptions):
    """Train a policy with interventions, from demonstrations.

    Without --demos the demonstrations are recorded first. Ctrl-C ends it cleanly; --resume RUN_DIR goes on.
    """

    demos: Path | None = None
    """Run folder whose demonstrations to use."""
    demonstrations: int | None = None
    """How many to record when there are none; default: what the task file says."""
    minutes: float = math.inf
    """Longest wall-clock time of training; default: no limit."""

    def run(self) -> int:
        setup = self.setup(self.device, self.learner_threads)
        folder = open_folder(self.task, self.seed, "train", self.run_dir, self.resume, setup.robot.simulated)
        if self.demos is not None:
            phases.share_demonstrations(RunFolder.open(self.demos), folder)
        with session(folder, self.namespace, "hil-serl train") as running:
            if not (folder.path / "bags" / "record_demos").is_symlink():
                phases.demonstrations(running, setup, _demonstrations(folder, self.demonstrations), (1, 2))
            outcome = phases.training(running, setup, self.stop_rule(), (2, 2))
        console = Console()
        console.print(f"Training is over after {outcome.seconds:.0f} s: {outcome.reason}.", highlight=False)
        demo.show_folder(console, folder)
        return 0


@dataclass
class Eval:
    """Run a trained policy without interventions and say how often it succeeds."""

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run folder; its newest checkpoint is used."""
    checkpoint: Path | None = None
    """Another checkpoint folder."""
    episodes: int = 50
    """Episodes."""
    deterministic: bool = True
    """The policy's mode instead of samples."""
    speed: str = "lockstep"
    """'lockstep' or a factor of real time."""
    robot: str = "panda_sim"
    """Name of a robot file, or its path."""
    namespace: str = ""
    """ROS namespace of the run."""
    display: bool = False
    """Publish camera/display/image_raw, a view for people (slow without a GPU)."""

    def run(self) -> int:
        folder = RunFolder.open(self.run_dir)
        checkpoint = self.checkpoint or phases.latest_checkpoint(folder.path)
        name = f"eval_{folder.begin_part('eval') + 1}"
        robot = find_robot(self.robot)
        setup = Setup(Operator.NONE, self.speed, robot=robot, namespace=self.namespace, display=self.display)
        with session(folder, self.namespace) as running:
            episodes = phases.evaluation(
                running,
                setup,
                checkpoint.absolute(),
                self.episodes,
                phase=name,
                words=f"Evaluation of {checkpoint.name}",
                deterministic=self.deterministic,
            )
        result = rates(episodes)
        write_json(
            folder.path / f"{name}.json", {"checkpoint": str(checkpoint), **dataclasses.asdict(result)}
        )
        Console().print(
            f"{result.episodes} episodes: success {percent(result.success)}, "
            f"cycle time {seconds(result.cycle_time)} ({result.cycle_steps:.1f} steps)",
            highlight=False,
        )
        return 0


@dataclass
class RecordDemos(CellOptions):
    """Record demonstrations: successful episodes driven by the operator alone."""

    episodes: int | None = None
    """How many; default: what the task file says."""

    def run(self) -> int:
        setup = self.setup()
        folder = open_folder(
            self.task, self.seed, "record-demos", self.run_dir, self.resume, setup.robot.simulated
        )
        with session(folder, self.namespace, "hil-serl record-demos") as running:
            phases.demonstrations(running, setup, _demonstrations(folder, self.episodes))
            recorded = rates([e for e in running.log.of("record_demos") if e.success])
        console = Console()
        console.print(
            f"{recorded.episodes} demonstrations, {recorded.cycle_steps:.1f} steps each. "
            f"Train with: hil-serl train --demos {folder.path}",
            highlight=False,
            soft_wrap=True,
        )
        return 0


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
    """Publish /replay/step, /replay/tcp_pose and the camera images."""
    rate: float = 10.0
    """Records a second when publishing and in the video."""
    video: Path | None = None
    """Write an MP4 of what the policy saw."""

    def run(self) -> int:
        from hil_serl_ros.bag import read_steps

        path = self.path / "bags" if (self.path / "bags").is_dir() else self.path
        path = path if self.phase == "all" else path / self.phase
        console = Console()

        def steps() -> Iterator[Step]:
            return replay.select(read_steps(path, keep_before_damage=True), self.episode)

        if self.video is not None:
            count = replay.film_steps(steps(), self.video, self.rate)
            console.print(f"{self.video}: {count} pictures")
        elif self.publish:
            with interrupt_on_signals():
                replay.publish_steps(steps(), self.rate, console)
        else:
            replay.show_episodes(console, episodes_of(steps()))
        return 0


@dataclass
class Tasks:
    """List the tasks that can be run."""

    def run(self) -> int:
        console = Console()
        for name, path in tasks().items():
            spec = find_task(name)
            console.print(f"[bold]{name}[/]  {spec.description}", soft_wrap=True, highlight=False)
            cameras = ", ".join(f"{camera.name} ({camera.size} px)" for camera in spec.cameras)
            simulated = "yes" if spec.sim is not None else "no"
            for key, value in (
                ("cameras", cameras),
                ("state", ", ".join(spec.state)),
                (
                    "action",
                    f"{spec.action.kind}, {spec.action.dimension} numbers at {spec.control.frequency:g} Hz",
                ),
                ("simulated", simulated),
                ("file", str(path)),
            ):
                console.print(f"    {key:<10}{value}", soft_wrap=True, highlight=False, markup=False)
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

        from hil_serl_bringup.executables import find_command

        task = find_task_file(self.task)
        command = [*find_command("hil_serl_sim", "fig3"), "--task", str(task), "--output", str(self.output)]
        code = subprocess.run(command, check=False).returncode
        if code == 0:
            print(self.output.resolve())
        return code


@dataclass
class Doctor:
    """Say what is present, what is missing, what that costs you, and how to get it."""

    def run(self) -> int:
        from hil_serl_bringup.doctor import main

        return int(main([]) or 0)


def _demonstrations(folder: RunFolder, asked: int | None) -> int:
    if asked is not None:
        return asked
    task = folder.task()
    own = task.sim.demonstrations if task.sim is not None else None
    return task.learner.demonstrations if own is None else own
