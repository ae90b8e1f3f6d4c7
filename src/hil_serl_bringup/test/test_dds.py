# SPDX-License-Identifier: Apache-2.0
"""Which DDS profile actor and learner get, and how several actors reach one learner in the process graph."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator, build_graph
from hil_serl_bringup.graph.dds import VARIABLE, profile_file, profiles
from hil_serl_core.episode import Mode


def test_auto_is_the_suites_profile_on_two_machines_unless_the_user_has_one():
    assert profile_file("auto", two_machines=False, environment={}) is None
    assert profile_file("auto", two_machines=True, environment={VARIABLE: "mine.xml"}) is None
    assert profile_file("none", two_machines=True, environment={}) is None
    file = profile_file("auto", two_machines=True, environment={})
    assert file == profile_file("two_machines", two_machines=False, environment={VARIABLE: "mine.xml"})


def test_a_fragment_of_the_profile_fits_a_packet():
    root = ElementTree.parse(profiles()["two_machines"]).getroot()
    values = {
        item.find("{*}name").text: item.find("{*}value").text
        for item in root.iter("{http://www.eprosima.com}property")
    }
    headers = 20 + 8 + 60  # IP, UDP, and a tunnel's
    assert int(values["fastdds.max_message_size"]) <= 1500 - headers


def test_a_profile_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no DDS profile 'two_machine'; give one of auto, none, two_machines"
    ):
        profile_file("two_machine", two_machines=True, environment={})
    own = tmp_path / "own.xml"
    own.write_text("<dds/>")
    assert profile_file(str(own), two_machines=False, environment={}) == own


def request(tmp_path, **changes):
    fields = {
        "task": "task.yaml",
        "mode": Mode.TRAIN,
        "run_dir": tmp_path,
        "operator": Operator.NONE,
        "simulated": False,
        "dds_profile": "/profiles/own.xml",
        **changes,
    }
    return GraphRequest(**fields)


def test_only_actor_and_learner_speak_with_the_profile(tmp_path):
    processes = build_graph(request(tmp_path, simulated=True))
    profiled = {
        process.name for process in processes if process.environment.get(VARIABLE) == "/profiles/own.xml"
    }
    assert profiled == {"actor", "learner"}
    assert len(processes) > 2
    assert not any(
        VARIABLE in process.environment for process in build_graph(request(tmp_path, dds_profile=""))
    )


def test_a_learner_alone_serves_the_cells_it_is_told_of(tmp_path):
    (learner,) = build_graph(request(tmp_path, actor=False, actors="cell_1, cell_2", namespace="lab"))
    assert (learner.parameters["actors"], learner.namespace) == ("/lab/cell_1,/lab/cell_2", "lab")
    forward, backward = build_graph(
        request(tmp_path, actor=False, actors="cell_1,cell_2", partner="back.yaml")
    )
    assert forward.parameters["actors"] == "/cell_1/forward,/cell_2/forward"
    assert (backward.parameters["actors"], backward.namespace) == (
        "/cell_1/backward,/cell_2/backward",
        "backward",
    )


def test_several_actors_are_for_a_learner_alone_in_real_time(tmp_path):
    for changes in ({}, {"actor": False, "simulated": True, "speed": "lockstep"}):
        with pytest.raises(GraphError, match="learner_only"):
            build_graph(request(tmp_path, actors="cell_1", **changes))
