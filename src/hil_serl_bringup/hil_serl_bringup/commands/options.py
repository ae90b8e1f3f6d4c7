# SPDX-License-Identifier: Apache-2.0
"""What several commands of `hil-serl` share: groups of options, the run folder, the session."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hil_serl_bringup.graph.build import GraphError, Operator
from hil_serl_bringup.graph.claims import claims_of_run, runs_elsewhere
from hil_serl_bringup.graph.robot_processes import fitted
from hil_serl_bringup.graph.robots import Robot, find_robot
from hil_serl_bringup.monitor.node import MonitorNode
from hil_serl_bringup.monitor.statistics import StopRule
from hil_serl_bringup.monitor.view import View
from hil_serl_bringup.resources import find_task
from hil_serl_bringup.runs.phases import SIMULATED, Setup
from hil_serl_bringup.runs.run_folder import RunFolder
from hil_serl_bringup.runs.runner import Session
from hil_serl_bringup.runs.supervisor import interrupt_on_signals
from hil_serl_bringup.terminal import plain_console, word
from hil_serl_core.methods import method_named
from hil_serl_core.spec import RewardKind, TaskSpec, task_from_dict
from hil_serl_ros.domain import hold_domain
from hil_serl_ros.process_setup import log_arguments


@contextlib.contextmanager
def session(
    folder: RunFolder, namespace: str = "", resume: str = "", robot: Robot = SIMULATED
) -> Iterator[Session]:
    """What the phases of a command share; `resume` is the command that goes on after an interruption."""
    claims, elsewhere = claims_of_run(robot, namespace), runs_elsewhere(robot)
    log_arguments()  # also for drivers, which do not look after a log folder themselves
    with interrupt_on_signals(), hold_domain(claims, fixed=elsewhere) as domain:
        node = MonitorNode(namespace)
        state = folder.state()
        title = f"{state['task']} · seed {folder.seed} · ROS_DOMAIN_ID={domain}"
        try:
            with View() as view:
                view.say(f"Run folder {folder.path} (ROS_DOMAIN_ID={domain})")
                yield Session(folder, node, view, title)
        except BaseException:
            if resume:
                plain_console(stderr=True).print(
                    f"To go on from here: {resume} --resume {word(folder.path)}",
                    soft_wrap=True,
                    highlight=False,
                )
            raise
        finally:
            node.close()


def open_folder(
    task: TaskSpec | str,
    seed: int,
    command: str,
    run_dir: Path | None,
    resume: Path | None,
    robot: Robot = SIMULATED,
    **facts: str,
) -> RunFolder:
    """The run folder to go on with, or a new one of a task given as such, by name or by path.

    Args:
        task: The task.
        seed: Seed of the run.
        command: Which command makes it.
        run_dir: The folder itself, None for a name made up.
        resume: A run to go on with; task and seed are then the run's own.
        robot: The cell; a simulated one takes the task's twin.
        facts: What else a resumed command has to know.
    """
    if resume is not None:
        return RunFolder.open(resume)
    spec = find_task(task, robot.has_twin) if isinstance(task, str) else task
    partner = find_task(spec.reset.partner, robot.has_twin) if spec.reset.partner else None
    partner = None if partner is None else fitted(partner, robot)
    return RunFolder.create(fitted(spec, robot), seed, command, Path("runs"), run_dir, partner, **facts)


def demonstrations_of(folder: RunFolder, asked: int | None, usual: int | None = None) -> int:
    """How many to record: as asked now, or when the run began, else the command's usual, else what the task file says."""
    asked = folder.state().get("demonstrations", usual) if asked is None else asked
    if asked is not None:
        return int(asked)
    task = folder.task()
    own = task.sim.demonstrations if task.sim is not None else None
    return task.learner.demonstrations if own is None else own


@dataclass
class CellOptions:
    task: str = "ram_insertion"
    """Name of a task (see 'hil-serl tasks') or path of a task file."""
    seed: int = 0
    """Seed of initial states, networks, exploration and the scripted operator."""
    run_dir: Path | None = None
    """Folder of the new run; default runs/TASK-TIME-seedN."""
    resume: Path | None = None
    """Run folder to go on with, from where it stopped; task and seed are the run's own."""
    robot: str = "sim"
    """Robot file by name or path: sim (the simulator), mock (ros2_control on a laptop), fr3, ..., external (a cell whose
    drivers run already)."""
    operator: Operator = Operator.SCRIPTED
    """Who corrects: scripted operator (simulator only), SpaceMouse (spacenav), gamepad, keyboard, nobody."""
    speed: str | None = None
    """Simulated time: 'lockstep' (as fast as it goes; results do not depend on the load) or a factor of real
    time such as 1.0. Default: lockstep with the scripted operator, 1.0 with a person."""
    namespace: str = ""
    """ROS namespace of the run."""
    display: bool = False
    """Publish camera/display/image_raw, a view for people (slow without a GPU)."""
    rviz: bool = False
    """Open RViz (needs a ROS install)."""
    record: bool = False
    """Record the run's topics into its folder 'record', with 'ros2 bag record' where that is installed."""
    record_images: Literal["none", "compressed", "raw"] = "none"
    """Which camera topics a recording holds besides."""

    def setup(self, device: str = "cpu", threads: int = 1) -> Setup:
        """Common settings of the phases; unless a speed is given, people get real time, scripts lockstep."""
        person = self.operator not in (Operator.SCRIPTED, Operator.NONE)
        if person and self.speed == "lockstep":
            text = f"operator {self.operator} cannot steer simulated time that waits for nobody"
            raise GraphError(f"{text}: use --speed 1.0")
        return Setup(
            operator=self.operator,
            speed=self.speed or ("1.0" if person else "lockstep"),
            device=device,
            learner_threads=threads,
            robot=find_robot(self.robot),
            namespace=self.namespace,
            display=self.display,
            rviz=self.rviz,
            record=self.record,
            record_images=self.record_images,
        )


@dataclass
class LearnerOptions:
    device: Literal["cpu", "cuda", "auto"] = "auto"
    """Where the learner computes."""
    learner_threads: int = 1
    """CPU threads of the learner; leave a core to each of simulator and actor."""
    minutes: float = 9.75
    """Longest wall-clock time of training."""
    steps: int | None = None
    """Most transitions of training; default: no limit."""
    window: int = StopRule.window
    """Training stops early when this many episodes in a row were solved without any intervention."""
    min_steps: int = 2000
    """Do not stop early before this many steps."""

    def stop_rule(self) -> StopRule:
        """When training is over."""
        return StopRule(
            window=self.window,
            success=0.97,
            interventions=0,
            min_steps=self.min_steps,
            max_seconds=60 * self.minutes,
            max_steps=math.inf if self.steps is None else self.steps,
        )


@dataclass
class RewardOptions:
    reward: RewardKind | None = None
    """Who judges success, instead of what the task file says."""
    classifier: Path | None = None
    """Folder of a trained reward classifier, for --reward classifier."""
    partner_classifier: Path | None = None
    """That of the backward task, in forward-backward training."""

    def judged(self, task: TaskSpec, simulated: bool) -> TaskSpec:
        """The task with the reward asked for.

        Raises:
            TaskFileError: The task file lacks what this reward needs.
            GraphError: The reward or the classifier do not fit.
        """
        if self.reward is not None and self.reward != task.reward.kind:
            content = task.model_dump(mode="json")
            content["reward"]["kind"] = self.reward
            task = task_from_dict(content, f"task '{task.name}' with --reward {self.reward}")
        kind = task.reward.kind
        if kind == "ground_truth" and not simulated:
            raise GraphError(
                f"task '{task.name}' takes its reward from the simulator's ground truth, which a real cell does not "
                "have; use --reward classifier, pose or operator"
            )
        if kind == "classifier" and self.classifier is None:
            raise GraphError(
                f"the reward of task '{task.name}' is a classifier; name a trained one with --classifier "
                "(launch files: classifier:=), or use another --reward (reward:=)"
            )
        for path in (self.classifier, self.partner_classifier):
            if path is not None and not path.exists():
                raise GraphError(f"there is no classifier at {path}")
        return task

    def open_judged(
        self, task: str, seed: int, command: str, run_dir: Path | None, resume: Path | None, robot: Robot
    ) -> RunFolder:
        """The run folder to go on with, or a new one of the task with the reward asked for."""
        if resume is not None:
            folder = RunFolder.open(resume)
            self._take_over(folder)
            return folder
        spec = self.judged(find_task(task, robot.has_twin), robot.simulated)
        partner = find_task(spec.reset.partner, robot.has_twin) if spec.reset.partner else None
        if partner is not None:
            partner = fitted(self.judged(partner, robot.simulated), robot)
        return RunFolder.create(
            fitted(spec, robot), seed, command, Path("runs"), run_dir, partner, **self.facts()
        )

    def facts(self) -> dict[str, str]:
        """What a run keeps of these options, so that it goes on alike."""
        return {
            "classifier": _absolute(self.classifier),
            "partner_classifier": _absolute(self.partner_classifier),
        }

    def _take_over(self, folder: RunFolder) -> None:
        """What the run was begun with holds when it goes on."""
        state = folder.state()
        for name in ("classifier", "partner_classifier"):
            if getattr(self, name) is None and state.get(name):
                setattr(self, name, Path(state[name]))

    def judging(self, setup: Setup) -> Setup:
        """The setup with the classifiers."""
        return replace(
            setup,
            classifier=_absolute(self.classifier),
            partner_classifier=_absolute(self.partner_classifier),
        )


@dataclass
class MethodOptions(RewardOptions):
    algorithm: str = "hil_serl"
    """How to learn: hil_serl, serl (nobody intervenes), rlpd_scratch (no demonstrations either), bc, hg_dagger."""

    def judged(self, task: TaskSpec, simulated: bool) -> TaskSpec:
        """As in `RewardOptions`; raises MethodError if the algorithm cannot be used on the task."""
        method = method_named(self.algorithm)
        task = super().judged(task, simulated)
        method.check(task)
        return task

    def facts(self) -> dict[str, str]:
        """What a run keeps of these options."""
        return {"algorithm": self.algorithm, **super().facts()}

    def _take_over(self, folder: RunFolder) -> None:
        super()._take_over(folder)
        self.algorithm = folder.state().get("algorithm", self.algorithm)


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().absolute())
