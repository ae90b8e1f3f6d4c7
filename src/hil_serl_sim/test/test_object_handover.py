# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the handover twin, with real grasps: expert, operator, blind and random policies, truth."""

import numpy as np
import pytest

from hil_serl_core.action import workspace_box
from hil_serl_core.spec import load_task, task_from_dict
from hil_serl_sim.expert import Expert
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.rollout import Driver, run_episode
from hil_serl_sim.tasks import make_twin
from hil_serl_sim.tasks.handover_guide import Stage

PAD_HALF_WIDTH = 0.011  # [m]
FINGERTIP = 0.010  # [m] beyond the tcp


@pytest.fixture(scope="module")
def handover(task_file):
    return load_task(task_file.parent / "object_handover.yaml")


@pytest.fixture(scope="module")
def handover_cell(handover):
    from hil_serl_sim.cell import Cell

    cell = Cell(handover, seed=0)
    yield cell
    cell.close()


def variant(spec, **changes):
    """The task with some settings replaced, section by section."""
    content = spec.model_dump(mode="json")
    for section, values in changes.items():
        content[section] |= values
    return task_from_dict(content)


def test_expert_hands_over(handover_cell, handover):
    expert = Expert(handover, handover_cell.twin.guide())
    results = [run_episode(handover_cell, seed, expert.action) for seed in range(6)]
    assert all(result.success for result in results)
    assert np.mean([result.steps for result in results]) < 18
    assert all(result.toggles == 3 for result in results)  # right closes, left closes, right opens


def test_operator_with_two_devices_demonstrates(handover_cell, handover):
    operator = ScriptedOperator(handover, handover_cell.twin.guide(), seed=0)
    operator.mode = OperatorMode.DEMONSTRATE
    results = [run_episode(handover_cell, seed, None, operator) for seed in range(3)]
    assert sum(result.success for result in results) >= 2


def test_blind_policies_fail(handover):
    """The best plan for the nominal scene, replayed without looking, and random commands."""
    from hil_serl_sim.cell import Cell

    still = {"position_range": [0.0] * 3, "rotation_range": [0.0] * 3}
    fixed = handover.sim.parameters | {"range_x": 0.0, "range_y": 0.0, "range_yaw": 0.0}
    nominal = variant(handover, reset=still, sim={"parameters": fixed})
    cell, plan = Cell(nominal), []
    expert = Expert(nominal, cell.twin.guide())

    def remember(view):
        plan.append(expert.action(view))
        return plan[-1]

    assert run_episode(cell, 0, remember).success
    cell.close()
    cell = Cell(variant(handover, episode={"max_steps": len(plan) + 5}))
    replayed = [iter([*plan, *[plan[-1]] * 5]) for _ in range(10)]
    blind = [run_episode(cell, seed, lambda _, play=play: next(play)) for seed, play in enumerate(replayed)]
    assert sum(result.success for result in blind) <= 2
    rng = np.random.default_rng(0)
    size, grippers = handover.continuous_size, handover.grippers
    for seed in range(3):
        random = run_episode(
            cell, seed, lambda _: np.r_[rng.uniform(-1, 1, size), rng.integers(-1, 2, grippers)]
        )
        assert not random.success
    cell.close()


def test_equal_seeds_and_actions_give_equal_states_and_pictures(handover):
    from hil_serl_sim.cell import Cell

    seen = []
    for _ in range(2):
        cell = Cell(handover)
        expert, driver = Expert(handover, cell.twin.guide()), Driver(cell)
        driver.reset(3)
        for _ in range(8):
            driver.step(expert.action(cell.view()))
        seen.append((cell.data.qpos.copy(), [cell.render(camera.name) for camera in handover.cameras]))
        cell.close()
    assert np.array_equal(seen[0][0], seen[1][0])
    for first, second in zip(seen[0][1], seen[1][1], strict=True):
        assert np.array_equal(first, second)
        assert first.std() > 10  # there is something to see


def test_success_needs_the_left_hand_alone_and_a_drop_is_a_failure(handover_cell, handover):
    cell, driver = handover_cell, Driver(handover_cell)
    guide = cell.twin.guide()
    expert, stages = Expert(handover, guide), []
    driver.reset(1)
    while not cell.truth().success:
        stages.append(guide.stage(cell.view()))
        driver.step(expert.action(cell.view()))
        assert len(stages) < handover.episode.max_steps
    order = [stage for k, stage in enumerate(stages) if k == 0 or stage is not stages[k - 1]]
    assert order == [Stage.PICK, Stage.OFFER, Stage.RELEASE, Stage.CARRY]
    still = np.zeros(handover.action_size)
    driver.step(still)
    assert cell.truth().success
    closed = still.copy()
    closed[-1] = -1.0  # the right gripper is no longer open
    for _ in range(3):
        driver.step(closed)
    assert not cell.truth().success
    dropped = still.copy()
    dropped[-2:] = 1.0
    for _ in range(6):
        driver.step(dropped)
    truth = cell.truth()
    assert truth.failure
    assert not truth.success


def test_neither_arm_can_do_it_alone(handover):
    """Boxes of the actions: the left hand stays over the bar on its rail, the right hand short of the basket."""
    p = make_twin(handover).parameters
    lowest = workspace_box(handover.arm("left"))[0][2] - FINGERTIP
    assert lowest > p.rail_height + p.bar_width
    giver = handover.arm("right")
    farthest = giver.base_position[1] + workspace_box(giver)[1][0] + PAD_HALF_WIDTH
    assert farthest + p.bar_length / 2 < p.basket_near


def test_starts_cover_the_ranges_and_decide_nothing(handover_cell, handover):
    twin, p = handover_cell.twin, handover_cell.twin.parameters
    rails = np.array([twin.sample(np.random.default_rng(k)).variation["rail"] for k in range(300)])
    assert np.abs(rails).max(axis=0) == pytest.approx([p.range_x, p.range_y, p.range_yaw], rel=0.05)
    for seed in range(5):
        handover_cell.reset(seed)
        view, truth = handover_cell.view(), handover_cell.truth()
        assert not truth.success
        assert not truth.failure
        x, y, _ = handover_cell.initial.variation["rail"]
        assert truth.poses["bar"][:2] == pytest.approx([x, p.rail_y + y], abs=1e-3)
        assert twin.guide().stage(view) is Stage.PICK
        assert not twin.guide().strayed(view)


def test_arms_and_grippers_are_asked_for(handover):
    with pytest.raises(ValueError, match=r"object_handover.*arms left and right"):
        make_twin(variant(handover, action={"gripper": None}))


def test_a_moved_bar_is_still_handed_over_and_a_held_one_stays(handover_cell, handover):
    cell, driver = handover_cell, Driver(handover_cell)
    expert = Expert(handover, cell.twin.guide())
    for seed in range(3):
        driver.reset(seed)
        held = False
        for step in range(handover.episode.max_steps):
            holds = cell.twin.guide().stage(cell.view()) is not Stage.PICK
            if step == 2 or (holds and not held):
                before = cell.truth().poses["bar"]
                cell.perturb("move_target")
                moved = float(np.linalg.norm(cell.truth().poses["bar"][:2] - before[:2]))
                assert moved > 0.002 if step == 2 else moved < 1e-6
                held = holds
            driver.step(expert.action(cell.view()))
            if cell.truth().success:
                break
        assert cell.truth().success
        assert held
