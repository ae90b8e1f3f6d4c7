# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the relocation twin, with real grasps, in both directions and reset-free."""

import mujoco
import numpy as np
import pytest

from hil_serl_core.action import workspace_box
from hil_serl_core.spec import load_task, task_from_dict
from hil_serl_sim.expert import Expert
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.rollout import Driver, run_episode
from hil_serl_sim.tasks import make_twin

DIRECTIONS = {"forward": "object_relocation", "backward": "object_relocation_back"}
MIDDLE = {"range_x": 0.0, "range_y": 0.0, "range_yaw": 0.0}


@pytest.fixture(scope="module")
def tasks(task_file):
    return {goal: load_task(task_file.parent / f"{name}.yaml") for goal, name in DIRECTIONS.items()}


@pytest.fixture(scope="module")
def cells(tasks):
    from hil_serl_sim.cell import Cell

    made = {goal: Cell(task, seed=0) for goal, task in tasks.items()}
    yield made
    for cell in made.values():
        cell.close()


def lay(cell, x, y, z=None):
    """Put the block somewhere, at rest."""
    address, speed = cell.model.joint("block").qposadr[0], cell.model.joint("block").dofadr[0]
    p = cell.twin.parameters
    cell.data.qpos[address : address + 7] = (
        x,
        y,
        p.floor + p.block_height / 2 if z is None else z,
        1,
        0,
        0,
        0,
    )
    cell.data.qvel[speed : speed + 6] = 0.0
    mujoco.mj_forward(cell.model, cell.data)


@pytest.mark.parametrize("goal", DIRECTIONS)
def test_expert_relocates(cells, tasks, goal):
    cell = cells[goal]
    expert = Expert(tasks[goal], cell.twin.guide())
    results = [run_episode(cell, seed, expert.action) for seed in range(5)]
    assert all(result.success for result in results)
    assert np.mean([result.steps for result in results]) < 28
    assert all(result.toggles == 2 for result in results)  # closes once, opens once


@pytest.mark.parametrize("goal", DIRECTIONS)
def test_operator_demonstrates(cells, tasks, goal):
    cell = cells[goal]
    operator = ScriptedOperator(tasks[goal], cell.twin.guide(), seed=0)
    operator.mode = OperatorMode.DEMONSTRATE
    results = [run_episode(cell, seed, None, operator) for seed in range(5)]
    assert sum(result.success for result in results) >= 4


def blindly(plan):
    """A policy that plays actions one after another, then stands still."""
    actions, still = iter(plan), np.zeros(7, dtype=np.float32)
    return lambda _: next(actions, still)


def test_blind_policies_fail(cells, tasks):
    """The expert's actions for a block in the middle of its bin, replayed without looking, and random commands."""
    from hil_serl_sim.cell import Cell

    content = tasks["forward"].model_dump(mode="json")
    content["sim"]["parameters"] = MIDDLE
    nominal = task_from_dict(content)
    middle = Cell(nominal)
    expert, plan = Expert(nominal, middle.twin.guide()), []
    run_episode(middle, 0, lambda view: plan.append(expert.action(view)) or plan[-1])
    rng = np.random.default_rng(0)
    replayed = random = 0
    for seed in range(5):
        replayed += run_episode(cells["forward"], seed, blindly(plan)).success
        random += run_episode(cells["forward"], seed, lambda _: rng.uniform(-1, 1, 7)).success
    assert replayed <= 1
    assert random == 0


def test_forward_and_backward_undo_each_other_without_a_reset_of_the_scene(cells, tasks):
    cell = cells["forward"]
    experts = {goal: Expert(tasks[goal], cell.twin.guide(goal)) for goal in DIRECTIONS}
    driver = Driver(cell)
    driver.reset(3)
    places = []
    for turn in range(4):
        goal = list(DIRECTIONS)[turn % 2]
        for _ in range(tasks[goal].episode.max_steps):
            if cell.truth().goals[goal]:
                break
            driver.step(experts[goal].action(cell.view()))
        before = cell.truth()
        assert before.goals == {name: name == goal for name in DIRECTIONS}
        driver.reset(arm_only=True)
        assert not cell.objects_put_back
        after = cell.truth()
        assert after.goals == before.goals
        assert np.linalg.norm(after.poses["block"][:3] - before.poses["block"][:3]) < 0.01
        assert cell.arm_state().pose[:3] == pytest.approx(tasks[goal].reset.nominal_position, abs=1e-4)
        assert cell.arm_state().gripper > 0.85
        places.append(after.poses["block"][:2])
    assert np.std([place[1] for place in places]) > 0.05


def test_a_goal_needs_the_block_released_low_inside_that_bin(cells):
    cell = cells["forward"]
    cell.reset(0)
    twin = cell.twin
    centre = (twin.parameters.centre_x, twin.parameters.bin_half_y + twin.parameters.wall)
    for place, forward, backward in [
        ((0.5, centre[1]), True, False),
        ((0.5, -centre[1]), False, True),
        ((0.5, 0.0), False, False),  # on the wall between
        ((0.5, centre[1], 0.16), False, False),  # in the air
    ]:
        lay(cell, *place)
        assert cell.truth().goals == {"forward": forward, "backward": backward}
    driver, expert = Driver(cell), Expert(cell.spec, cell.twin.guide())
    driver.reset(0)
    while (action := expert.action(cell.view()))[6] <= 0.0:  # until it wants to let go
        driver.step(action)
    _, y, z = cell.truth().poses["block"][:3]
    assert abs(y - centre[1]) < twin.parameters.bin_half_y
    assert z < twin.parameters.floor + 0.05
    assert not any(cell.truth().goals.values()), "not while it is held"


def test_a_lost_block_is_a_failure_and_is_put_back_with_the_arm(cells):
    cell = cells["backward"]
    cell.reset(1)
    lay(cell, 0.5, 0.35, 0.02)
    assert cell.truth().failure
    cell.reset(2, arm_only=True)
    assert cell.objects_put_back
    truth = cell.truth()
    assert not truth.failure
    assert truth.goals == {"forward": True, "backward": False}, "backward begins in the left bin"


def test_a_cell_of_either_direction_makes_the_initial_state_of_both(cells):
    """One simulated cell serves two agents: a full reset lays the block where the one begins whose turn it is."""
    for goal, cell in cells.items():
        own, other = goal, {"forward": "backward", "backward": "forward"}[goal]
        for asked, begins in ((None, own), (own, own), (other, other)):
            for arm_only in (False, True):
                if arm_only:
                    lay(cell, 0.5, 0.35, 0.02)  # lost: put back all the same
                cell.reset(3, arm_only=arm_only, goal=asked)
                assert cell.objects_put_back
                assert not cell.truth().failure
                assert cell.truth().goals == {name: name != begins for name in DIRECTIONS}
        before, seed = cell.truth().poses["block"].copy(), cell.seed
        with pytest.raises(ValueError, match="not 'sideways'"):
            cell.reset(4, goal="sideways")
        assert (cell.seed, cell.truth().poses["block"].tolist()) == (seed, before.tolist())


def test_a_twin_with_one_goal_refuses_another(spec):
    twin, rng = make_twin(spec), np.random.default_rng
    assert np.array_equal(twin.sample_for(None, rng(1)).tcp_poses[""], twin.sample(rng(1)).tcp_poses[""])
    with pytest.raises(ValueError, match="does not know a goal 'backward'"):
        twin.sample_for("backward", rng(1))


def test_a_block_that_stays_on_a_wall_is_lost_because_no_hand_gets_it(cells):
    cell = cells["backward"]
    p = cell.twin.parameters
    corner = np.add(cell.twin._centre("backward"), (-p.bin_half_x - p.wall, -p.bin_half_y - p.wall))
    top = p.floor + p.rim + p.block_height / 2
    cell.reset(1)
    lay(cell, *corner, top + 0.05)
    assert not cell.truth().failure, "it falls"
    lay(cell, *corner, top)
    cell.advance({})
    assert cell.truth().failure
    assert cell.truth().poses["block"][2] == pytest.approx(top, abs=2e-3), "it does stay there"
    cell.reset(2, arm_only=True)
    assert cell.objects_put_back
    assert not cell.truth().failure


def test_starts_are_unsolved_reachable_and_cover_the_ranges(cells, tasks):
    for goal, cell in cells.items():
        twin, p = cell.twin, cell.twin.parameters
        source = np.array([p.centre_x, (-1 if goal == "forward" else 1) * (p.bin_half_y + p.wall)])
        drawn = np.array([twin.sample(np.random.default_rng(k)).variation["block"] for k in range(200)])
        away = np.abs(drawn[:, :2] - source).max(axis=0)
        assert away == pytest.approx([p.range_x, p.range_y], rel=0.05)
        lower, upper = workspace_box(tasks[goal].arm(""))
        assert (drawn[:, :2] > lower[:2]).all()
        assert (drawn[:, :2] < upper[:2]).all()
        for seed in range(5):
            cell.reset(seed)
            truth = cell.truth()
            assert not truth.success
            assert not truth.failure


def test_equal_seeds_give_equal_episodes_and_pictures(cells, tasks):
    cell = cells["forward"]
    expert = Expert(tasks["forward"], cell.twin.guide())

    def play():
        driver = Driver(cell)
        driver.reset(5)
        for _ in range(14):
            driver.step(expert.action(cell.view()))
        return cell.data.qpos.copy(), cell.render("wrist"), cell.render("side")

    for first, second in zip(play(), play(), strict=True):
        assert np.array_equal(first, second)


def test_the_block_can_be_moved_and_the_gripper_forced_open_mid_episode(cells):
    cell = cells["forward"]
    cell.reset(4)
    before = cell.truth().poses["block"].copy()
    cell.perturb("move_target")
    after = cell.truth()
    assert np.linalg.norm(after.poses["block"][:2] - before[:2]) > 0.001
    assert after.goals["backward"], "still in its bin"


def test_wrong_goals_and_tasks_are_named(tasks):
    content = tasks["forward"].model_dump(mode="json")
    content["sim"]["goal"] = "sideways"
    with pytest.raises(ValueError, match=r"goals \['backward', 'forward'\], not 'sideways'"):
        make_twin(task_from_dict(content))
    with pytest.raises(ValueError, match="not 'up'"):
        make_twin(tasks["forward"]).guide("up")
    content = tasks["forward"].model_dump(mode="json")
    content["action"]["gripper"] = None
    with pytest.raises(ValueError, match=r"needs one arm and 'action\.gripper'"):
        make_twin(task_from_dict(content))
