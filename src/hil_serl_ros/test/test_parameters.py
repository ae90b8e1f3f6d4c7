# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import ParameterImmutableException
from rclpy.node import Node
from rclpy.parameter import Parameter

from hil_serl_ros.parameters import ParameterError, Parameters


@pytest.fixture
def node_with() -> Iterator[Callable[..., Node]]:
    """Nodes with parameters as a launch file or command line gives them."""
    context = Context()
    rclpy.init(context=context)
    nodes: list[Node] = []

    def make(**values: object) -> Node:
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        nodes.append(
            Node(
                f"node_{len(nodes)}",
                context=context,
                parameter_overrides=overrides,
                start_parameter_services=False,
                enable_rosout=False,
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_defaults_and_given_values(node_with: Callable[..., Node], tmp_path: Path) -> None:
    parameters = Parameters(node_with(rate=20, operator="joy", seed=7, verbose=True, run_dir=str(tmp_path)))
    assert parameters.number("rate", 10.0) == 20.0
    assert parameters.string("operator", "none", choices=["none", "joy"]) == "joy"
    assert parameters.integer("seed", 0, minimum=0) == 7
    assert parameters.boolean("verbose", False) is True
    assert parameters.path("run_dir", must_exist=True) == tmp_path
    assert parameters.number("speed", 1.0) == 1.0
    assert parameters.path("home", "~/x") == Path.home() / "x"


def test_number_given_for_a_name_is_its_text(node_with: Callable[..., Node]) -> None:
    assert Parameters(node_with(actor_id=7)).string("actor_id", "actor") == "7"


@pytest.mark.parametrize(
    ("given", "read", "text"),
    [
        ({}, lambda p: p.string("task"), r"'task' is required.*-p task:=VALUE"),
        ({"task": ""}, lambda p: p.string("task"), r"'task' is '', expected a non-empty string"),
        (
            {"operator": "scriptd"},
            lambda p: p.string("operator", "none", choices=["none", "scripted"]),
            r"expected one of none, scripted; did you mean 'scripted'",
        ),
        (
            {"rate": 0.0},
            lambda p: p.number("rate", 10.0, minimum=0.1),
            r"'rate' is 0.0, expected a number of at least 0.1",
        ),
        ({"rate": "fast"}, lambda p: p.number("rate", 10.0), r"'rate' is 'fast', expected a number"),
        ({"rate": True}, lambda p: p.number("rate", 10.0), r"expected a number"),
        ({"rate": float("nan")}, lambda p: p.number("rate", 10.0), r"expected a number"),
        ({"seed": 1.5}, lambda p: p.integer("seed", 0), r"'seed' is 1.5, expected a whole number"),
        ({"seed": 9}, lambda p: p.integer("seed", 0, minimum=0, maximum=8), r"a whole number from 0 to 8"),
        ({"verbose": 1}, lambda p: p.boolean("verbose", False), r"expected true or false"),
        ({"run_dir": "/no/such"}, lambda p: p.path("run_dir", must_exist=True), r"expected an existing path"),
    ],
)
def test_refusals_name_node_parameter_value_and_what_is_expected(
    given: dict, read: Callable[[Parameters], object], text: str, node_with: Callable[..., Node]
) -> None:
    node = node_with(**given)
    with pytest.raises(ParameterError, match=rf"^/{node.get_name()}: parameter .*{text}"):
        read(Parameters(node))


def test_parameters_do_not_change_while_the_node_runs(node_with: Callable[..., Node]) -> None:
    node = node_with()
    Parameters(node).number("rate", 10.0)
    (result,) = node.set_parameters([Parameter("rate", value=5.0)])
    assert not result.successful
    assert node.get_parameter("rate").value == 10.0
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("rate")


def test_lists_are_read_with_their_types(node_with):
    read = Parameters(node_with(joints=["a", "b"], position=[0.5, -1.0], whole=[1, 2]))
    assert read.strings("joints") == ["a", "b"]
    assert read.numbers("position") == [0.5, -1.0]
    assert read.numbers("whole") == [1.0, 2.0]
    assert read.strings("none", ()) == []
    assert read.numbers("neither", ()) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [("numbers", ["a"]), ("numbers", 3.0), ("numbers", [float("nan")]), ("strings", [1]), ("strings", "a")],
)
def test_a_wrong_list_is_refused_by_name(node_with, kind, value):
    read = Parameters(node_with(joints=value))
    with pytest.raises(ParameterError, match=r"'joints' is .* expected a list"):
        getattr(read, kind)("joints")
