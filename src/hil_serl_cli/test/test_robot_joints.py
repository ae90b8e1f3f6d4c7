# SPDX-License-Identifier: Apache-2.0
"""How many joints an arm has comes from the robot file, and the run is made for it."""

import pytest
import yaml

from hil_serl_bringup.graph.robot_processes import cell_of, fitted, joints_of
from hil_serl_bringup.graph.robots import RobotFileError, find_robot
from hil_serl_bringup.opening import RewardOptions, open_folder
from hil_serl_datasets.lerobot import features_of
from hil_serl_runs.run_folder import RunFolder
from hil_serl_tasks.finder import find_task

FLIP = find_task("object_flip", simulated=False)  # its state has joints
RAM = find_task("ram_insertion", simulated=False)
CONTROLLERS = {"cartesian_controller": {"ros__parameters": {"joints": [f"j{k}" for k in range(6)]}}}
ARM = "arm: {description: {file: a.urdf}, controllers: {file: controllers.yaml}}\n"


@pytest.fixture
def robot_of(tmp_path):
    """``robot_of(content)``: a robot file beside a controller file with six joints."""
    (tmp_path / "controllers.yaml").write_text(yaml.safe_dump(CONTROLLERS))
    (tmp_path / "a.urdf").write_text("<robot name='r'><link name='base'/><link name='tcp'/></robot>")

    def make(content):
        path = tmp_path / "cell.yaml"
        path.write_text(f"name: cell\ndescription: d\n{content}")
        return find_robot(str(path))

    return make


def test_the_number_is_that_of_the_controller_or_what_the_robot_file_says(robot_of):
    assert joints_of(robot_of(ARM), ("",)) == {"": 6}
    assert joints_of(robot_of(f"{ARM}joints: 5\n"), ("",)) == {"": 5}
    assert joints_of(robot_of("joints: 6\n"), ("",)) == {"": 6}, "arms that are started elsewhere"
    assert joints_of(robot_of("joints: {left: 6}\n"), ("left", "right")) == {"left": 6}
    assert joints_of(find_robot("external"), ("",)) == {}
    assert joints_of(find_robot("fr3"), ("",)) == {"": 7}


def test_a_run_is_made_for_the_robots_arm(robot_of, tmp_path):
    robot = robot_of("joints: 6\n")
    options = RewardOptions(reward="pose" if FLIP.reward.pose else "operator")
    folder = options.open_judged("object_flip", 0, "train", tmp_path / "run", None, robot)
    spec = folder.task()
    assert spec.state_sizes["joint_position"] == spec.state_sizes["joint_velocity"] == 6
    assert spec.hash not in (FLIP.hash, folder.task().with_joints({"": 7}).hash)
    assert RunFolder.open(folder.path).state()["spec_hash"] == spec.hash
    names = features_of(spec, videos=False)["observation.state"]["names"]
    assert [name for name in names if "joint_position" in name][-1] == "joint_position.q6"
    other = open_folder("object_flip", 0, "demo", tmp_path / "other", None, robot)
    assert other.task().state_sizes["joint_position"] == 6


def test_a_task_without_joints_in_its_state_is_left_alone(robot_of):
    assert fitted(RAM, robot_of("joints: 6\n")) == RAM
    assert fitted(find_task("object_flip"), find_robot("sim")) == find_task("object_flip"), (
        "the twin has its own"
    )


def test_a_run_does_not_go_on_with_another_arm(robot_of, tmp_path):
    seven = FLIP.with_joints({"": 7})
    with pytest.raises(RobotFileError, match="robot 'cell' has 6 joints, and task 'object_flip' is for 7"):
        fitted(seven, robot_of(ARM))
    with pytest.raises(RobotFileError, match="has 6 joints"):
        cell_of(robot_of(ARM), seven, tmp_path / "task.yaml", "", folder=tmp_path)


@pytest.mark.parametrize("content", ["joints: 0", "joints: {left: 50}", "simulated: true\njoints: 6"])
def test_numbers_that_cannot_be_are_refused(robot_of, content):
    with pytest.raises(RobotFileError, match="joints"):
        robot_of(content + "\n")
