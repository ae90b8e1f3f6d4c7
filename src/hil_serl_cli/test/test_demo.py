# SPDX-License-Identifier: Apache-2.0
"""Order and resumption of the demo's phases, with a session that plays the episodes itself."""

import contextlib
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hil_serl_bringup.graph.build import Operator, build_graph
from hil_serl_cli.commands import training as commands
from hil_serl_cli.running import demo, phases
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Outcome
from hil_serl_core.spec import load_task, task_from_dict
from hil_serl_core.weights import POLICY_FILE
from hil_serl_runs.checkpoints import latest_checkpoint
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_runs.statistics import Episode, LearnerSample, together
from hil_serl_tasks.finder import suite_folder

TASK = load_task(suite_folder() / "sim" / "ram_insertion.yaml")
BASE = Episode("", 1.0, 10, "actor_0", 0, True, False, False, "success", 10, 0, 0, 1.0, 3, 7)
PLAN = demo.DemoPlan(demonstrations=4, evaluation_episodes=5, film_episodes=0)


class PlayedSession:
    """Plays a phase by writing what its processes would leave; may be interrupted in a phase."""

    no_learner = LearnerSample()

    def __init__(self, folder: RunFolder, interrupt_in: str = "", after: int = 0):
        self.folder, self.log = folder, folder.episode_log()
        self.view = SimpleNamespace(say=lambda text: None)
        self.interrupt_in, self.after = interrupt_in, after
        self.requests = []

    def run(self, request, phase):
        build_graph(request)  # what the demo asks for has to be a graph
        self.requests.append((phase.name, request))
        count = 30 if phase.name == "train" else request.episodes
        for number in range(count):
            if phase.name == self.interrupt_in and number == self.after:
                raise KeyboardInterrupt
            self.log.append(dataclasses.replace(BASE, phase=phase.name, episode=number))
        if request.mode == "record_demos":
            (self.folder.path / "bags" / "record_demos").mkdir(parents=True, exist_ok=True)
        if request.mode == "train":
            for agent in self.folder.agents:
                checkpoint = Path(request.run_dir) / agent / "checkpoints" / "step_00000300"
                checkpoint.mkdir(parents=True, exist_ok=True)
                (checkpoint / POLICY_FILE).touch()
        learners = {agent: LearnerSample(environment_steps=300, updates=900) for agent in self.folder.agents}
        return Outcome("rule", 12.0, 300, together(learners), learners=learners)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(TASK, 3, "demo", path=tmp_path / "run")


def names(session):
    return [name for name, _ in session.requests]


def test_the_phases_in_order_and_the_summary(folder):
    session = PlayedSession(folder)
    summary = demo.run_demo(session, Setup(), PLAN)
    assert names(session) == ["record_demos", "train", "eval", "bc_train", "bc_eval"]
    assert summary["success_rate"] == 1.0
    assert summary["episodes"] == 5
    assert summary["updates"] == 900
    assert summary["agents"] == [{"agent": "", "transitions": 300, "updates": 900}]
    assert summary["seed"] == 3
    assert summary["bc_same_initial_states"] is True
    assert json.loads(folder.summary_file.read_text())["training_s"] == 12.0
    assert (folder.path / "curve.png").exists()


def test_only_demonstrations_and_training_have_an_operator(folder):
    session = PlayedSession(folder)
    demo.run_demo(session, Setup(), PLAN)
    operators = {name: request.operator for name, request in session.requests if request.actor}
    scripted, none = Operator.SCRIPTED, Operator.NONE
    assert operators == {"record_demos": scripted, "train": scripted, "eval": none, "bc_eval": none}
    assert all(request.deterministic for name, request in session.requests if name.endswith("eval"))


def test_behaviour_cloning_learns_from_the_same_demonstrations_and_starts_alike(folder):
    session = PlayedSession(folder)
    demo.run_demo(session, Setup(), PLAN)
    requests = dict(session.requests)
    assert requests["bc_train"].algorithm == "bc"
    assert not requests["bc_train"].actor
    assert (folder.path / "bc" / "bags" / "record_demos").resolve() == folder.path / "bags" / "record_demos"
    assert requests["bc_eval"].seed == requests["eval"].seed
    assert Path(requests["bc_eval"].checkpoint).is_relative_to(folder.path / "bc")
    assert not Path(requests["eval"].checkpoint).is_relative_to(folder.path / "bc")


@pytest.mark.parametrize(
    ("phase", "after", "left", "episodes"),
    [
        ("record_demos", 3, ["record_demos", "train", "eval", "bc_train", "bc_eval"], 1),
        ("train", 5, ["train", "eval", "bc_train", "bc_eval"], 0),
        ("eval", 2, ["eval", "bc_train", "bc_eval"], 3),
        ("bc_eval", 0, ["bc_eval"], 5),
    ],
)
def test_an_interrupted_demo_goes_on_in_the_phase_it_was_in(folder, phase, after, left, episodes):
    with pytest.raises(KeyboardInterrupt):
        demo.run_demo(PlayedSession(folder, phase, after), Setup(), PLAN)
    session = PlayedSession(RunFolder.open(folder.path))
    demo.run_demo(session, Setup(), PLAN)
    assert names(session) == left
    first = session.requests[0][1]
    assert first.episodes == episodes
    assert first.resume == (phase == "train")


def test_demonstrations_of_another_task_are_refused(folder, tmp_path):
    other = TASK.model_copy(update={"episode": TASK.episode.model_copy(update={"max_steps": 61})})
    source = RunFolder.create(other, 0, "record-demos", path=tmp_path / "other")
    with pytest.raises(RunFolderError, match="no demonstrations"):
        phases.share_demonstrations(source, folder)
    (source.path / "bags" / "record_demos").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="another task file"):
        phases.share_demonstrations(source, folder)


def test_an_untrained_run_has_no_policy(folder):
    with pytest.raises(RunFolderError, match="no checkpoint"):
        latest_checkpoint(folder.path)


def test_an_evaluation_may_have_another_judge_than_training_had(tmp_path, monkeypatch):
    content = TASK.model_dump(mode="json")
    learnt = task_from_dict({**content, "reward": {**content["reward"], "kind": "classifier"}})
    folder = RunFolder.create(learnt, 3, "train", path=tmp_path / "run", classifier=str(tmp_path))
    checkpoint = folder.path / "checkpoints" / "step_00000300"
    checkpoint.mkdir(parents=True)
    (checkpoint / POLICY_FILE).touch()
    sessions = []

    @contextlib.contextmanager
    def session(opened, namespace="", **_):
        sessions.append(PlayedSession(opened))
        yield sessions[-1]

    monkeypatch.setattr(commands, "session", session)
    commands.Eval(folder.path, episodes=2).run()
    commands.Eval(folder.path, episodes=2, reward="ground_truth").run()
    (_, own), (_, truth) = [request for played in sessions for request in played.requests]
    assert load_task(own.task).reward.kind == "classifier"
    assert own.classifier == str(tmp_path)
    assert load_task(truth.task).reward.kind == "ground_truth"
    assert truth.classifier == ""
    assert load_task(truth.task).hash == learnt.hash, "the policy would be refused"
    assert truth.checkpoint == own.checkpoint
    results = [json.loads((folder.path / f"eval_{k}.json").read_text())["reward"] for k in (1, 2)]
    assert results == ["classifier", "ground_truth"]


@pytest.fixture
def interrupted_in(monkeypatch):
    """``interrupted_in(phase)``: sessions of commands, the first of which is interrupted in this phase."""

    def make(phase):
        sessions = []

        @contextlib.contextmanager
        def session(opened, *_, **__):
            sessions.append(PlayedSession(opened, interrupt_in="" if sessions else phase, after=1))
            yield sessions[-1]

        monkeypatch.setattr(commands, "session", session)
        return sessions

    return make


def test_a_resumed_demo_wants_as_many_demonstrations_as_when_it_began(tmp_path, monkeypatch, interrupted_in):
    sessions = interrupted_in("record_demos")
    monkeypatch.setattr(demo, "show_report", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        commands.Demo(run_dir=tmp_path / "run", demos=3, episodes=2, film_episodes=0).run()
    commands.Demo(resume=tmp_path / "run", episodes=2, film_episodes=0).run()
    assert [played.requests[0][1].episodes for played in sessions] == [3, 2]


def test_a_resumed_training_wants_as_many_demonstrations_as_when_it_began(tmp_path, interrupted_in):
    sessions = interrupted_in("train")
    with pytest.raises(KeyboardInterrupt):
        commands.Train(run_dir=tmp_path / "run", demonstrations=2).run()
    commands.Train(resume=tmp_path / "run").run()
    assert [names(played) for played in sessions] == [["record_demos", "train"], ["train"]]
    assert sessions[0].requests[0][1].episodes == 2
