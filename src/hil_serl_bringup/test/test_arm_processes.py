# SPDX-License-Identifier: Apache-2.0
"""Arms of a robot file under ros2_control: description, controllers with the task's gains, spawners, gripper."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from hil_serl_bringup.graph.description import with_frames
from hil_serl_bringup.graph.executables import ExecutableNotFound
from hil_serl_bringup.graph.robot_processes import cell_of
from hil_serl_bringup.graph.robots import RobotFileError, find_robot
from hil_serl_bringup.graph.task_control import controller_parameters
from hil_serl_core.spec import task_from_dict
from hil_serl_tasks.finder import find_task

CONTROLLER_PACKAGE = Path(__file__).parents[2] / "serl_impedance_controller"
PARAMETERS = CONTROLLER_PACKAGE / "src/plugin/cartesian_controller_parameters.yaml"
RAM = find_task("ram_insertion", simulated=False)
USB = find_task("usb_insertion", simulated=False)
FLIP = find_task("object_flip", simulated=False)
HANDOVER = find_task("object_handover", simulated=False)

URDF = """<robot name="r"><link name="foot"/><link name="hand"/>
<joint name="joint1" type="revolute"><parent link="foot"/><child link="hand"/><axis xyz="0 0 1"/>
<limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"""
CONTROLLERS = """
controller_manager:
  ros__parameters:
    update_rate: 500
    cartesian_controller: {type: serl_impedance_controller/CartesianController}
cartesian_controller:
  ros__parameters:
    joints: [joint1, joint2, joint3, joint4, joint5, joint6]
    gravity_compensation: true
    profiles: {precision: {stiffness: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}}
joint_trajectory_controller:
  ros__parameters:
    joints: [joint1]
    gains: {joint1: {p: 1.0}}
"""
ARM = """
  description: arm.urdf
  base_link: foot
  tcp_link: hand
  controllers: controllers.yaml
  inactive: [joint_trajectory_controller]
  gripper: {kind: franka, controllers: [hand_controller], parameters: {speed: 0.2}}
  drivers: [{name: lock, package: my_arm, executable: lock_node}]
"""


def robot_of(tmp_path, arms="arm:" + ARM, more=""):
    (tmp_path / "arm.urdf").write_text(URDF)
    (tmp_path / "controllers.yaml").write_text(CONTROLLERS)
    path = tmp_path / "cell.yaml"
    path.write_text(f"name: cell\ndescription: d\n{arms}{more}")
    return find_robot(str(path))


def nodes_of(robot, task, tmp_path, namespace=""):
    cell = cell_of(robot, task, tmp_path / "task.yaml", namespace, tmp_path / "run")
    return {process.name: process for process in cell.drivers}


def parameters_in(process):
    """Content of a process's parameter file, by full node name."""
    (file,) = process.parameter_files
    return {node: entry["ros__parameters"] for node, entry in yaml.safe_load(Path(file).read_text()).items()}


def test_an_arm_is_a_description_a_manager_spawners_and_the_node_that_resets(tmp_path):
    nodes = nodes_of(robot_of(tmp_path), RAM, tmp_path)
    assert list(nodes) == [
        "robot_state_publisher",
        "controller_manager",
        "spawner",
        "spawner_inactive",
        "lock",
        "cell",
    ]
    manager, spawner = nodes["controller_manager"], nodes["spawner"]
    assert not any("__node" in word for word in manager.ros_arguments())  # it would rename the controllers
    assert spawner.one_shot
    words = list(spawner.arguments)
    assert words[:2] == ["joint_state_broadcaster", "cartesian_controller"]
    assert words[words.index("--controller-manager") + 1] == "/controller_manager"
    assert words[words.index("--param-file") + 1] == manager.parameter_files[0]
    assert "--inactive" in nodes["spawner_inactive"].arguments
    assert nodes["cell"].parameters["task"] == str(tmp_path / "task.yaml")


def test_the_task_decides_frames_gains_and_clips_and_the_robot_the_rest(tmp_path):
    files = parameters_in(nodes_of(robot_of(tmp_path), RAM, tmp_path)["controller_manager"])
    own = files["/cartesian_controller"]
    assert (own["base_frame"], own["tcp_frame"]) == (RAM.base_frame, RAM.tcp_frame)
    assert own["gravity_compensation"] is True
    assert own["mode"] == "impedance"
    assert own["profile"] == "compliance"
    assert own["profiles"]["precision"]["stiffness"][0] == 1.0
    gains = own["profiles"]["compliance"]
    assert gains["stiffness"] == [2000.0] * 3 + [75.0] * 3
    assert gains["damping"] == [89.0] * 3 + [7.0] * 3
    assert gains["clip_pos"][:3] == [0.0075, 0.0016, 0.0055]
    joints = len(own["joints"])
    assert gains["nullspace_stiffness"] == [20.0] + [0.2] * (joints - 1)
    assert files["/controller_manager"]["update_rate"] == 500


@pytest.mark.parametrize(
    ("robot", "task", "lowest"),
    [
        ([0.99], 1.0, [0.99]),
        ([2.0], 1.0, [1.0]),
        ([0.9, 1.5], 1.0, [0.9, 1.0]),
        (None, 0.8, [0.8]),
    ],
)
def test_of_the_robots_torque_rate_and_the_tasks_the_lower_one_counts(robot, task, lowest):
    own = {} if robot is None else {"torque_rate": robot}
    control = RAM.control.model_copy(update={"torque_rate_limit": task})
    assert (
        controller_parameters(RAM.model_copy(update={"control": control}), "", own)["torque_rate"] == lowest
    )


@pytest.mark.parametrize("name", ["fr3", "bimanual_fr3", "panda"])
def test_a_franka_sets_the_pace_of_its_loop_and_gets_no_torque_step_that_it_refuses(name):
    for arm in find_robot(name).arms_by_name.values():
        file = yaml.safe_load((CONTROLLER_PACKAGE / arm.controllers.file).read_text())
        loop = file["controller_manager"]["ros__parameters"]
        own = file["cartesian_controller"]["ros__parameters"]
        assert loop["overruns"]["manage"] is False  # as in franka_ros2's own files
        # libfranka's kMaxTorqueRate is 1000 Nm/s less a hair; the tasks ask for 1 Nm per ms.
        assert max(controller_parameters(RAM, "", own)["torque_rate"]) < 1.0


def test_a_wrench_task_brings_its_limits_and_its_box(tmp_path):
    own = parameters_in(nodes_of(robot_of(tmp_path), FLIP, tmp_path)["controller_manager"])[
        "/cartesian_controller"
    ]
    arm = FLIP.arm("")
    assert own["mode"] == "wrench"
    assert len(own["wrench_limit"]) == 6
    low, high = own["workspace"][:3], own["workspace"][3:]
    assert low[2] == pytest.approx(arm.nominal_position[2] + arm.workspace.lower[2])
    assert all(a < b for a, b in zip(low, high, strict=True))


@pytest.mark.parametrize("task", [RAM, FLIP])
def test_every_task_brings_its_box_its_largest_turn_and_its_speed_limits(tmp_path, task):
    own = parameters_in(nodes_of(robot_of(tmp_path), task, tmp_path)["controller_manager"])[
        "/cartesian_controller"
    ]
    arm = task.arm("")
    low, high = own["workspace"][:3], own["workspace"][3:]
    for i in range(3):
        assert low[i] == pytest.approx(arm.nominal_position[i] + arm.workspace.lower[i])
        assert high[i] == pytest.approx(arm.nominal_position[i] + arm.workspace.upper[i])
    assert own["workspace_max_rotation"] == arm.workspace.max_rotation
    assert own["workspace_orientation"] == pytest.approx(
        [1.0, 0.0, 0.0, 0.0], abs=1e-6
    )  # the tool points down
    assert own["pose_linear_speed"] == task.control.linear_speed
    assert own["pose_angular_speed"] == task.control.angular_speed
    assert "joint_speed" not in own  # the arm's own, from its description


def test_what_a_task_says_is_a_parameter_of_the_controller(tmp_path):
    """generate_parameter_library refuses what it does not know only on a full install."""
    declared = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["cartesian_controller"]
    content = FLIP.model_dump(mode="json")
    content["control"]["joint_speed"] = 1.5
    for task in (RAM, FLIP, task_from_dict(content)):
        parameters = controller_parameters(task, "", {})
        profiles = parameters.pop("profiles")
        types = {"double": float, "string": str, "double_array": list, "string_array": list}
        for name, value in parameters.items():
            assert type(value) is types[declared[name]["type"]], name
        for name in profiles["compliance"]:
            assert name in declared["profiles"]["__map_profile_names"], name


def test_the_tasks_frames_are_links_of_the_description(tmp_path):
    publisher = nodes_of(robot_of(tmp_path), RAM, tmp_path)["robot_state_publisher"]
    urdf = ElementTree.fromstring(parameters_in(publisher)["/**"]["robot_description"])
    fixed = {
        joint.find("child").get("link"): joint.find("parent").get("link")
        for joint in urdf.iter("joint")
        if joint.get("type") == "fixed"
    }
    assert fixed == {RAM.base_frame: "foot", RAM.tcp_frame: "hand"}


def test_a_gripper_is_driven_where_the_task_moves_it(tmp_path):
    nodes = nodes_of(robot_of(tmp_path), USB, tmp_path, "cell_1")
    assert nodes["gripper"].parameters == {"kind": "franka", "speed": 0.2}
    assert nodes["gripper"].namespace == "cell_1"
    assert "hand_controller" in nodes["spawner"].arguments
    assert "/cell_1/cartesian_controller" in parameters_in(nodes["controller_manager"])


def test_two_arms_are_apart(tmp_path):
    indented = ARM.replace("\n  ", "\n    ")
    arms = "".join(f"  {name}:{indented}    joint_prefix: {name}_\n" for name in ("left", "right"))
    nodes = nodes_of(robot_of(tmp_path, f"arms:\n{arms}"), HANDOVER, tmp_path, "cell")
    left = nodes["left_controller_manager"]
    assert left.namespace == "cell/left"
    assert "/cell/left/controller_manager" in nodes["left_spawner"].arguments
    files = parameters_in(left)
    assert files["/cell/left/cartesian_controller"]["joints"] == [f"left_joint{i}" for i in range(1, 7)]
    assert list(files["/cell/left/joint_trajectory_controller"]["gains"]) == ["left_joint1"]
    base = HANDOVER.arm("left").base_frame
    assert files["/cell/left/cartesian_controller"]["base_frame"] == base
    description = parameters_in(nodes["left_robot_state_publisher"])["/**"]["robot_description"]
    assert parents(description)["foot"] == base
    assert nodes["right_lock"].node_name == "lock"
    assert sum(name == "cell" for name in nodes) == 1


def parents(urdf):
    """Link -> its parent, of a description."""
    joints = ElementTree.fromstring(urdf).iter("joint")
    return {joint.find("child").get("link"): joint.find("parent").get("link") for joint in joints}


SHARED_ROOT = URDF.replace(
    "</robot>",
    """<link name="base"/><joint name="mount" type="fixed"><origin xyz="0 0 0.1"/><parent link="base"/>
    <child link="foot"/></joint></robot>""",
)


@pytest.mark.parametrize("urdf", [URDF, SHARED_ROOT], ids=["own root", "shared root"])
def test_the_bases_of_two_arms_can_be_placed_in_the_world(urdf):
    """markers_node places the task's base frames there: each has to be the root of its arm, or they have two parents."""
    left = parents(with_frames(urdf, {"left_base": "foot", "left_tcp": "hand"}, "left", base_on_top=True))
    assert left == {"foot": "left_base", "hand": "foot", "left_tcp": "hand"}


@pytest.mark.parametrize(
    ("link", "kind", "parent", "child"),
    [
        ('<link name="rail"/>', "fixed", "base", "rail"),
        ('<link name="rail"><visual/></link>', "fixed", "rail", "base"),
        ('<link name="rail"/>', "prismatic", "rail", "base"),
    ],
    ids=["something else on it", "a body", "an axis"],
)
def test_what_an_arm_stands_on_is_not_taken_away(link, kind, parent, child):
    joint = f'<joint name="j" type="{kind}"><parent link="{parent}"/><child link="{child}"/></joint>'
    urdf = SHARED_ROOT.replace("</robot>", f"{link}{joint}</robot>")
    left = parents(with_frames(urdf, {"left_base": "foot"}, "left", base_on_top=True))
    assert left == parents(urdf) | {"left_base": "foot"}


def test_a_robot_with_other_arms_than_the_task_is_refused(tmp_path):
    robot = robot_of(tmp_path)
    with pytest.raises(RobotFileError, match="has one arm, task 'object_handover' needs arms left and right"):
        nodes_of(robot, HANDOVER, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base_link: foot", "base_link: feet", r"no link 'feet' .* set base_link .* foot, hand"),
        ("tcp_link: hand", "", r"no link 'tcp' .* set tcp_link"),
        ("description: arm.urdf", "description: arm2.urdf", r"no file .*arm2\.urdf"),
        ("description: arm.urdf", "description: controllers.yaml", "is no URDF"),
        ("controllers: controllers.yaml", "controllers: arm.urdf", "no ROS parameter file"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, old, new, message):
    robot = robot_of(tmp_path, "arm:" + ARM.replace(old, new))
    with pytest.raises(RobotFileError, match=message):
        nodes_of(robot, RAM, tmp_path)


def test_a_missing_package_is_named_with_how_to_get_it(tmp_path):
    robot = robot_of(tmp_path, "arm:" + ARM.replace("arm.urdf", "{package: no_such_arm, file: a.urdf}"))
    with pytest.raises(ExecutableNotFound, match="ros-jazzy-no-such-arm"):
        nodes_of(robot, RAM, tmp_path)


@pytest.mark.parametrize(("robot", "task"), [("mock", RAM), ("mock", USB), ("bimanual_mock", HANDOVER)])
def test_the_mock_cell_fits_the_tasks(tmp_path, monkeypatch, robot, task):
    pytest.importorskip("xacro")
    source = Path(__file__).parents[2] / "serl_impedance_controller"
    shares = {"serl_impedance_controller": source, "xacro": tmp_path}
    monkeypatch.setattr("hil_serl_bringup.graph.description.package_share", shares.__getitem__)
    nodes = nodes_of(find_robot(robot), task, tmp_path)
    for arm in task.arm_names:
        prefix = f"{arm}_" if arm else ""
        files = parameters_in(nodes[f"{prefix}controller_manager"])
        urdf = ElementTree.fromstring(
            parameters_in(nodes[f"{prefix}robot_state_publisher"])["/**"]["robot_description"]
        )
        joints = {joint.get("name") for joint in urdf.iter("joint")}
        links = {link.get("name") for link in urdf.iter("link")}
        namespace = f"/{arm}" if arm else ""
        assert set(files[f"{namespace}/cartesian_controller"]["joints"]) <= joints
        assert files[f"{namespace}/gripper_action_controller"]["joint"] in joints
        assert {task.arm(arm).base_frame, task.arm(arm).tcp_frame} <= links
