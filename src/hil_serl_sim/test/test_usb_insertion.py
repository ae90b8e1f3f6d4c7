# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the USB twin, and what makes it a task of grasping."""

import numpy as np
import pytest

from hil_serl_core.spec import load_task
from hil_serl_sim.cell import Cell
from hil_serl_sim.expert import Expert
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.rollout import Driver, run_episode


@pytest.fixture(scope="module")
def cell(task_file):
    cell = Cell(load_task(task_file.with_name("usb_insertion.yaml")), seed=0)
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def expert(cell):
    return Expert(cell.spec, cell.twin.guide())


def test_expert_succeeds_with_one_grasp(cell, expert):
    results = [run_episode(cell, seed, expert.action) for seed in range(8)]
    assert all(result.success for result in results)
    assert np.mean([result.steps for result in results]) < 28
    assert max(result.toggles for result in results) == 2
    assert max(result.largest_force for result in results) < 40.0


def test_operator_demonstrates_slower_than_the_expert(cell):
    operator = ScriptedOperator(cell.spec, cell.twin.guide(), seed=1)
    operator.mode = OperatorMode.DEMONSTRATE
    results = [run_episode(cell, seed, None, operator) for seed in range(6)]
    assert sum(result.success for result in results) >= 5
    assert 30 < np.mean([result.steps for result in results if result.success]) < 60


def test_operator_closes_the_gripper_for_a_policy_that_never_does(cell, expert):
    def never_grasps(view):
        action = expert.action(view)
        action[6] = 0.0
        return action

    operator = ScriptedOperator(cell.spec, cell.twin.guide(), seed=1)
    operator.mode = OperatorMode.SUPERVISE
    assert not run_episode(cell, 1, never_grasps).success
    results = [run_episode(cell, seed, never_grasps, operator) for seed in range(4)]
    assert sum(result.success for result in results) >= 3
    assert all(0 < result.intervened < result.steps for result in results)
    watched = run_episode(cell, 1, expert.action, operator)
    assert watched.success
    assert watched.intervened == 0


def blind(step: int) -> np.ndarray:
    """The expert's course for the nominal start: down, close, up and forward, open."""
    action = np.zeros(7)
    if step < 9:
        action[2] = 1.0
    elif step < 13:
        action[6] = -1.0
    elif step < 17:
        action[[0, 2]] = 0.8, -1.0
    elif step < 30:
        action[0] = 1.0
    else:
        action[6] = 1.0
    return action


@pytest.mark.parametrize("policy", ["blind", "random"])
def test_policy_that_does_not_look_fails(cell, policy):
    """The blind one meets a start near the nominal one now and then: 5 of 40; who looks solves every one."""
    rng = np.random.default_rng(0)
    solved = 0
    for seed in range(12):
        steps = iter(range(10_000))

        def act(view, steps=steps):
            if policy == "blind":
                return blind(next(steps) % 36)
            return np.append(rng.uniform(-1, 1, 6), rng.integers(-1, 2))

        solved += run_episode(cell, seed, act).success
    assert solved <= {"blind": 3, "random": 0}[policy]


def test_success_needs_both_insertion_and_letting_go(cell, expert):
    driver, guide = Driver(cell), cell.twin.guide()
    driver.reset(2)
    while not guide.inserted(cell.view()):
        driver.step(expert.action(cell.view()))
        assert not cell.truth().success
    for _ in range(5):
        driver.step(np.zeros(7))
        assert not cell.truth().success
    for _ in range(4):
        driver.step(np.array([0.0, 0, 0, 0, 0, 0, 1.0]))
    assert cell.truth().success


def test_grasp_too_far_forward_cannot_be_inserted_and_is_repeated(cell, expert):
    driver, guide = Driver(cell), cell.twin.guide()
    driver.reset(3)
    grasp = guide.grasp
    guide.grasp = (grasp[0] + 0.016, *grasp[1:])  # on the plug instead of the body
    too_far = Expert(cell.spec, guide)
    while not guide.held(cell.view()):
        driver.step(too_far.action(cell.view()))
    guide.grasp = grasp
    assert not cell.twin.guide().held(cell.view())
    toggles = 0
    for _ in range(60):
        action = expert.action(cell.view())
        toggles += driver.toggles(action)
        driver.step(action)
        if cell.truth().success:
            break
    assert cell.truth().success
    assert toggles == 3  # open, close, open


@pytest.mark.parametrize("kind", ["move_target", "open_gripper"])
def test_expert_recovers_from_perturbations(cell, expert, kind):
    driver = Driver(cell)
    for seed in range(3):
        driver.reset(seed)
        for step in range(70):
            if step == 14:
                cell.perturb(kind)
            driver.step(expert.action(cell.view()))
            if cell.truth().success:
                break
        assert cell.truth().success
        assert step > 30 or kind == "move_target"


def test_equal_seeds_give_equal_bits(cell, expert):
    seen = []
    for seed in (5, 6, 5):
        driver = Driver(cell)
        driver.reset(seed)
        for _ in range(14):
            driver.step(expert.action(cell.view()))
        pictures = b"".join(cell.render(camera.name).tobytes() for camera in cell.spec.cameras)
        seen.append(cell.view().tcp[""].tobytes() + cell.truth().poses["connector"].tobytes() + pictures)
    assert seen[0] == seen[2] != seen[1]


def test_starts_cover_the_ranges_and_solve_nothing(cell):
    places = []
    for seed in range(200):
        state = cell.twin.sample(np.random.default_rng(seed))
        places.append(state.variation["connector"] - [0.46, 0.0, 0.0])
    assert np.abs(places).max(axis=0) == pytest.approx([0.02, 0.02, 0.17453], rel=0.05)
    for seed in range(10):
        cell.reset(seed)
        truth = cell.truth()
        assert not truth.success
        assert not truth.failure


def test_lost_connector_is_a_failure(cell):
    cell.reset(0)
    cell.data.joint("connector").qpos[:2] = [0.46, 0.3]
    cell.advance(None, 1)
    assert cell.truth().failure
