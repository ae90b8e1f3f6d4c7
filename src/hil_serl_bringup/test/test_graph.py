# SPDX-License-Identifier: Apache-2.0
"""The process graph: which nodes a run has, and that parameters reach them with their types."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator, Part, build_graph
from hil_serl_bringup.graph.process import ProcessSpec, yaml_scalar, yaml_value
from hil_serl_bringup.graph.robot_model import OperatorDevice
from hil_serl_bringup.graph.robot_processes import Cell
from hil_serl_core.episode import Mode
from hil_serl_teleop.layouts import DeviceLayout

RUN = Path("/tmp/run")


def graph(mode: Mode, **fields) -> dict[str, ProcessSpec]:
    return {spec.name: spec for spec in build_graph(GraphRequest("ram_insertion", mode, RUN, **fields))}


def test_training_in_the_simulator_is_four_processes():
    nodes = graph(Mode.TRAIN, seed=3)
    assert {name: (spec.package, spec.executable) for name, spec in nodes.items()} == {
        "learner": ("hil_serl_learner", "learner_node"),
        "sim": ("hil_serl_sim", "sim_node"),
        "operator": ("hil_serl_sim", "operator_node"),
        "actor": ("hil_serl_actor", "actor_node"),
    }
    assert nodes["sim"].parameters["speed"] == "lockstep"
    assert all(spec.parameters["seed"] == 3 for spec in nodes.values())
    assert all(nodes[name].parameters["lockstep"] is True for name in ("operator", "actor", "learner"))
    assert nodes["actor"].parameters["run_dir"] == "/tmp/run"


@pytest.mark.parametrize("mode", [Mode.RECORD_DEMOS, Mode.EVAL])
def test_only_training_has_a_learner(mode):
    assert "learner" not in graph(mode, checkpoint="/c", episodes=5)


def test_an_offline_run_is_the_learner_alone_and_ends_with_it():
    nodes = graph(Mode.TRAIN, actor=False, algorithm="bc")
    assert list(nodes) == ["learner"]
    assert nodes["learner"].ends_run
    assert nodes["learner"].parameters["algorithm"] == "bc"


def test_a_run_ends_with_the_actor_only_if_it_counts_episodes():
    assert graph(Mode.EVAL, checkpoint="/c", episodes=50)["actor"].ends_run
    assert not graph(Mode.TRAIN)["actor"].ends_run


def test_threads_never_spin_and_only_the_learner_has_more_than_one():
    nodes = graph(Mode.TRAIN, learner_threads=2)
    assert {spec.environment["OMP_WAIT_POLICY"] for spec in nodes.values()} == {"PASSIVE"}
    assert {name: spec.environment["OMP_NUM_THREADS"] for name, spec in nodes.items()} == {
        "learner": "2",
        "sim": "1",
        "operator": "1",
        "actor": "1",
    }


def test_the_operator_is_one_argument():
    device = {
        operator: set(graph(Mode.TRAIN, operator=operator, speed="1.0")) - {"sim", "actor", "learner"}
        for operator in Operator
    }
    assert device == {
        Operator.SCRIPTED: {"operator"},
        Operator.SPACENAV: {"spacenav"},
        Operator.JOY: {"joy"},
        Operator.KEYBOARD: {"keyboard"},
        Operator.NONE: set(),
    }


def test_the_layout_of_a_device_reaches_its_driver_and_the_actor():
    own = DeviceLayout(axes={"x": 1, "z": [5, -6]}, triggers=(5, 6))
    for layout, driver, text in (
        (None, "joy_node", None),
        ("xbox_bluetooth", "joy_node", "xbox_bluetooth"),
        ("game_controller", "game_controller_node", "game_controller"),
        (own, "joy_node", own.model_dump_json()),
    ):
        cell = Cell(devices={"joy": {"": OperatorDevice(layout=layout)}})
        nodes = graph(Mode.TRAIN, simulated=False, operator=Operator.JOY, cell=cell)
        assert nodes["joy"].executable == driver
        assert nodes["actor"].parameters.get("device_layout") == text
    two = {"left": OperatorDevice(layout="xbox"), "right": OperatorDevice(layout="xbox_bluetooth")}
    nodes = graph(
        Mode.TRAIN,
        simulated=False,
        operator=Operator.JOY,
        cell=Cell(devices={"joy": two}),
        arms=("left", "right"),
    )
    parameters = nodes["actor"].parameters
    assert parameters["left.device_layout"] == "xbox"
    assert parameters["right.device_layout"] == "xbox_bluetooth"
    assert "device_layout" not in graph(Mode.TRAIN, operator=Operator.NONE, cell=cell)["actor"].parameters


def test_a_robot_brings_its_own_drivers_and_no_simulator():
    arm = ProcessSpec("arm", "franka_bringup", "franka_node")
    nodes = graph(
        Mode.TRAIN,
        simulated=False,
        operator=Operator.SPACENAV,
        cell=Cell(drivers=(arm,), remappings={"a": "b"}),
    )
    assert "sim" not in nodes
    assert nodes["arm"] is arm
    assert nodes["actor"].remappings == {"a": "b"}
    assert nodes["actor"].parameters["lockstep"] is False
    assert "use_sim_time" not in nodes["actor"].parameters


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mode": Mode.RECORD_DEMOS, "operator": Operator.NONE}, "needs an operator"),
        ({"mode": Mode.TRAIN, "simulated": False}, "ground truth"),
        ({"mode": Mode.EVAL}, "needs a checkpoint"),
        ({"mode": Mode.TRAIN, "speed": "fast"}, "'lockstep' or a factor"),
        ({"mode": Mode.TRAIN, "speed": "-1"}, "'lockstep' or a factor"),
        ({"mode": Mode.TRAIN, "operator": Operator.KEYBOARD}, "speed 1.0"),
        ({"mode": Mode.TRAIN, "episodes": -1}, "no limit"),
        ({"mode": Mode.TRAIN, "extra": {"learnr": {"a": 1}}}, "learnr"),
    ],
)
def test_contradictions_are_refused_with_the_remedy(fields, message):
    with pytest.raises(ValueError, match=message):
        graph(**fields)


def test_a_relative_run_folder_is_refused():
    with pytest.raises(ValueError, match="absolute"):
        build_graph(GraphRequest("t", Mode.TRAIN, Path("runs/x")))


def test_extra_parameters_override():
    assert graph(Mode.TRAIN, extra={"learner": {"max_updates": 7}})["learner"].parameters["max_updates"] == 7


@given(
    st.one_of(
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    )
)
def test_parameters_keep_their_type_and_value(value):
    parsed = yaml.safe_load(yaml_scalar(value))
    if isinstance(
        value, float
    ):  # rcl reads 1e+20 as a double; PyYAML, which follows YAML 1.1, wants a dot in it
        parsed = float(parsed)
    assert parsed == value
    assert isinstance(parsed, type(value))


def test_a_parameter_has_to_be_finite():
    with pytest.raises(ValueError, match="finite"):
        yaml_scalar(float("nan"))


def test_names_of_node_and_namespace_are_arguments():
    spec = graph(Mode.TRAIN, namespace="left")["actor"]
    arguments = spec.ros_arguments()
    assert arguments[:5] == ["--ros-args", "-r", "__node:=actor", "-r", "__ns:=/left"]


def test_two_agents_have_a_learner_each_under_their_own_name():
    nodes = graph(Mode.TRAIN, partner="/back.yaml", namespace="cell")
    forward, backward = nodes["learner_forward"], nodes["learner_backward"]
    assert (forward.parameters["task"], backward.parameters["task"]) == ("ram_insertion", "/back.yaml")
    assert (forward.namespace, backward.namespace) == ("cell/forward", "cell/backward")
    assert forward.parameters["run_dir"] == str(RUN / "forward")
    assert nodes["actor"].parameters["partner_task"] == "/back.yaml"
    assert nodes["operator"].parameters["partner_task"] == "/back.yaml"
    assert nodes["actor"].namespace == "cell"


def test_an_evaluation_of_two_agents_needs_both_policies():
    with pytest.raises(GraphError, match="the checkpoint of each"):
        graph(Mode.EVAL, checkpoint="/c", partner="/back.yaml", operator=Operator.NONE)


def test_a_perturbation_is_the_simulators():
    fields = {
        "checkpoint": "/c",
        "operator": Operator.NONE,
        "perturbation": "move_target",
        "perturbation_step": 7,
    }
    sim = graph(Mode.EVAL, **fields)["sim"].parameters
    assert (sim["perturbation"], sim["perturbation_step"]) == ("move_target", 7)
    assert "perturbation" not in graph(Mode.TRAIN)["sim"].parameters
    with pytest.raises(GraphError, match="by hand"):
        graph(Mode.EVAL, **fields, simulated=False)


def test_the_actor_decides_how_to_act_unless_told():
    assert "deterministic" not in graph(Mode.TRAIN)["actor"].parameters
    assert graph(Mode.TRAIN, classifier="/c")["actor"].parameters["classifier"] == "/c"


def test_a_list_is_one_parameter_of_one_type():
    assert yaml.safe_load(yaml_value(["a", "1e1"])) == ["a", "1e1"]
    assert yaml.safe_load(yaml_value([1.0, 2.5])) == [1.0, 2.5]


def test_a_part_can_be_started_alone():
    request = GraphRequest("t", Mode.TRAIN, RUN, Operator.NONE)
    assert [spec.name for spec in build_graph(request, [Part.SIM])] == ["sim"]
    assert [spec.name for spec in build_graph(request, [Part.LEARNER, Part.ACTOR])] == ["learner", "actor"]


TWO = {"mode": Mode.TRAIN, "simulated": False, "arms": ("left", "right")}


def test_two_arms_have_a_device_each_where_the_robot_file_tells_them_apart():
    left, right = (OperatorDevice(environment={"SPNAV_SOCKET": f"/run/{arm}"}) for arm in ("left", "right"))
    cell = Cell(devices={"spacenav": {"left": left, "right": right}})
    nodes = graph(**TWO, operator=Operator.SPACENAV, cell=cell, namespace="cell")
    assert nodes["spacenav_left"].environment["SPNAV_SOCKET"] == "/run/left"
    assert nodes["spacenav_left"].node_name == "spacenav"
    assert nodes["spacenav_right"].namespace == "cell/right"
    assert "switched_operator" not in nodes["actor"].parameters


def test_one_device_for_two_arms_is_moved_by_a_button():
    nodes = graph(**TWO, operator=Operator.JOY, switch_button=True)
    assert nodes["joy"].namespace == ""
    assert nodes["actor"].parameters["switched_operator"] is True
    with pytest.raises(GraphError, match="switch_button"):
        graph(**TWO, operator=Operator.JOY)


def test_rviz_and_a_recording_watch_the_run(monkeypatch):
    monkeypatch.setattr("hil_serl_bringup.graph.observers.is_installed", lambda package: True)
    nodes = graph(
        Mode.TRAIN,
        rviz=True,
        record=True,
        record_images="compressed",
        cameras=("wrist_1",),
        arms=("left", "right"),
        namespace="cell",
    )
    assert nodes["rviz"].optional
    words = list(nodes["record"].arguments)
    topics = words[words.index("--topics") + 1 :]
    assert {"/cell/left/arm_state", "/cell/camera/wrist_1/image_raw/compressed", "/clock"} <= set(topics)
    assert words[words.index("--output") + 1].startswith("/tmp/run/record/")
    assert nodes["record"].ros_arguments() == []
    with pytest.raises(GraphError, match="record_images"):
        graph(Mode.TRAIN, record_images="raw")


def test_the_actor_takes_pictures_as_the_robot_file_says():
    def of(name, **changes):
        return graph(Mode.TRAIN, **changes)[name].parameters

    assert "image_transport" not in of("actor")
    assert "compressed" not in of("sim")
    cell = Cell(image_transport="compressed", transports={"wrist_2": "raw"})
    actor = of("actor", cell=cell)
    assert (actor["image_transport"], actor["wrist_2.image_transport"]) == ("compressed", "raw")
    assert of("sim", cell=cell)["compressed"] is True
    assert of("sim", record=True, record_images="compressed")["compressed"] is True


@pytest.mark.parametrize("rosbag", [True, False])
def test_topics_are_recorded_with_and_without_ros2_bag(rosbag, monkeypatch):
    monkeypatch.setattr(observers, "is_installed", lambda package: rosbag)
    recorder = graph(Mode.TRAIN, record=True, record_images="compressed", cameras=("side",))["record"]
    said = [*recorder.arguments, *recorder.parameters.get("topics", ())]
    assert recorder.package == ("ros2bag" if rosbag else "hil_serl_monitor")
    assert {"/camera/side/image_raw/compressed", "/arm_state", "/diagnostics"} <= set(said)
    assert "/camera/side/image_raw" not in said
