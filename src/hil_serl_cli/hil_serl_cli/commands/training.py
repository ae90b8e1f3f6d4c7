# SPDX-License-Identifier: Apache-2.0
"""The commands of `hil-serl`: the fields of each class are its options, `run` does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from hil_serl_bringup.graph.build import Operator
from hil_serl_bringup.graph.robots import find_robot
from hil_serl_bringup.opening import MethodOptions, RewardOptions, demonstrations_of, open_folder
from hil_serl_cli.options import CellOptions, LearnerOptions, session
from hil_serl_cli.results import expert
from hil_serl_cli.running import demo, phases
from hil_serl_cli.running.phases import Setup
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_core.spec import RewardKind
from hil_serl_runs import evaluation, report
from hil_serl_runs.checkpoints import latest_checkpoints
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import Episode, rates
from hil_serl_runs.terminal import plain_console, word

_DEMOS = 20  # demonstrations of a 'hil-serl demo'


@dataclass
class Demo(LearnerOptions, CellOptions):
    """The main job: record demonstrations, train with interventions, evaluate without them, compare, report.

    Watch it in the terminal; at the end a table, a learning-curve picture and a video are in the run
    folder. The last line printed is the path of summary.json. About 10 to 15 minutes on two cores.
    """

    demos: int | None = None
    """Demonstrations to record; default: as many as when the run began, 20 for a new one."""
    episodes: int = 50
    """Autonomous evaluation episodes, of the policy and of behaviour cloning on the same demonstrations."""
    film_episodes: int = 3
    """Episodes in the video; 0 for none."""
    compare: bool = True
    """Train and evaluate behaviour cloning on the same demonstrations."""

    def run(self) -> int:
        setup = self.setup(self.device, self.learner_threads)
        folder = open_folder(self.task, self.seed, "demo", self.run_dir, self.resume, setup.robot)
        demos = demonstrations_of(folder, self.demos, usual=_DEMOS)
        folder.remember(demonstrations=demos)
        plan = demo.DemoPlan(demos, self.episodes, self.stop_rule(), self.film_episodes, self.compare)
        with session(folder, self.namespace, "hil-serl demo", robot=setup.robot) as running:
            summary = demo.run_demo(running, setup, plan)
        demo.show_report(plain_console(), running, summary)
        return 0


@dataclass
class Train(MethodOptions, LearnerOptions, CellOptions):
    """Train a policy: by default with interventions, from demonstrations.

    Without --demos the demonstrations are recorded first, if the algorithm uses them. Ctrl-C ends it cleanly;
    --resume RUN_DIR goes on.
    """

    demos: Path | None = None
    """Run folder whose demonstrations to use."""
    demonstrations: int | None = None
    """How many to record when there are none; default: what the task file says."""
    minutes: float = math.inf
    """Longest wall-clock time of training; default: no limit."""

    def run(self) -> int:
        setup = self.setup(self.device, self.learner_threads)
        folder = self.open_judged(self.task, self.seed, "train", self.run_dir, self.resume, setup.robot)
        method = method_named(self.algorithm)
        setup = replace(setup.judged_by(self), algorithm=method.name)
        if self.demos is not None:
            phases.share_demonstrations(RunFolder.open(self.demos), folder)
        shared = (folder.path / "bags" / "record_demos").is_symlink()
        if self.demonstrations is not None:
            folder.remember(demonstrations=self.demonstrations)
        with session(folder, self.namespace, "hil-serl train", robot=setup.robot) as running:
            if method.uses_demonstrations and not shared:
                phases.demonstrations(running, setup, demonstrations_of(folder, self.demonstrations), (1, 2))
            outcome = phases.training(running, setup, self.stop_rule(), (2, 2))
        console = plain_console()
        console.print(f"Training is over after {outcome.seconds:.0f} s: {outcome.reason}.", highlight=False)
        demo.show_folder(console, folder)
        return 0


@dataclass
class Eval:
    """Run a trained policy without interventions and say how often it succeeds.

    Episodes start from seeded initial states, the same in every evaluation of a run.
    """

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run folder; its newest checkpoint is used."""
    checkpoint: Path | None = None
    """Another checkpoint folder (of a run with a single agent)."""
    episodes: int = 50
    """Episodes, of each agent."""
    deterministic: bool = True
    """The policy's mode instead of samples."""
    perturb: Literal["none", "move_target", "open_gripper"] = "none"
    """Disturb every episode as in Sec. 4.4: the target moves, or the gripper is forced open (simulator only). What the
    scripted expert solves from the same states is shown beside the policy's success."""
    perturb_step: int = 10
    """Control step at which it is disturbed."""
    reward: RewardKind | None = None
    """Who judges success, instead of who did in training: the truth of a policy that learnt from a classifier."""
    classifier: Path | None = None
    """Folder of the trained classifier that judges; default: the one the run was trained with."""
    speed: str = "lockstep"
    """'lockstep' or a factor of real time."""
    robot: str = "sim"
    """Name of a robot file, or its path."""
    operator: Literal["none", "spacenav", "joy", "keyboard"] = "none"
    """A person's device: its buttons stop the robot and label episodes; it does not drive."""
    namespace: str = ""
    """ROS namespace of the run."""
    display: bool = False
    """Publish camera/display/image_raw, a view for people (slow without a GPU)."""

    def run(self) -> int:
        folder = RunFolder.open(self.run_dir)
        checkpoints = [self.checkpoint] if self.checkpoint else latest_checkpoints(folder)
        name = f"eval_{folder.begin_part('eval') + 1}"
        known = folder.state() if self.reward in (None, "classifier") else {}  # another judge needs none
        setup = Setup(
            Operator(self.operator),
            self.speed,
            robot=find_robot(self.robot),
            namespace=self.namespace,
            display=self.display,
            classifier=str(self.classifier.absolute()) if self.classifier else known.get("classifier", ""),
            partner_classifier=known.get("partner_classifier", ""),
            perturbation=self.perturb,
            perturbation_step=self.perturb_step,
        )
        judged = self._judged(folder, setup.robot.simulated)
        with session(folder, self.namespace, robot=setup.robot) as running:
            episodes = phases.evaluation(
                running,
                setup,
                [checkpoint.absolute() for checkpoint in checkpoints],
                self.episodes,
                phase=name,
                words=f"Evaluation of {checkpoints[0].name}",
                folder=judged,
                deterministic=self.deterministic,
            )
            log = running.log
            experts = self._experts(folder, judged or folder, episodes, running.view.say)
        facts: dict[str, Any] = {
            "perturbation": self.perturb,
            "reward": self.reward or folder.task().reward.kind,
            **({"perturbation_step": self.perturb_step, "expert": experts} if experts else {}),
        }
        console = plain_console()
        for line in evaluation.conclude(folder, log, name, checkpoints, **facts):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        for compared, task in zip(experts, folder.tasks(), strict=False):
            console.print(expert.in_words(compared, task.name), highlight=False, soft_wrap=True, markup=False)
        return 0

    def _experts(
        self, folder: RunFolder, recorded: RunFolder, episodes: Sequence[Episode], say: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        """What the scripted expert solves from the states in which the policy was disturbed; empty without a disturbance.

        Args:
            folder: The run.
            recorded: Folder with the bags of the evaluation.
            episodes: Of the evaluation.
            say: Tells people.
        """
        if self.perturb == "none":
            return []
        if self.speed != "lockstep":
            say("The scripted expert is not compared: only episodes in lockstep can be repeated.")
            return []
        say("The scripted expert goes on from where the policy was disturbed ...")
        bags = recorded.path / "bags" / str(Mode.EVAL)
        found, problem = expert.beside(folder, episodes, self.perturb, self.perturb_step, bags)
        if problem:
            say(f"The scripted expert is not compared: {problem}")
        return found

    def _judged(self, folder: RunFolder, simulated: bool) -> RunFolder | None:
        """A folder inside the run with its tasks under another judge, None for the run itself."""
        if self.reward in (None, folder.task().reward.kind):
            return None
        path = folder.path / f"judged_by_{self.reward}"
        if (path / "run.json").exists():
            return RunFolder.open(path)
        options = RewardOptions(reward=self.reward, classifier=self.classifier)
        task, *partner = [options.judged(task, simulated) for task in folder.tasks()]
        return RunFolder.create(task, folder.seed, "eval", path=path, partner=next(iter(partner), None))


@dataclass
class RecordDemos(RewardOptions, CellOptions):
    """Record demonstrations: successful episodes driven by the operator alone."""

    episodes: int | None = None
    """How many; default: what the task file says."""

    def run(self) -> int:
        setup = self.setup()
        folder = self.open_judged(
            self.task, self.seed, "record-demos", self.run_dir, self.resume, setup.robot
        )
        setup = setup.judged_by(self)
        if self.episodes is not None:
            folder.remember(demonstrations=self.episodes)
        with session(folder, self.namespace, "hil-serl record-demos", robot=setup.robot) as running:
            phases.demonstrations(running, setup, demonstrations_of(folder, self.episodes))
            recorded = rates([e for e in running.log.of("record_demos") if e.success])
        text = f"{report.demonstrations_in_words(recorded)} Train with: hil-serl train --demos {word(folder.path)}"
        plain_console().print(text, highlight=False, soft_wrap=True, markup=False)
        return 0
