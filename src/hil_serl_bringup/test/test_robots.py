# SPDX-License-Identifier: Apache-2.0
"""Robot files."""

import pytest

from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator, build_graph
from hil_serl_bringup.graph.robot_processes import cell_of, robot_fields
from hil_serl_bringup.graph.robots import RobotFileError, find_robot, robot_folders
from hil_serl_core.episode import Mode
from hil_serl_ros.scheduling import VARIABLE
from hil_serl_tasks.finder import find_task

TASK = find_task("ram_insertion", simulated=False)
HEAD = "name: cell\ndescription: d\n"


def robot_of(tmp_path, content):
    path = tmp_path / "cell.yaml"
    path.write_text(HEAD + content)
    return find_robot(str(path))


def nodes_of(robot, tmp_path, task=TASK, namespace="", **fields):
    """The processes of a training with a robot."""
    values = robot_fields(robot, task, tmp_path / "task.yaml", namespace, tmp_path)
    request = GraphRequest(
        "t", Mode.TRAIN, tmp_path, Operator.SPACENAV, namespace=namespace, **values, **fields
    )
    return {process.name: process for process in build_graph(request)}


def test_every_robot_file_of_the_suite_loads():
    files = [file for folder in robot_folders() for file in folder.glob("*.yaml")]
    assert {file.stem for file in files} >= {"sim", "external", "mock", "fr3", "panda", "bimanual_fr3"}
    assert all(find_robot(str(file)).name == file.stem for file in files)


def test_drivers_become_processes(tmp_path):
    robot = robot_of(
        tmp_path,
        "remappings: {arm_state: fr3/arm_state}\n"
        "drivers:\n  - {name: wrist_1, package: realsense2_camera, executable: realsense2_node,\n"
        "   parameters: {serial_no: '_1', rgb: {fps: 30, roi: [1, 2]}}, remappings: {a: camera/wrist_1/image_raw}}\n",
    )
    nodes = nodes_of(robot, tmp_path, namespace="left")
    assert nodes["wrist_1"].parameters == {"serial_no": "_1", "rgb.fps": 30, "rgb.roi": [1, 2]}
    assert nodes["wrist_1"].max_restarts > 0
    assert "-r __ns:=/left" in " ".join(nodes["wrist_1"].ros_arguments())
    assert "-p rgb.roi:=[1, 2]" in " ".join(nodes["wrist_1"].ros_arguments())
    assert nodes["actor"].remappings == {"arm_state": "fr3/arm_state"}


def test_a_launch_file_and_a_component_are_processes_too(tmp_path):
    robot = robot_of(
        tmp_path,
        "drivers:\n  - {name: lights, package: my_lights, launch_file: lights.launch.py, launch_arguments: {level: '0.8'}}\n"  # noqa: E501
        "  - {name: cam, package: my_cam, component: my_cam::Node, parameters: {id: '1e1'}, remappings: {image: a}}\n",
    )
    lights, cam = cell_of(robot, TASK, tmp_path / "t.yaml", "cell", tmp_path).drivers
    assert (lights.package, lights.executable) == ("hil_serl_bringup", "included_launch")
    assert list(lights.arguments) == ["--namespace", "cell", "my_lights", "lights.launch.py", "level:=0.8"]
    assert "my_lights" in lights.requires
    words = " ".join(cam.arguments)
    assert words.startswith("component standalone my_cam my_cam::Node --node-name cam --node-namespace /cell")
    assert "--remap-rule image:=a" in words
    assert "--parameter id:='1e1'" in words
    assert not cam.ros_arguments()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("simulated: maybe\n", "simulated"),
        ("simulated: true\nspeed: 3\n", "speed"),
        ("name: [", "not valid YAML"),
        ("drivers: [{name: a, package: p}]\n", "executable, component and launch_file"),
        ("drivers: [{name: a, package: p, executable: e, parameters: {b: [1, a]}}]\n", "of one type"),
        ("drivers: [{name: a, package: p, executable: e, parameters: {b: null}}]\n", "parameter 'b'"),
        ("cameras: {wrist_1: {driver: realsense2_camera, serial: 0123}}\n", "in quotes"),
        ("cameras: {wrist_1: {driver: usb_cam}}\n", "serial or device"),
        ("cameras: {wrist_1: {driver: realsense2_camera, device: /dev/video0}}\n", "by its serial"),
        ("simulated: true\ncameras: {wrist_1: {driver: mock}}\n", "simulator publishes"),
        ("gym: {environment: a}\n", "simulated: true"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path, content, message):
    with pytest.raises(RobotFileError, match=message) as caught:
        robot_of(tmp_path, content)
    assert str(tmp_path / "cell.yaml") in str(caught.value)


def test_an_unknown_robot_gets_the_nearest_name():
    with pytest.raises(RobotFileError, match="did you mean 'fr3'"):
        find_robot("fr33")


def test_a_gymnasium_environment_takes_the_place_of_the_twin(tmp_path):
    robot = robot_of(tmp_path, "simulated: true\ngym: {environment: 'my_world:Slide'}\n")
    assert not robot.has_twin
    assert find_robot("sim").has_twin
    fields = {"gym": robot.gym.model_dump(), "operator": Operator.NONE}
    nodes = {p.name: p for p in build_graph(GraphRequest("t", Mode.TRAIN, tmp_path, **fields))}
    assert nodes["sim"].executable == "gym_node"
    assert nodes["sim"].parameters["environment"] == "my_world:Slide"
    with pytest.raises(GraphError, match="scripted operator"):
        build_graph(GraphRequest("t", Mode.TRAIN, tmp_path, gym=fields["gym"]))


ARM = """
arm:
  description: arm.urdf
  base_link: foot
  tcp_link: hand
  controllers: controllers.yaml
"""
URDF = """<robot name="r"><link name="foot"/><link name="hand"/>
<joint name="joint1" type="revolute"><parent link="foot"/><child link="hand"/><axis xyz="0 0 1"/>
<limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"""
CONTROLLERS = """
controller_manager:
  ros__parameters: {cartesian_controller: {type: serl_impedance_controller/CartesianController}}
cartesian_controller: {ros__parameters: {joints: [joint1, joint2, joint3, joint4, joint5, joint6]}}
"""


@pytest.fixture
def with_arm(tmp_path):
    """Content of a robot file with an arm."""
    (tmp_path / "arm.urdf").write_text(URDF)
    (tmp_path / "controllers.yaml").write_text(CONTROLLERS)
    return ARM


def scheduling_of(nodes):
    """Process to what it asks the system for; processes that ask for nothing are left out."""
    asked = {name: process.environment.get(VARIABLE, "") for name, process in nodes.items()}
    return {name: text for name, text in asked.items() if text}


def test_on_a_real_cell_actor_and_cell_go_first_and_the_learner_last(tmp_path, with_arm):
    nodes = nodes_of(robot_of(tmp_path, with_arm), tmp_path)
    assert scheduling_of(nodes) == {"actor": "nice=-10", "cell": "nice=-10", "learner": "nice=10"}
    external = nodes_of(robot_of(tmp_path, ""), tmp_path)
    assert scheduling_of(external) == {"actor": "nice=-10", "learner": "nice=10"}


def test_a_robot_file_says_who_goes_first(tmp_path, with_arm):
    own = "scheduling:\n  actor: {nice: -5, realtime: 20, cpus: [2, 3]}\n  learner: {nice: 0}\n"
    nodes = nodes_of(robot_of(tmp_path, with_arm + own), tmp_path)
    assert scheduling_of(nodes) == {"actor": "nice=-5 realtime=20 cpus=2,3", "cell": "nice=-10"}
    with pytest.raises(RobotFileError, match="realtime"):
        robot_of(tmp_path, "scheduling: {actor: {realtime: 99}}")


def test_a_simulated_cell_waits_so_that_nobody_has_to_go_first(tmp_path):
    nodes = nodes_of(find_robot("sim"), tmp_path, find_task("ram_insertion", simulated=True), speed="1.0")
    assert scheduling_of(nodes) == {}


def test_a_learner_on_a_machine_of_its_own_is_not_put_last(tmp_path, with_arm):
    values = robot_fields(
        robot_of(tmp_path, with_arm), TASK, tmp_path / "task.yaml", "", tmp_path, driven=False
    )
    request = GraphRequest("t", Mode.TRAIN, tmp_path, Operator.NONE, actor=False, **values)
    assert scheduling_of({process.name: process for process in build_graph(request)}) == {}


def test_the_layout_of_a_gamepad_is_a_known_name_or_written_out(tmp_path):
    robot = robot_of(tmp_path, "joy: {single: {layout: xbox_bluetooth}}\n")
    assert robot.joy["single"].layout == "xbox_bluetooth"
    own = robot_of(tmp_path, "joy: {left: {layout: {axes: {x: 2, z: [5, -6]}, triggers: [5, 6]}}}\n")
    assert own.joy["left"].layout.axes == {"x": (2,), "z": (5, -6)}
    for wrong, says in (
        ("nintendo", "xbox_bluetooth"),
        ("{axes: {x: 0}}", "0 is no Joy axis"),
        ("{axes: {x: 1}, trigger: [1]}", "trigger"),
        ("{axes: {x: 1}, triggers: [2]}", "no axis of the device uses"),
    ):
        with pytest.raises(RobotFileError, match=says):
            robot_of(tmp_path, f"joy: {{single: {{layout: {wrong}}}}}\n")


@pytest.mark.parametrize("name", ["fr3", "panda", "bimanual_fr3", "mock", "bimanual_mock"])
def test_every_gripper_that_ships_names_its_finger(name):
    """A driver's joint states may hold several joints, and the gripper node does not guess."""
    for arm in find_robot(name).arms_by_name.values():
        assert arm.gripper.ros_parameters["joint"]
