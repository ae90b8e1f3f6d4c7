# SPDX-License-Identifier: Apache-2.0
"""What a phase leaves behind, with children that do nothing."""

import contextlib
from types import SimpleNamespace

import pytest

from hil_serl_cli.running import runner
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Phase, Session
from hil_serl_core.episode import Mode
from hil_serl_core.spec import load_task
from hil_serl_monitor.state import RunMonitor
from hil_serl_monitor.testing.messages import status
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import Episode, EpisodeLog, StopRule
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder() / "sim"
PAST = Episode("train", 60.0, 12, "actor_0", 0, True, False, False, "success", 12, 0, 0, 1.2, 4, 7)


@pytest.fixture
def played(monkeypatch):
    """Sessions whose processes are none and whose node hears nothing."""

    @contextlib.contextmanager
    def supervisor(processes, logs):
        yield SimpleNamespace(peak_memory=dict, poll=lambda: None, logs={"learner": logs / "learner.log"})

    monkeypatch.setattr(runner, "Supervisor", supervisor)
    node = SimpleNamespace(monitor=None, spin=lambda seconds: None, report=lambda *_: None)
    view = SimpleNamespace(update=lambda state: None, say=lambda text: None)
    return lambda folder: Session(folder, node, view, "title")


@pytest.mark.parametrize("task", ["ram_insertion", "object_relocation"])
def test_a_training_resumed_when_its_time_is_over_keeps_what_its_learners_had_done(played, tmp_path, task):
    spec = load_task(TASKS / f"{task}.yaml")
    partner = load_task(TASKS / f"{spec.reset.partner}.yaml") if spec.reset.partner else None
    folder = RunFolder.create(spec, 0, "train", path=tmp_path / "run", partner=partner)
    log = EpisodeLog(folder.path / "episodes.csv")
    before = RunMonitor(log, "train", folder.path / "learner-train.csv", agents=folder.agents)
    log.append(PAST)
    for number, agent in enumerate(folder.agents):
        before.on_learner_status(status(environment_steps=40 + number, updates=80 + number), agent)
    session = played(folder)
    request = Setup().request(folder, Mode.TRAIN, 0, resume=True)
    outcome = session.run(request, Phase("train", "Training", stop=StopRule(max_seconds=30.0)))
    assert outcome.reason == "time limit of 30 s"
    facts = outcome.facts()
    assert facts["agents"] == [
        {"agent": agent, "transitions": 40 + number, "updates": 80 + number}
        for number, agent in enumerate(folder.agents)
    ]
    assert facts["updates"] == sum(entry["updates"] for entry in facts["agents"])
