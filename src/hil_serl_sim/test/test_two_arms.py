# SPDX-License-Identifier: Apache-2.0
"""Two arms that face each other, each before a loose block: grasping, frames, faults, resets."""

from typing import ClassVar

import mujoco
import numpy as np
import pytest

import hil_serl_sim.cell
from hil_serl_core import geometry
from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import task_from_dict
from hil_serl_sim.cell import Cell
from hil_serl_sim.twin import Camera, InitialState, Truth, Twin

BOX = mujoco.mjtGeom.mjGEOM_BOX
MASS = 0.05


class Blocks(Twin):
    """A block of 24 mm before each arm."""

    cameras: ClassVar = {
        "hand": Camera((0.075, 0.0, -0.035), (0.0, 0.0, 0.055), (0.0, 0.0, -1.0), 58.0, arm="right"),
        "front": Camera((1.5, 0.0, 1.0), (0.5, 0.0, 0.0), (0.0, 0.0, 1.0), 60.0, on_hand=False),
    }
    display = Camera((1.6, -0.6, 0.9), (0.4, 0.0, 0.2), (0.0, 0.0, 1.0), 45.0, on_hand=False)

    def build(self, scene):
        world = scene.worldbody
        world.add_geom(
            name="table", type=BOX, size=(0.5, 0.8, 0.01), pos=(0.5, 0, -0.01), rgba=(0.6, 0.6, 0.6, 1)
        )
        for arm, y in (("left", 0.4), ("right", -0.4)):
            block = world.add_body(name=f"{arm}_block", pos=(0.5, y, 0.03))
            block.add_freejoint()
            block.add_geom(type=BOX, size=(0.02, 0.012, 0.03), mass=MASS, rgba=(0.9, 0.2, 0.2, 1))

    def sample(self, rng):
        return InitialState({arm: self.start_pose(rng, arm) for arm in self.spec.arm_names})

    def apply(self, model, data, state):
        pass

    def truth(self, model, data):
        poses = {}
        for name in ("left_block", "right_block"):
            body = data.body(name)
            poses[name] = np.concatenate([body.xpos, body.xquat[[1, 2, 3, 0]]])
        return Truth(False, poses["left_block"][2] < -0.1, poses)

    def guide(self, goal=None):
        raise AssertionError("nobody is to act in these tests")


@pytest.fixture(scope="module")
def two_arms(spec):
    content = spec.model_dump(mode="json")
    content.pop("workspace")
    workspace = {
        "lower": [-0.25, -0.25, -0.14],
        "upper": [0.25, 0.25, 0.25],
        "max_rotation": 0.8,
    }  # down to the blocks
    for key in ("nominal_position", "nominal_rotation"):
        content["reset"].pop(key)
    common = {"nominal_position": [0.5, 0.0, 0.15], "workspace": workspace}
    content["arms"] = {
        "left": {
            "base_frame": "left_base",
            "tcp_frame": "left_tcp",
            "base_position": [0.0, 0.4, 0.0],
            **common,
        },
        "right": {
            "base_frame": "right_base",
            "tcp_frame": "right_tcp",
            "base_position": [1.0, -0.4, 0.0],
            "base_rotation": [0.0, 0.0, np.pi],
            **common,
        },
    }
    content["cameras"] = [
        {"name": n, "source_width": 64, "source_height": 64, "size": 64} for n in Blocks.cameras
    ]
    content["state"] = ["tcp_pose", "gripper"]
    content["action"]["gripper"] = {}
    content["reset"] |= {"position_range": [0.0, 0.0, 0.0], "rotation_range": [0.0, 0.0, 0.0]}
    content["reward"] = {"kind": "ground_truth"}
    return task_from_dict(content)


@pytest.fixture
def cell(two_arms, monkeypatch):
    monkeypatch.setattr(hil_serl_sim.cell, "make_twin", Blocks)
    cell = Cell(two_arms, seed=0)
    yield cell
    cell.close()


def go(cell, height: float, gripper: float, steps: int) -> None:
    """Both arms up or down, as the policy does it: from the measured pose, a centimetre a step."""
    for _ in range(steps):
        commands = {}
        for arm in cell.arms:
            pose = cell.arm_state(arm).pose
            step = np.clip([0.5 - pose[0], -pose[1], height - pose[2]], -0.01, 0.01)
            down = np.array([1.0, 0.0, 0.0, 0.0])
            commands[arm] = ArmCommand(pose=np.concatenate([pose[:3] + 1.3 * step, down]), gripper=gripper)
        cell.advance(commands)


def grasp(cell) -> None:
    go(cell, 0.035, 1.0, 20)
    go(cell, 0.035, 0.0, 5)


def test_grasp_closes_in_time_holds_with_its_force_and_does_not_creep(cell):
    go(cell, 0.035, 1.0, 20)
    go(cell, 0.035, 0.0, 2)
    assert cell.arm_state("left").gripper == pytest.approx(0.5, abs=0.05)  # 85 mm in 0.4 s
    go(cell, 0.035, 0.0, 3)
    assert cell.arm_state("left").gripper == pytest.approx(0.024 / 0.085, abs=0.01)
    force, pressed = np.zeros(6), 0.0
    block = cell.model.body("left_block").id
    for k in range(cell.data.ncon):
        bodies = cell.model.geom_bodyid[cell.data.contact[k].geom]
        if block in bodies and cell.model.body("left/right_finger").id in bodies:
            mujoco.mj_contactForce(cell.model, cell.data, k, force)
            pressed += force[0]
    assert pressed == pytest.approx(40.0, rel=0.05)
    go(cell, 0.2, 0.0, 32)
    hand, block = cell.arms["left"].world_pose(), cell.truth().poses["left_block"]
    before = geometry.relative(hand, block)
    assert block[2] > 0.18
    rng = np.random.default_rng(0)
    for _ in range(30):
        go(cell, 0.2 + rng.uniform(-0.02, 0.02), 0.0, 1)
    after = geometry.relative(cell.arms["left"].world_pose(), cell.truth().poses["left_block"])
    np.testing.assert_allclose(after[:3], before[:3], atol=3e-4)


def test_held_weight_is_felt_in_the_base_frame(cell):
    grasp(cell)
    go(cell, 0.15, 0.0, 25)
    for arm in cell.arms:
        np.testing.assert_allclose(cell.arm_state(arm).wrench[:3], [0.0, 0.0, -9.81 * MASS], atol=0.05)


def test_each_arm_reports_and_obeys_in_its_own_base_frame(cell):
    left, right = cell.arm_state("left").pose, cell.arm_state("right").pose
    np.testing.assert_allclose(left[:3], right[:3], atol=1e-6)
    world = cell.view().tcp
    np.testing.assert_allclose(world["left"][:3], [0.5, 0.4, 0.15], atol=1e-6)
    np.testing.assert_allclose(world["right"][:3], [0.5, -0.4, 0.15], atol=1e-6)
    target = right + np.array([0.03, 0.0, 0.0, 0, 0, 0, 0])
    cell.advance({"left": ArmCommand(pose=left), "right": ArmCommand(pose=target)}, 50)
    assert cell.arm_state("right").twist[0] > 0.01
    assert cell.view().twist["right"][0] < -0.01  # the right arm looks along -x of the world
    for _ in range(8):
        cell.advance({"left": ArmCommand(pose=left), "right": ArmCommand(pose=target)})
    np.testing.assert_allclose(cell.arm_state("right").pose[:3], target[:3], atol=5e-4)
    np.testing.assert_allclose(cell.view().tcp["right"][:3], [0.47, -0.4, 0.15], atol=5e-4)
    np.testing.assert_allclose(cell.arm_state("left").pose[:3], left[:3], atol=5e-4)


def test_a_fault_holds_one_arm_only(cell):
    poses = {arm: cell.arm_state(arm).pose for arm in cell.arms}
    up = np.array([0.0, 0.0, 0.01, 0, 0, 0, 0])
    cell.command(ArmCommand(pose=poses["left"]), cell.time, "right_base", arm="left")
    for _ in range(2):
        cell.advance({"right": ArmCommand(pose=poses["right"] + up)})
    assert "frame" in cell.arm_state("left").fault_text
    assert cell.arm_state("right").fault == 0
    assert cell.arm_state("right").pose[2] > poses["right"][2] + 0.004
    with pytest.raises(KeyError, match="middle"):
        cell.command(ArmCommand(pose=poses["left"]), cell.time, arm="middle")


def test_forced_open_gripper_drops_its_block_and_then_obeys_again(cell):
    grasp(cell)
    go(cell, 0.15, 0.0, 20)
    cell.perturb("open_gripper")
    go(cell, 0.15, 0.0, 5)
    assert cell.arm_state("left").gripper > 0.9
    assert cell.truth().poses["left_block"][2] < 0.05
    go(cell, 0.15, 0.0, 10)
    assert cell.arm_state("left").gripper < 0.05
    with pytest.raises(ValueError, match=r"juggle.*move_target"):
        cell.perturb("juggle")
    with pytest.raises(ValueError, match="no target"):
        cell.perturb("move_target")


def test_perturbation_comes_once_in_every_episode(two_arms, monkeypatch):
    monkeypatch.setattr(hil_serl_sim.cell, "make_twin", Blocks)
    cell = Cell(two_arms, perturbation=("open_gripper", 6))
    for _ in range(2):
        cell.reset(1)
        openings = []
        for _ in range(22):
            go(cell, 0.15, 0.0, 1)
            openings.append(cell.arm_state("left").gripper)
        assert openings[4] == pytest.approx(0.0, abs=0.02)
        assert max(openings[6:14]) > 0.9
        assert openings[-1] == pytest.approx(0.0, abs=0.02)


def test_arm_only_reset_lets_go_and_leaves_the_objects(cell):
    grasp(cell)
    go(cell, 0.10, 0.0, 12)
    cell.arms["left"].command(ArmCommand(gripper=0.0), cell.time)
    for _ in range(5):  # carry the left block sideways
        pose = cell.arm_state("left").pose
        step = ArmCommand(pose=pose + np.array([0.0, 0.02, 0.0, 0, 0, 0, 0]), gripper=0.0)
        cell.advance({"left": step, "right": ArmCommand(pose=cell.arm_state("right").pose, gripper=0.0)})
    ticks = cell.ticks
    cell.reset(9, arm_only=True)
    assert not cell.objects_put_back
    assert cell.ticks > ticks
    block = cell.truth().poses["left_block"]
    assert block[1] > 0.43
    assert block[2] == pytest.approx(0.03, abs=0.02)  # it has fallen down
    np.testing.assert_allclose(cell.arm_state("left").pose[:3], [0.5, 0.0, 0.15], atol=1e-5)
    assert cell.arm_state("left").gripper == pytest.approx(1.0)
    cell.reset(9)
    np.testing.assert_allclose(cell.truth().poses["left_block"][:3], [0.5, 0.4, 0.03], atol=1e-3)


def test_equal_seeds_and_commands_give_equal_bits(cell, two_arms):
    other = Cell(two_arms, seed=5)
    try:
        seen = []
        for one in (cell, other):
            one.reset(3)
            grasp(one)
            views = [one.view().tcp[a] for a in one.arms] + list(one.truth().poses.values())
            seen.append(b"".join(v.tobytes() for v in views) + one.render("hand").tobytes())
        assert seen[0] == seen[1]
    finally:
        other.close()


def test_display_follows_arms_fingers_and_blocks(cell):
    first = cell.render_display()
    go(cell, 0.15, 0.0, 5)
    second = cell.render_display()
    assert np.abs(first.astype(int) - second).max() > 60  # the linkage has closed
    shown = cell._display._data
    np.testing.assert_allclose(shown.site("right/tcp").xpos, cell.view().tcp["right"][:3], atol=1e-9)


def test_gripper_command_that_is_no_number_is_refused(cell):
    with pytest.raises(ValueError, match="opening"):
        cell.command(ArmCommand(gripper=float("nan")), cell.time, arm="left")
