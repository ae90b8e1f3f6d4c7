# SPDX-License-Identifier: Apache-2.0
"""What a run is begun with: reward, classifier, algorithm; refused where they do not fit."""

import math
from pathlib import Path

import pytest

from hil_serl_bringup.graph.build import GraphError
from hil_serl_bringup.graph.robots import find_robot
from hil_serl_bringup.opening import MethodOptions, RewardOptions
from hil_serl_cli.options import LearnerOptions
from hil_serl_core.methods import MethodError
from hil_serl_core.spec import TaskFileError, load_task
from hil_serl_runs.agent_links import link_agents
from hil_serl_runs.run_folder import RunFolder
from hil_serl_tasks.finder import suite_folder

TASKS = suite_folder()
TWIN, REAL = load_task(TASKS / "sim" / "ram_insertion.yaml"), load_task(TASKS / "ram_insertion.yaml")


def test_another_reward_judges_the_same_task(tmp_path):
    task = RewardOptions("classifier", classifier=tmp_path).judged(TWIN, simulated=True)
    assert task.reward.kind == "classifier"
    assert task.hash == TWIN.hash  # so that demonstrations serve both
    assert task.model_copy(update={"reward": TWIN.reward}) == TWIN
    assert RewardOptions().judged(TWIN, simulated=True) is TWIN


@pytest.mark.parametrize(
    ("options", "task", "simulated", "message"),
    [
        (RewardOptions("ground_truth"), REAL, False, "real cell does not have"),
        (RewardOptions(), REAL, False, "name a trained one with --classifier"),
        (RewardOptions("classifier", Path("nowhere")), TWIN, True, "no classifier at nowhere"),
    ],
)
def test_a_reward_that_cannot_be_had_is_refused(options, task, simulated, message):
    with pytest.raises(GraphError, match=message):
        options.judged(task, simulated)


def test_a_reward_that_the_task_file_does_not_describe_is_refused():
    with pytest.raises(TaskFileError, match=r"(?s)with --reward pose.*needs a 'pose' section"):
        RewardOptions("pose").judged(load_task(TASKS / "sim" / "object_handover.yaml"), simulated=True)


def test_a_method_that_cannot_use_the_reward_is_refused():
    with pytest.raises(MethodError, match="takes goal pictures from demonstrations"):
        MethodOptions("vice", algorithm="rlpd_scratch").judged(TWIN, simulated=True)


def test_a_resumed_run_keeps_its_algorithm_and_classifier(tmp_path):
    facts = MethodOptions(classifier=tmp_path, algorithm="serl").facts()
    folder = RunFolder.create(TWIN, 0, "train", path=tmp_path / "run", **facts)
    options = MethodOptions()
    options.open_judged("ram_insertion", 0, "train", None, folder.path, find_robot("sim"))
    assert (options.algorithm, options.classifier) == ("serl", tmp_path)


def test_two_agents_read_the_bags_of_their_own(tmp_path):
    folder = RunFolder.create(TWIN, 0, "train", path=tmp_path / "run", partner=TWIN)
    assert folder.agents == ("forward", "backward")
    link_agents(folder)
    link_agents(folder)  # as on a resume
    bag = folder.path / "bags" / "train" / "actor_0_backward"
    bag.mkdir(parents=True)
    (bag / "x.mcap").touch()
    assert [p.name for p in (folder.path / "backward" / "bags" / "train").glob("*/*.mcap")] == ["x.mcap"]
    assert not list((folder.path / "forward" / "bags" / "train").glob("*/*.mcap"))


def test_training_ends_after_so_many_transitions_however_long_they_take():
    assert LearnerOptions(minutes=math.inf).stop_rule().reason([], 1e9, 10**9) is None
    rule = LearnerOptions(steps=3000, minutes=math.inf).stop_rule()
    assert rule.reason([], 1e9, 2999) is None
    assert rule.reason([], 1.0, 3000) == "step limit of 3000"
