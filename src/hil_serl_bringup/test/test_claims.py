# SPDX-License-Identifier: Apache-2.0
"""What runs claim of a ROS domain: the same whether `hil-serl` or `ros2 launch` starts them."""

import os

import pytest

from hil_serl_bringup.graph.build import GraphRequest, build_graph
from hil_serl_bringup.graph.claims import claims_of, claims_of_run, reserve_launched, runs_elsewhere
from hil_serl_bringup.graph.robots import find_robot, robots
from hil_serl_core.episode import Mode
from hil_serl_ros.domain import DomainBusyError, hold_domain
from hil_serl_tasks.finder import find_task_file

SIM = find_robot("sim")


@pytest.fixture
def graph(tmp_path):
    """Processes of a simulated training."""

    def make(**fields):
        task = str(find_task_file("ram_insertion", True))
        return build_graph(GraphRequest(task, Mode.TRAIN, tmp_path, monitor=True, **fields))

    return make


def test_a_launched_run_and_one_of_the_tool_claim_the_same(graph):
    assert claims_of(graph(namespace="cell_1")) == claims_of_run(SIM, "cell_1")


def test_a_launched_run_is_refused_where_another_one_is(graph, monkeypatch):
    with hold_domain(claims_of_run(SIM, "")) as number:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
        with pytest.raises(
            DomainBusyError, match=rf"ROS_DOMAIN_ID={number}: process {os.getpid()} of account"
        ):
            reserve_launched(graph())


def test_and_the_tool_avoids_a_launched_one(graph, monkeypatch):
    with hold_domain([]) as free:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(free))
    with reserve_launched(graph()):
        monkeypatch.delenv("ROS_DOMAIN_ID")
        with hold_domain(claims_of_run(SIM, "")) as chosen:
            assert chosen != free


def test_an_actor_and_a_learner_that_are_launched_apart_meet(graph):
    """Two machines, played on one."""
    with reserve_launched(graph(actor=False)), reserve_launched(graph(learner=False)):
        pass


def test_who_only_looks_on_claims_nothing(graph):
    lookers = [process for process in graph() if process.name == "monitor"]
    assert lookers
    assert reserve_launched(lookers) is None


@pytest.mark.parametrize("name", robots())
def test_only_a_cell_that_runs_already_is_not_claimed(name):
    robot = find_robot(name)
    assert runs_elsewhere(robot) == (name == "external")
    assert ("cell /" in claims_of_run(robot, "")) == (name != "external")
