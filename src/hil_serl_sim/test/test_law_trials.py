# SPDX-License-Identifier: Apache-2.0
"""The law on the Panda at 1 kHz: a short version of each sweep of hil_serl_sim.law_trials."""

import numpy as np
import pytest

import serl_impedance_controller as impedance
from hil_serl_core.spec import load_task
from hil_serl_sim.cell import Cell
from hil_serl_sim.law_trials import (
    DelayedArm,
    as_said,
    hold_trial,
    kept,
    panda_model,
    singular_sweep,
    stability_rows,
    wrench_sweep,
)
from hil_serl_sim.panda import HOME
from hil_serl_sim.rollout import Driver
from hil_serl_tasks.finder import suite_folder


@pytest.mark.parametrize("task", ["object_flip", "jenga_whipping"])
def test_a_random_policy_on_the_hardwares_own_file_latches_nothing(task_file, task):
    """Today's own limits: file of the hardware, not of the twin."""
    spec = load_task(task_file.parents[1] / f"{task}.yaml")
    farthest = 0.0
    for seed, friction, trial in wrench_sweep(spec, 1, 6.0, (0.0, 1.5)):
        assert kept(spec, trial), f"seed {seed}, friction {friction}: {trial}"
        farthest = max(farthest, trial.tilt)
    assert farthest > 0.5  # it was driven


@pytest.mark.parametrize("file", sorted(suite_folder().glob("sim/*.yaml")), ids=lambda file: file.stem)
def test_a_random_policy_on_a_twin_latches_nothing(file):
    """As the first thousand steps of a training are: full steps to and fro, into walls and parts, grippers too."""
    spec = load_task(file)
    cell = Cell(spec, seed=0)
    driver, rng = Driver(cell), np.random.default_rng(0)
    for episode in range(12):
        driver.reset(episode)
        for step in range(min(spec.episode.max_steps, 50)):
            driver.step(rng.uniform(-1.0, 1.0, spec.action_size))
            faults = [arm.controller.fault.text for arm in cell.arms.values() if arm.controller.fault]
            assert not faults, f"episode {episode}, step {step}"
            if cell.truth().success:
                break
    cell.close()


def test_holding_near_a_singularity_ends_at_rest():
    smallest = 1.0
    for value, delay, trial in singular_sweep(3):
        assert trial.rest < 0.02, f"sigma_min {value}, delay {delay}: {trial}"
        assert not trial.fault
        smallest = min(smallest, value)
    assert smallest <= 1e-3


def test_an_unstable_loop_latches_within_three_tenths_and_a_stable_one_does_not():
    unstable = stable = 0
    for rate, delay, inertia, kind, check, trial in stability_rows():
        row = f"{rate} Hz, delay {delay}, inertia {inertia}, {kind}: {check.radius:.4f}, {trial}"
        assert as_said(check, trial), row
        if not check.stable:
            assert "oscillates" in trial.fault, row
        unstable += not check.stable
        stable += check.stable and not check.close
    assert unstable >= 40
    assert stable >= 20


def test_a_target_far_away_is_approached_at_the_limit():
    controller = impedance.Controller()
    controller.set(clip_pos=0.3, clip_neg=0.3, smoothing=1.0)
    arm = DelayedArm(controller, 0)
    arm.place(HOME, np.zeros(7))
    goal = arm.sample()["pose"].copy()
    goal[1] += 0.35
    fastest = 0.0
    for _ in range(1500):
        controller.set_target_pose(goal, arm.time)
        arm.tick()
        sample = arm.sample()
        fastest = max(fastest, float(np.linalg.norm(sample["jacobian"][:3] @ sample["dq"])))
    assert fastest <= 1.1 * controller.config.pose_linear_speed
    assert np.linalg.norm(sample["pose"][:3] - goal[:3]) < 0.02
    assert not controller.fault


def test_the_law_knows_the_models_joint_limits(cell):
    model = panda_model()
    config = cell.arms[""].controller.config
    np.testing.assert_array_equal(config.joint_low, model.jnt_range[:7, 0])
    np.testing.assert_array_equal(config.joint_high, model.jnt_range[:7, 1])
    assert config.joint_speed[0] == 2.175


def test_a_trial_without_a_kick_stays_where_it_is():
    controller = impedance.Controller()
    controller.set(damping_kind=impedance.DampingKind.RATIO)
    trial = hold_trial(DelayedArm(controller, 1), HOME, np.zeros(7), 0.3)
    assert trial.rest < 1e-3
    assert not trial.fault
