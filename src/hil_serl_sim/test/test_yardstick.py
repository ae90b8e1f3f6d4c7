# SPDX-License-Identifier: Apache-2.0
"""The expert in disturbed episodes, alone and from where somebody else was disturbed."""

import numpy as np
import pytest

from hil_serl_core.spec import load_task
from hil_serl_sim.expert import Expert
from hil_serl_sim.repeating import NotReproducedError
from hil_serl_sim.rollout import Driver
from hil_serl_sim.yardstick import Yardstick

STEP, SEED = 8, 3


@pytest.fixture(scope="module")
def usb(task_file):
    return load_task(task_file.parent / "usb_insertion.yaml")


def course(spec, policy, steps):
    """Actions of an undisturbed episode, and the tcp poses after them."""
    from hil_serl_sim.cell import Cell

    cell = Cell(spec, seed=0)
    driver, actions = Driver(cell), []
    driver.reset(SEED)
    for _ in range(steps):
        actions.append(policy(cell))
        driver.step(actions[-1])
    poses = np.stack([cell.arm_state(arm).pose for arm in spec.arm_names])
    cell.close()
    return actions, poses


@pytest.fixture(scope="module")
def disturbed(usb):
    made = Yardstick(usb, "open_gripper", STEP)
    yield made
    made.close()


def test_taking_over_from_itself_is_the_experts_own_episode(usb, disturbed):
    def policy(cell):
        return Expert(usb, cell.twin.guide()).action(cell.view())

    own = disturbed.episode(SEED)
    actions, poses = course(usb, policy, STEP)
    assert disturbed.episode(SEED, actions, poses) == own
    calm = Yardstick(usb, None, 0)
    assert calm.episode(SEED).success
    assert calm.episode(SEED).steps < own.steps, "the disturbance costs time"
    calm.close()


def test_it_takes_over_from_the_very_state_in_which_somebody_was_disturbed(usb, disturbed):
    actions, poses = course(usb, lambda _: np.array([0.5, 0.5, 1, 0, 0, 0, 0], np.float32), STEP)
    behind = disturbed.episode(SEED, actions, poses)
    assert len({behind, disturbed.episode(SEED), disturbed.episode(SEED, actions[: STEP // 2])}) == 3
    long, _ = course(usb, lambda _: actions[0], usb.episode.max_steps)
    assert not disturbed.episode(SEED, long).success, "nothing is left for the expert"


def test_a_recording_that_the_simulator_does_not_repeat_is_refused(usb, disturbed):
    still = [np.zeros(usb.action_size, np.float32)] * STEP
    _, poses = course(usb, lambda _: still[0], STEP)
    disturbed.episode(SEED, still, poses)
    with pytest.raises(NotReproducedError, match=r"state of seed 3 is another one .* \(1\.000 mm away\)"):
        disturbed.episode(SEED, still, poses + np.array([0.001, 0, 0, 0, 0, 0, 0]))


def test_a_disturbance_that_the_twin_does_not_know_is_refused(spec):
    with pytest.raises(ValueError, match="does not move its gripper"):
        Yardstick(spec, "open_gripper", STEP)
