# SPDX-License-Identifier: Apache-2.0
"""The commands of `hil-serl`: the fields of each class are its options, `run` does it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from hil_serl_bringup import demo, phases
from hil_serl_bringup.graph import Operator
from hil_serl_bringup.options import CellOptions, LearnerOptions, open_folder, session
from hil_serl_bringup.phases import Setup
from hil_serl_bringup.robots import find_robot
from hil_serl_bringup.run_folder import RunFolder, write_json
from hil_serl_bringup.statistics import rates
from hil_serl_bringup.view import percent, seconds


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


def _demonstrations(folder: RunFolder, asked: int | None) -> int:
    if asked is not None:
        return asked
    task = folder.task()
    own = task.sim.demonstrations if task.sim is not None else None
    return task.learner.demonstrations if own is None else own
