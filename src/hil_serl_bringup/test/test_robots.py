# SPDX-License-Identifier: Apache-2.0
"""Robot files."""

import pytest

from hil_serl_bringup.graph import GraphError, GraphRequest, Operator, build_graph
from hil_serl_bringup.robots import RobotFileError, find_robot, robot_folders
from hil_serl_core.episode import Mode


def test_every_robot_file_of_the_suite_loads():
    files = [file for folder in robot_folders() for file in folder.glob("*.yaml")]
    assert {file.stem for file in files} >= {"panda_sim", "external"}
    assert all(find_robot(str(file)).name == file.stem for file in files)


def test_drivers_become_processes(tmp_path):
    path = tmp_path / "cell.yaml"
    path.write_text(
        "name: cell\ndescription: d\nsimulated: false\nremappings: {arm_state: fr3/arm_state}\n"
        "drivers:\n  - {name: wrist_1, package: realsense2_camera, executable: realsense2_node,\n"
        "   parameters: {serial_no: '_1', fps: 30}, remappings: {a: camera/wrist_1/image_raw}}\n"
    )
    robot = find_robot(str(path))
    request = GraphRequest(
        "t", Mode.TRAIN, tmp_path, Operator.SPACENAV, simulated=False, remappings=robot.remappings,
        drivers=[driver.process("left") for driver in robot.drivers],
    )  # fmt: skip
    nodes = {process.name: process for process in build_graph(request)}
    assert nodes["wrist_1"].parameters == {"serial_no": "_1", "fps": 30}
    assert nodes["wrist_1"].max_restarts > 0
    assert "-r __ns:=/left" in " ".join(nodes["wrist_1"].ros_arguments())
    assert nodes["actor"].remappings == {"arm_state": "fr3/arm_state"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: a\ndescription: d\nsimulated: maybe\n", "simulated"),
        ("name: a\ndescription: d\nsimulated: true\nspeed: 3\n", "speed"),
        ("name: [", "not valid YAML"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path, content, message):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(RobotFileError, match=message) as caught:
        find_robot(str(path))
    assert str(path) in str(caught.value)


def test_an_unknown_robot_gets_the_nearest_name():
    with pytest.raises(RobotFileError, match="did you mean 'panda_sim'"):
        find_robot("panda_sm")


def test_a_gymnasium_environment_takes_the_place_of_the_twin(tmp_path):
    path = tmp_path / "slide.yaml"
    path.write_text("name: slide\ndescription: d\nsimulated: true\ngym: {environment: 'my_world:Slide'}\n")
    robot = find_robot(str(path))
    assert not robot.has_twin
    assert find_robot("panda_sim").has_twin
    fields = {"gym": robot.gym.model_dump(), "operator": Operator.NONE}
    nodes = {p.name: p for p in build_graph(GraphRequest("t", Mode.TRAIN, tmp_path, **fields))}
    assert nodes["sim"].executable == "gym_node"
    assert nodes["sim"].parameters["environment"] == "my_world:Slide"
    with pytest.raises(GraphError, match="scripted operator"):
        build_graph(GraphRequest("t", Mode.TRAIN, tmp_path, gym=fields["gym"]))
