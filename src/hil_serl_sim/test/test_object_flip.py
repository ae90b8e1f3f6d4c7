# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the flipping twin: who sees the truth succeeds, who sees nothing fails; what counts as flipped."""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import TaskSpec, load_task, task_from_dict
from hil_serl_sim.cell import Cell
from hil_serl_sim.expert import Expert
from hil_serl_sim.rollout import Driver, run_episode
from hil_serl_sim.tasks import make_twin

EPISODES = 20


@pytest.fixture(scope="module")
def flip_spec(task_file) -> TaskSpec:
    return load_task(task_file.parent / "object_flip.yaml")


@pytest.fixture(scope="module")
def flip_cell(flip_spec):
    cell = Cell(flip_spec, seed=0)
    yield cell
    cell.close()


def test_expert_succeeds(flip_cell, flip_spec):
    expert = Expert(flip_spec, flip_cell.twin.guide())
    results = [run_episode(flip_cell, seed, expert.action) for seed in range(EPISODES)]
    assert sum(result.success for result in results) >= 0.9 * EPISODES
    assert np.mean([result.steps for result in results]) < 25


def test_doing_nothing_keeps_the_slab_in_the_pan_and_the_arm_where_it_is(flip_cell):
    result = run_episode(flip_cell, 0, lambda view: np.zeros(3))
    start = flip_cell.initial.tcp_poses[""]
    assert not result.success
    assert result.steps == flip_cell.spec.episode.max_steps
    assert np.linalg.norm(flip_cell.arm_state().pose[:3] - start[:3]) < 0.05
    assert flip_cell.arm_state().fault == 0


def test_a_moving_arm_is_braked_and_held_by_a_pose_and_not_by_a_wrench_of_zero(flip_cell):
    """What a stop, a pause and a lost camera command."""
    flip_cell.reset(0)
    flip_cell.advance({"": ArmCommand(wrench=np.array([8.0, 0, 0, 0, 0, 0]))}, 150)
    thrown = flip_cell.arm_state().pose
    assert np.linalg.norm(thrown[:3] - flip_cell.initial.tcp_poses[""][:3]) > 0.02
    away = []
    for command in (ArmCommand(pose=thrown), ArmCommand(wrench=np.zeros(6))):
        for _ in range(10):
            flip_cell.advance({"": command}, 100)
            away.append(np.linalg.norm(flip_cell.arm_state().pose[:3] - thrown[:3]))
    assert max(away[:10]) < 3e-3
    assert max(away[10:]) > 10e-3
    assert flip_cell.arm_state().fault == 0


def test_random_policy_fails(flip_cell):
    rng = np.random.default_rng(0)
    results = [run_episode(flip_cell, seed, lambda v: rng.uniform(-1, 1, 3)) for seed in range(EPISODES)]
    assert sum(result.success for result in results) <= 1


def test_a_sequence_that_worked_once_mostly_fails_elsewhere(flip_cell, flip_spec):
    """Blind: the wrenches of one success are repeated whatever happens."""
    expert, sequence = Expert(flip_spec, flip_cell.twin.guide()), []

    def recorded(view):
        sequence.append(expert.action(view))
        return sequence[-1]

    assert run_episode(flip_cell, 0, recorded).success
    successes = 0
    for seed in range(1, EPISODES + 1):
        actions = iter(sequence + [np.zeros(3)] * flip_spec.episode.max_steps)
        successes += run_episode(flip_cell, seed, lambda view, actions=actions: next(actions)).success
    assert successes <= EPISODES // 2


def test_equal_seeds_and_actions_give_equal_states(flip_cell, flip_spec):
    ends, pictures = [], []
    for _ in range(2):
        driver = Driver(flip_cell)
        driver.reset(7)
        for step in range(12):
            driver.step(np.array([0.8, 0.2, 0.9]) * np.sin(step))
        ends.append(flip_cell.data.qpos.copy())
        pictures.append(flip_cell.render("wrist"))
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(pictures[0], pictures[1])


def lay(cell: Cell, height: float, tilt: float) -> None:
    """Put the slab over the pan's middle, its centre ``height`` above the floor, turned over by ``tilt``."""
    joint = cell.model.joint("slab")
    first, dof = joint.qposadr[0], joint.dofadr[0]
    pan = cell.data.body("pan")
    turn = Rotation.from_matrix(pan.xmat.reshape(3, 3)) * Rotation.from_rotvec([0.0, tilt, 0.0])
    cell.data.qpos[first : first + 3] = pan.xpos + pan.xmat.reshape(3, 3) @ [0.0, 0.0, height]
    cell.data.qpos[first + 3 : first + 7] = turn.as_quat(scalar_first=True)
    cell.data.qvel[dof : dof + 6] = 0.0
    mujoco.mj_forward(cell.model, cell.data)


def test_only_upside_down_and_at_rest_is_a_success(flip_cell):
    flip_cell.reset(0)
    rest = flip_cell.twin.parameters.slab_half_height
    lay(flip_cell, rest, np.pi)
    assert flip_cell.truth().success
    lay(flip_cell, rest, 0.0)
    assert not flip_cell.truth().success
    lay(flip_cell, rest + 0.03, np.pi)  # upside down in the air, at the top of its flight
    assert not flip_cell.truth().success
    lay(flip_cell, rest, np.pi)
    flip_cell.data.qvel[flip_cell.model.joint("slab").dofadr[0]] = 0.3  # still sliding
    mujoco.mj_forward(flip_cell.model, flip_cell.data)
    assert not flip_cell.truth().success


def test_a_slab_beside_the_pan_is_a_failure(flip_cell):
    flip_cell.reset(0)
    assert not flip_cell.truth().failure
    joint = flip_cell.model.joint("slab").qposadr[0]
    flip_cell.data.qpos[joint + 2] -= 0.1
    mujoco.mj_forward(flip_cell.model, flip_cell.data)
    assert flip_cell.truth().failure
    assert not flip_cell.truth().success


def test_starts_cover_their_ranges_and_lie_still(flip_cell):
    p = flip_cell.twin.parameters
    draws = [flip_cell.twin.sample(np.random.default_rng(seed)).variation for seed in range(300)]
    largest = np.abs([draw["place"] for draw in draws]).max(axis=0)
    assert largest == pytest.approx([p.range_x, p.range_y, p.range_yaw], rel=0.05)
    friction = [draw["friction"][0] for draw in draws]
    assert (min(friction), max(friction)) == pytest.approx((p.friction_least, p.friction_most), rel=0.05)
    for seed in range(5):
        flip_cell.reset(seed)
        before = flip_cell.truth().poses["slab"]
        flip_cell.advance(None)
        assert np.linalg.norm(flip_cell.truth().poses["slab"][:3] - before[:3]) < 0.001


def test_another_action_space_is_refused(flip_spec):
    content = flip_spec.model_dump(mode="json")
    content["action"]["wrench_axes"] = ["force_x", "force_z", "torque_z"]
    with pytest.raises(ValueError, match=r"object_flip.*torque_y"):
        make_twin(task_from_dict(content))
