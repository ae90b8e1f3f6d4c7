# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the twin: an expert who sees the truth succeeds, a policy that sees nothing fails."""

import numpy as np
import pytest

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import task_from_dict
from hil_serl_sim.expert import Expert
from hil_serl_sim.rollout import Driver, run_episode
from hil_serl_sim.tasks import make_twin

EPISODES = 20


def test_expert_succeeds(cell, spec):
    expert = Expert(spec, cell.twin.guide())
    results = [run_episode(cell, seed, expert.action) for seed in range(EPISODES)]
    assert sum(result.success for result in results) >= EPISODES - 1
    assert np.mean([result.steps for result in results]) < 20


class StraightDown:
    def __call__(self, view):
        return np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])


class DownAndFeelAround:
    """Presses and sweeps a growing spiral: the best that can be done without eyes."""

    def __init__(self):
        self.step = -1

    def __call__(self, view):
        self.step += 1
        radius, angle = 0.02 * self.step, 0.9 * self.step
        turn = 0.3 * np.sin(0.5 * self.step)
        return np.array([radius * np.cos(angle), radius * np.sin(angle), 0.5, 0.0, 0.0, turn])


@pytest.mark.parametrize("policy", [StraightDown, DownAndFeelAround])
def test_blind_policy_fails(cell, policy):
    assert not any(run_episode(cell, seed, policy()).success for seed in range(EPISODES))


def test_start_states_cover_the_task_files_ranges(cell, spec):
    starts, grasps, tips = [], [], []
    for seed in range(300):
        state = cell.twin.sample(np.random.default_rng(seed))
        starts.append(state.tcp_poses[""][:3] - spec.reset.nominal_position)
        grasps.append(state.variation["grasp"])
    for seed in range(20):
        cell.reset(seed)
        tips.append(cell.twin.guide().tip_in_slot(cell.truth().poses)[0][2])
        assert not cell.truth().success
        assert not cell.truth().failure
    largest = np.abs(starts).max(axis=0)
    assert (largest <= np.array(spec.reset.position_range)).all()
    assert (largest > 0.95 * np.array(spec.reset.position_range)).all()
    assert np.abs(grasps).max(axis=0) == pytest.approx([0.002, 0.001, 0.03], rel=0.05)
    assert min(tips) > 0.029
    assert max(tips) < 0.051


@pytest.mark.parametrize("clip", [0.004, 0.008])
def test_pressing_beside_the_slot_is_bounded_by_the_clip_of_that_sign(spec, clip):
    """Resting on the board far inside a target, the spring gives k_p Delta (e = measured - target)."""
    from hil_serl_sim.cell import Cell

    content = spec.model_dump(mode="json")
    content["control"]["clip_positive"][2] = clip
    cell = Cell(task_from_dict(content))
    cell.reset(3)
    pose = cell.arm_state().pose
    target = pose.copy()
    target[:3] += [0.05, 0.0, -0.12]
    for _ in range(35):
        cell.advance({"": ArmCommand(pose=target)})
    wrench = cell.arm_state().wrench
    bound = spec.control.translational_stiffness[2] * clip
    assert 0.8 * bound < wrench[2] < 1.05 * bound
    assert not cell.truth().success


def test_misaligned_card_does_not_enter(cell, spec):
    """0.6 mm off, more than twice the clearance, and with no search: the card stays on the rim."""
    expert = Expert(spec, cell.twin.guide())
    bias = np.array([0.0, 0.0006, 0.0, 0.0, 0.0, 0.0])
    assert not any(run_episode(cell, seed, lambda v: expert.action(v, bias)).success for seed in range(8))


def test_moved_slot_is_found_again_and_stands_in_its_place_after_the_reset(cell, spec):
    expert, driver = Expert(spec, cell.twin.guide()), Driver(cell)
    driver.reset(4)
    place = cell.truth().poses["slot"]
    for step in range(40):
        if step == 5:
            cell.perturb("move_target")
            assert 0.0099 < np.linalg.norm((cell.truth().poses["slot"] - place)[:3]) < 0.0201
        driver.step(expert.action(cell.view()))
        if cell.truth().success:
            break
    assert cell.truth().success
    cell.reset(5)
    np.testing.assert_array_equal(cell.truth().poses["slot"], place)


def test_unknown_parameter_and_twin_are_named(spec):
    content = spec.model_dump(mode="json")
    content["sim"]["parameters"] = {"clearence": 0.001}
    with pytest.raises(ValueError, match=r"clearence.*clearance"):
        make_twin(task_from_dict(content))
    content["sim"] = {"twin": "juggling"}
    with pytest.raises(ValueError, match=r"juggling.*ram_insertion"):
        make_twin(task_from_dict(content))
    content["sim"] = None
    with pytest.raises(ValueError, match="no 'sim' section"):
        make_twin(task_from_dict(content))
