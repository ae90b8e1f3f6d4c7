# SPDX-License-Identifier: Apache-2.0
"""Phases of a run of two agents: how much is recorded, and how each direction is tried."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from hil_serl_bringup.graph.build import Operator, build_graph
from hil_serl_bringup.graph.robots import Robot
from hil_serl_cli.running import phases
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Outcome
from hil_serl_core.episode import Mode
from hil_serl_core.spec import load_task
from hil_serl_runs import evaluation
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import Episode, LearnerSample
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder() / "sim"
BASE = Episode("", 1.0, 10, "", 0, True, False, False, "success", 10, 0, 0, 1.0, 3, 7)
ROBOT = Robot(name="cell", description="real", simulated=False)


class PlayedSession:
    """Writes the episodes that a graph's actor would run, by the agents it has."""

    no_learner = LearnerSample()

    def __init__(self, folder: RunFolder):
        self.folder, self.log, self.requests = folder, folder.episode_log(), []
        self.view = SimpleNamespace(say=lambda text: None)

    def run(self, request, phase):
        build_graph(request)
        self.requests.append(request)
        agents = (
            [f"{request.actor_id}_{a}" for a in self.folder.agents] if request.partner else [request.actor_id]
        )
        for number in range(request.episodes):
            episode = dataclasses.replace(
                BASE, phase=phase.name, actor_id=agents[number % len(agents)], episode=number // len(agents)
            )
            self.log.append(episode)
        return Outcome("rule", 1.0, 10, LearnerSample())


@pytest.fixture
def session(tmp_path):
    forward, backward = (load_task(TASKS / f"object_relocation{end}.yaml") for end in ("", "_back"))
    return PlayedSession(RunFolder.create(forward, 3, "train", path=tmp_path / "run", partner=backward))


def test_each_agent_gets_its_demonstrations(session):
    phases.demonstrations(session, Setup(), 3)
    assert [request.episodes for request in session.requests] == [6]
    for agent in ("forward", "backward"):
        assert len(evaluation.of_agent(session.log.of("record_demos"), agent)) == 3


def test_in_simulation_each_agent_is_tried_alone_from_its_own_initial_states(session, tmp_path):
    phases.evaluation(session, Setup(operator=Operator.NONE), [tmp_path / "f", tmp_path / "b"], 4)
    forward, backward = session.requests
    assert (forward.mode, forward.partner, backward.partner) == (Mode.EVAL, "", "")
    assert forward.task == str(session.folder.task_file)
    assert backward.task == str(session.folder.partner_file)
    assert (Path(forward.checkpoint).name, Path(backward.checkpoint).name) == ("f", "b")
    assert (forward.actor_id, backward.actor_id) == ("actor_0_forward", "actor_0_backward")
    results = evaluation.of_agents(session.folder, session.log.of("eval"), [])
    assert [(r.task, r.episodes) for r in results] == [
        ("object_relocation", 4),
        ("object_relocation_back", 4),
    ]


def test_an_interrupted_evaluation_goes_on_where_it_was(session, tmp_path):
    for number in range(4):
        session.log.append(
            dataclasses.replace(BASE, phase="eval", actor_id="actor_0_forward", episode=number)
        )
    session.log.append(dataclasses.replace(BASE, phase="eval", actor_id="actor_0_backward"))
    phases.evaluation(session, Setup(operator=Operator.NONE), [tmp_path / "f", tmp_path / "b"], 4)
    assert [(request.actor_id, request.episodes) for request in session.requests] == [("actor_0_backward", 3)]


def test_on_a_robot_the_agents_take_turns(session, tmp_path):
    phases.evaluation(
        session, Setup(operator=Operator.NONE, robot=ROBOT), [tmp_path / "f", tmp_path / "b"], 4
    )
    (request,) = session.requests
    assert request.partner == str(session.folder.partner_file)
    assert (Path(request.partner_checkpoint).name, request.episodes) == ("b", 8)
