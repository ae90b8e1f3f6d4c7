# SPDX-License-Identifier: Apache-2.0
"""Simulated cells as Gymnasium environments."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hil_serl_sim.expert import Expert
from hil_serl_sim.gymnasium_env import CellEnv, environment_id, register, task_files


@pytest.fixture
def env(task_file):
    env = CellEnv(task_file, render_mode="rgb_array")
    yield env
    env.close()


def test_the_checker_of_gymnasium_is_content(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # State parts are in SI units and not bounded.
        warnings.filterwarnings("ignore", message=".*Box observation space m.*imum value is .*infinity.*")
        check_env(env, skip_render_check=True)


def test_every_twin_has_an_id():
    assert set(register()) == {environment_id(task) for task in task_files()}
    assert environment_id("ram_insertion") == "hil_serl/RamInsertion-v0"
    made = gymnasium.make("hil_serl/RamInsertion-v0")
    assert made.unwrapped.task.name == "ram_insertion"
    made.close()


def test_the_expert_earns_the_reward_and_the_time_limit_truncates(env):
    env.reset(seed=3)
    expert = Expert(env.task, env.cell.twin.guide())
    total, terminated = 0.0, False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(expert.action(env.cell.view()))
        total += reward
        assert not truncated
    assert (total, info["success"]) == (1.0, True)

    env.reset(seed=3)
    ends = [env.step(np.zeros(6, np.float32))[2:4] for _ in range(env.task.episode.max_steps)]
    assert ends[-1] == (False, True)
    assert not any(truncated for _, truncated in ends[:-1])


def test_equal_seeds_give_equal_pictures_and_states(env):
    first, _ = env.reset(seed=7)
    other, _ = env.reset(seed=8)
    again, _ = env.reset(seed=7)
    assert np.array_equal(first["images"]["wrist_1"], again["images"]["wrist_1"])
    assert not np.array_equal(first["images"]["wrist_1"], other["images"]["wrist_1"])
    assert not np.any(first["state"]["tcp_pose"])  # relative to where the episode begins


def test_a_picture_for_people(env):
    env.reset(seed=0)
    assert env.render().shape == (480, 640, 3)
    with pytest.raises(ValueError, match="rgb_array"):
        CellEnv(env.task, render_mode="human")
