# SPDX-License-Identifier: Apache-2.0
"""Every shipped task file, its time limit alone shortened: from YAML through its real judge to the learner's replay.

The rewards that a person would expect, and nothing else: 0 for every step that does not solve the task, the success reward
once on the last record of a solved episode, whoever drove, whoever judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_actor.loop.ports import LoopConfig, Phase
from hil_serl_actor.sending.step_log import StepLog
from hil_serl_actor.senses.inputs import SceneVerdict
from hil_serl_bringup.opening import RewardOptions
from hil_serl_core.action import nominal_pose
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.observation import ArmSample
from hil_serl_core.rewards import make_reward
from hil_serl_core.rewards.pose import PoseTest
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_core.step import Source
from hil_serl_learner.bags import read_run
from hil_serl_learner.classifier.samples import LabelledStep
from hil_serl_learner.classifier.training import TrainingOptions, train_classifier
from hil_serl_learner.ingest import Ledger
from hil_serl_learner.replay import Replay
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder()
HARDWARE = sorted(TASKS.glob("*.yaml"))
TWINS = sorted((TASKS / "sim").glob("*.yaml"))
LIMIT, SOLVED_AT, LABELLED_AT, DRIVEN = 12, 5, 4, (2, 3)
"""Time limit in steps, step that shows success, step that a person judges, steps that a person drives."""
DARK, BRIGHT = 40, 200


@dataclass
class World:
    """Ports of a control loop: records go to the actor's own log, the rest is of no interest here."""

    log: StepLog
    commands: list[Any] = field(default_factory=list)

    def log_step(self, step: Any) -> None:
        self.log.append(step)

    def send_commands(self, commands: Mapping[str, Any], stamp: float) -> None:
        self.commands.append(commands)

    def __getattr__(self, name: str) -> Any:
        if name in ("send_step", "label_step", "request_reset", "warn") or name.startswith("report_"):
            return lambda *_: None
        raise AttributeError(name)


class StillPolicy:
    """Proposes to do nothing."""

    def __init__(self, size: int) -> None:
        self._action = np.zeros(size, np.float32)

    def ready(self, transition: int) -> bool:
        return True

    def propose(self, observation: Any, transition: int) -> Proposal:
        return Proposal(self._action, 1)


@cache
def picture(side: tuple[int, int], bright: bool, seed: int) -> np.ndarray:
    """Noise, brighter where it shows success."""
    level = BRIGHT if bright else DARK
    return np.random.default_rng(seed).integers(level - 20, level + 20, (*side, 3), dtype=np.uint8)


def trained_classifier(spec: TaskSpec, folder: Path) -> Path | None:
    """A classifier of the task that tells bright pictures from dark ones, as a file; None where it needs none."""
    if spec.reward.kind != "classifier":
        return None
    section = spec.reward.classifier
    assert section is not None
    assert not section.failure_classes, (
        "a task that ends in failure by itself needs an episode of that kind here"
    )
    label = {True: section.classes.index("success"), False: section.classes.index("success") ^ 1}
    sizes = {camera.name: camera.size for camera in spec.cameras if camera.name in section.cameras}
    samples = [
        LabelledStep(
            "run/actor",
            "actor",
            number,
            episode,
            index,
            {name: picture((size, size), index > 3, number) for name, size in sizes.items()},
            label[index > 3],
        )
        for number, (episode, index) in enumerate((e, i) for e in range(4) for i in range(8))
    ]
    options = TrainingOptions(iterations=60, batch_size=32, views=1)
    return train_classifier(spec, samples, options).classifier.save(folder)


def solving_sample(spec: TaskSpec, arm: str, stamp: float, solved: bool) -> ArmSample:
    """An arm at its nominal pose, or where the task's pose section wants it to be."""
    pose, gripper, goal = nominal_pose(spec.arm(arm)), 1.0, spec.reward.pose
    if goal is not None and goal.arm == arm and solved:
        pose[:3] = pose[:3] if goal.position is None else goal.position
        low, high = goal.minimum_height, goal.maximum_height
        pose[2] = np.clip(pose[2], -np.inf if low is None else low, np.inf if high is None else high)
        gripper = 1.0 if goal.gripper is None else float(np.mean(goal.gripper))
    zeros, joints = np.zeros(6), np.zeros(7)
    return ArmSample(stamp, spec.arm(arm).base_frame, pose, zeros, zeros, joints, joints, gripper)


class Cell:
    """A task file's control loop with its real judge, fed by hand in lockstep."""

    def __init__(self, spec: TaskSpec, folder: Path) -> None:
        self.spec, self.run = spec, folder / "run"
        self.log = StepLog(self.run / "bags" / str(Mode.TRAIN) / "actor_0")
        reward = make_reward(spec, trained_classifier(spec, folder))
        runner = EpisodeRunner(spec, "actor_0", Mode.TRAIN)
        agent = Agent(spec, runner, StillPolicy(spec.action_size), reward)
        truth = spec.reward.kind == "ground_truth"
        self.loop = ControlLoop(
            LoopConfig(mode=Mode.TRAIN, lockstep=True, await_truth=truth), [agent], World(self.log)
        )
        self._stamp = 1.0

    def episode(self, solved_at: int | None = None, label: Outcome | None = None) -> None:
        """One episode, in which the person drives some steps, that shows success from a step on or is judged at one."""
        self.loop.tick(self._stamp)
        assert self.loop.phase is Phase.RESETTING
        self.loop.reset_finished(True, "", self._stamp)
        if self.loop.phase is Phase.AWAITING_PERSON:
            assert self.loop.confirm_reset()
        index, limit = 0, self.spec.episode.max_steps
        while self.loop.phase is Phase.RUNNING:
            assert index <= limit + 1, "the episode does not end"
            self._stamp += self.spec.period
            self._feed(solved_at is not None and index >= solved_at, index in DRIVEN)
            if label is not None and index >= LABELLED_AT:
                assert self.loop.label(label)
            elif self.spec.reward.kind == "operator" and index >= limit:
                assert self.loop.label(Outcome(failure=True, final=True))  # nobody else ends such an episode
            self.loop.tick(self._stamp)
            index += 1
        self._stamp += self.spec.period

    def _feed(self, solved: bool, driven: bool) -> None:
        loop, spec = self.loop, self.spec
        for arm in spec.arm_names:
            sample = solving_sample(spec, arm, self._stamp, solved)
            goal = spec.reward.pose
            assert (
                not solved
                or goal is None
                or goal.arm != arm
                or PoseTest(goal).met_by(sample.tcp_pose, sample.gripper, sample.tcp_twist)
            )
            loop.inputs.put_arm(sample, arm)
            loop.put_operator(OperatorInput(self._stamp, np.full(6, 0.5 * driven), ()), arm)
        for camera in spec.cameras:
            frame = picture((camera.source_height, camera.source_width), solved, 0)
            message = image_from_array(frame, seconds_to_ns(self._stamp), camera.name)
            loop.inputs.put_image(camera.name, message)
        goal_name = spec.sim.goal if spec.sim else None
        goals = {} if goal_name is None else {goal_name: solved}
        loop.inputs.verdict = SceneVerdict(self._stamp, solved, False, goals)


def judged(path: Path, reward: str | None) -> TaskSpec:
    """The file's task as 'hil-serl train' makes it, with --reward or without; its episodes are short."""
    options = RewardOptions(reward=reward, classifier=path)  # type: ignore[arg-type]
    task = options.judged(load_task(path), simulated=path in TWINS)
    return task.model_copy(update={"episode": task.episode.model_copy(update={"max_steps": LIMIT})})


CASES = [
    *(pytest.param(path, None, id=path.stem) for path in HARDWARE),
    *(pytest.param(path, None, id=f"twin-{path.stem}") for path in TWINS),
    *(pytest.param(path, "classifier", id=f"twin-{path.stem}-classifier") for path in TWINS),
]


@pytest.mark.parametrize(("path", "reward"), CASES)
def test_rewards_from_the_task_file_to_the_replay(path: Path, reward: str | None, tmp_path: Path) -> None:
    spec = judged(path, reward)
    assert not spec.reward.dense, "shipped tasks have sparse rewards"
    cell = Cell(spec, tmp_path)
    by_person = spec.reward.kind == "operator"
    limit, paid = LIMIT, np.float32(spec.reward.success_reward)

    cell.episode()  # never solved: cut off by the time limit, or judged a failure by the person who judges this task
    cell.episode(SOLVED_AT, Outcome(success=True, final=True) if by_person else None)
    cell.episode(label=Outcome(success=True, final=True))
    cell.episode(label=Outcome(failure=True, final=True))
    cell.log.close()

    solved_at = LABELLED_AT if by_person else limit if spec.episode.run_to_limit else SOLVED_AT
    expected = [  # length, reward of the last record, terminal
        (limit, 0.0, by_person),
        (solved_at, paid, True),
        (LABELLED_AT, paid, True),
        (LABELLED_AT, 0.0, True),
    ]
    steps = list(read_run(cell.run, Mode.TRAIN))
    episodes = [[step for step in steps if step.episode == number] for number in range(len(expected))]
    for records, (length, last, terminal) in zip(episodes, expected, strict=True):
        assert [step.reward for step in records] == [0.0] * length + [last]
        assert [step.is_last for step in records] == [False] * length + [True]
        assert [step.is_terminal for step in records] == [False] * length + [terminal]
        driven = [step.step_index for step in records if step.source is Source.HUMAN]
        assert set(DRIVEN) <= set(driven) <= {*DRIVEN, DRIVEN[-1] + 1}
    check_replay(spec, steps, expected)


def check_replay(spec: TaskSpec, steps: list[Any], expected: list[tuple[int, float, bool]]) -> None:
    """The learner takes every record, with its reward on arrival, and bootstraps from all but terminal ones."""
    ledger, replay = Ledger(spec), Replay(spec, len(steps), keeps_frames=False)
    for step in steps:
        for accepted in ledger.offer(step):
            replay.add(accepted, demonstration=False)
    assert (ledger.rejected, len(replay)) == (0, len(steps)), ledger.last_refusal
    ends = np.cumsum([length + 1 for length, _, _ in expected]) - 1
    rewards = np.zeros(len(steps), np.float32)
    rewards[ends] = [last for _, last, _ in expected]
    np.testing.assert_array_equal(replay.reward[: len(steps)], rewards)
    np.testing.assert_array_equal(np.flatnonzero(replay.stop), ends[[terminal for *_, terminal in expected]])
    arrivals = {end: replay.reward[end] for _, end in replay.transitions()}
    assert len(arrivals) == len(steps) - len(expected)
    low, high = spec.return_bounds or (0.0, 0.0)
    assert all(low <= reward <= high for reward in arrivals.values())
