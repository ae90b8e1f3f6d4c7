# SPDX-License-Identifier: Apache-2.0
"""The run folder that a person asks for: of which task, judged how, learnt how. The tool and the launch files share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil_serl_bringup.graph.build import GraphError
from hil_serl_bringup.graph.robot_processes import fitted
from hil_serl_bringup.graph.robots import SIMULATED, Robot
from hil_serl_core.methods import method_named
from hil_serl_core.spec import RewardKind, TaskSpec, task_from_dict
from hil_serl_runs.run_folder import RunFolder
from hil_serl_tasks.finder import find_task


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


def recording_task(task: TaskSpec, simulated: bool) -> TaskSpec:
    """The task as classifier data are recorded under it.

    In simulation every episode starts from a scripted reset: left where they are, objects that lie at the goal would
    show nothing but success. A person labels with a button of the device, the first one that the gripper leaves free.

    Raises:
        GraphError: The task has no classifier.
    """
    if task.reward.classifier is None:
        raise GraphError(
            f"task '{task.name}' has no section reward.classifier; add 'classifier: {{cameras: [...]}}' under "
            "'reward' of its task file"
        )
    content = task.model_dump(mode="json")
    content["reset"]["partner"] = None
    if simulated:
        content["reset"]["method"] = "scripted"
        content["reward"]["kind"] = "ground_truth"
    buttons = content["intervention"]
    if buttons["success_button"] is None:
        taken = {buttons["close_button"], buttons["open_button"]} if task.grippers else set()
        other = ("failure_button", "reset_button", "switch_button", "stop_button", "deadman_button")
        taken |= {buttons[name] for name in other}
        buttons["success_button"] = next(k for k in range(8) if k not in taken)
    return task_from_dict(content, f"task '{task.name}' for recording")


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
