# SPDX-License-Identifier: Apache-2.0
"""Standing checks of the twin: an expert who sees the truth succeeds, a policy that sees nothing fails."""

import numpy as np
import pytest

from hil_serl_core.action import TwistMapper
from hil_serl_core.spec import task_from_dict
from hil_serl_sim.expert import Expert
from hil_serl_sim.tasks import make_twin

EPISODES = 20


def run_episode(cell, mapper, act) -> tuple[bool, int, float]:
    """Success, steps and the largest external force [N] at the end of a step."""
    largest = 0.0
    for step in range(cell.spec.episode.max_steps):
        state = cell.arm_state()
        cell.advance(mapper.target(act(state, step), state.pose))
        largest = max(largest, float(np.linalg.norm(cell.arm_state().wrench[:3])))
        if cell.truth().success:
            return True, step + 1, largest
    return False, cell.spec.episode.max_steps, largest


def test_expert_succeeds(cell, spec):
    mapper, expert = TwistMapper(spec), Expert(spec, cell.twin.guide())
    results = []
    for seed in range(EPISODES):
        cell.reset(seed)
        results.append(run_episode(cell, mapper, lambda s, _: expert.action(s.pose, cell.truth())))
    assert sum(success for success, _, _ in results) >= EPISODES - 1
    assert np.mean([steps for _, steps, _ in results]) < 20


def straight_down(state, step):
    return np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])


def down_and_feel_around(state, step):
    """Presses and sweeps a growing spiral: the best that can be done without eyes."""
    radius, angle = 0.02 * step, 0.9 * step
    return np.array([radius * np.cos(angle), radius * np.sin(angle), 0.5, 0.0, 0.0, 0.3 * np.sin(0.5 * step)])


@pytest.mark.parametrize("policy", [straight_down, down_and_feel_around])
def test_blind_policy_fails(cell, spec, policy):
    mapper = TwistMapper(spec)
    successes = 0
    for seed in range(EPISODES):
        cell.reset(seed)
        successes += run_episode(cell, mapper, policy)[0]
    assert successes == 0


def test_start_states_cover_the_task_files_ranges(cell, spec):
    starts, grasps, tips = [], [], []
    for seed in range(300):
        state = cell.twin.sample(np.random.default_rng(seed))
        starts.append(state.tcp_pose[:3] - spec.reset.nominal_position)
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
        cell.advance(target)
    wrench = cell.arm_state().wrench
    bound = spec.control.translational_stiffness[2] * clip
    assert 0.8 * bound < wrench[2] < 1.05 * bound
    assert not cell.truth().success


def test_misaligned_card_does_not_enter(cell, spec):
    """0.6 mm off, more than twice the clearance, and with no search: the card stays on the rim."""
    mapper, expert = TwistMapper(spec), Expert(spec, cell.twin.guide())
    bias = np.array([0.0, 0.0006, 0.0, 0.0, 0.0, 0.0])
    entered = 0
    for seed in range(8):
        cell.reset(seed)
        entered += run_episode(cell, mapper, lambda s, _: expert.action(s.pose, cell.truth(), bias))[0]
    assert entered == 0


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
