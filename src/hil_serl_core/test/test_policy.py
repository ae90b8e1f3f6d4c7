# SPDX-License-Identifier: Apache-2.0
"""The actor's policy: weights in, actions out, refusal of what does not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.policy import Policy, PolicyNetwork, policy_state
from hil_serl_core.weights import WeightsError, pack, read_file, unpack


@pytest.fixture(scope="module")
def packed(spec):
    return pack_new(spec)


def pack_new(spec):
    torch.manual_seed(0)
    features = FeatureExtractor.from_spec(spec)
    size = spec.cameras[0].size
    features.fit([torch.randint(0, 256, (8, size, size, 3), dtype=torch.uint8)])
    network = PolicyNetwork(NetworkConfig.from_spec(spec, features.cameras))
    return pack(policy_state(network, features), version=3, trained_step=150, update=400, spec_hash=spec.hash)


@pytest.fixture(scope="module")
def observation(spec):
    rng = np.random.default_rng(0)
    frames = {c.name: rng.integers(0, 256, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras}
    return frames, {part: rng.normal(size=size).astype(np.float32) for part, size in spec.state_sizes.items()}


@pytest.fixture(scope="module")
def policy(spec, packed):
    policy = Policy(spec)
    policy.load(unpack(packed, spec.hash, policy.shapes))
    return policy


def test_acts_within_bounds_and_reproducibly(spec, policy, observation):
    action = policy.act(*observation, deterministic=True)
    assert action.shape == (spec.action_size,)
    assert action.dtype == np.float32
    assert np.abs(action).max() <= 1.0
    np.testing.assert_array_equal(action, policy.act(*observation, deterministic=True))
    samples = [policy.act(*observation, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_every_camera_and_state_part_matters(policy, observation):
    frames, state = observation
    action = policy.act(frames, state, deterministic=True)
    for name in frames:
        changed = {**frames, name: 255 - frames[name]}
        assert not np.array_equal(policy.act(changed, state, deterministic=True), action)
    for part in state:
        changed = {**state, part: state[part] + 1.0}
        assert not np.array_equal(policy.act(frames, changed, deterministic=True), action)


def test_without_weights_it_says_so(spec, observation):
    with pytest.raises(RuntimeError, match="no weights"):
        Policy(spec).act(*observation)


def test_bad_observations_are_named(policy, observation):
    frames, state = observation
    camera, part = next(iter(frames)), next(iter(state))
    with pytest.raises(ValueError, match=camera):
        policy.act({**frames, camera: frames[camera][::2]}, state)
    with pytest.raises(ValueError, match=part):
        policy.act(frames, {**state, part: np.full_like(state[part], np.nan)})


def test_the_trunk_does_not_travel(policy, packed):
    assert not any("backbone" in name for name in policy.shapes)
    assert len(packed.data) < 4e6


def test_another_task_is_refused(spec, policy, packed):
    with pytest.raises(WeightsError, match="same task file"):
        unpack(dataclasses.replace(packed, spec_hash="f" * 16), spec.hash, policy.shapes)


def test_any_flipped_byte_is_noticed(spec, policy, packed):
    for position in (0, 8, 500, len(packed.data) - 1):
        data = bytearray(packed.data)
        data[position] ^= 1
        with pytest.raises(WeightsError, match="SHA-256"):
            unpack(dataclasses.replace(packed, data=bytes(data)), spec.hash, policy.shapes)


def _repacked(spec, policy, packed, change):
    tensors = dict(unpack(packed, spec.hash, policy.shapes))
    change(tensors)
    return pack(tensors, version=4, trained_step=0, update=0, spec_hash=spec.hash)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop("actor.mean.bias"), "missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "unknown"),
        (lambda t: t.update({"actor.mean.bias": torch.zeros(2)}), "shape"),
        (lambda t: t["actor.mean.bias"].__setitem__(0, float("nan")), "NaN"),
        (lambda t: t["actor.mean.bias"].__setitem__(0, float("inf")), "NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(spec, policy, packed, change, text):
    with pytest.raises(WeightsError, match=text):
        unpack(_repacked(spec, policy, packed, change), spec.hash, policy.shapes)


def test_garbage_with_a_right_digest_is_refused(spec, policy, packed):
    import hashlib

    for data in (b"", b"garbage" * 10, packed.data[:1000]):
        bad = dataclasses.replace(packed, data=data, sha256=hashlib.sha256(data).hexdigest())
        with pytest.raises(WeightsError, match="safetensors"):
            unpack(bad, spec.hash, policy.shapes)


def test_equal_weights_are_equal_bytes_and_files(spec, policy, packed, tmp_path):
    again = pack(
        unpack(packed, spec.hash, policy.shapes), version=3, trained_step=150, update=400, spec_hash=spec.hash
    )
    assert again == packed
    (tmp_path / "policy.safetensors").write_bytes(packed.data)
    assert read_file(tmp_path) == packed


def _grasping(spec, arms, exploration=0.0):
    """The task with grippers; networks packed, loaded, and the observation that fits."""
    content = spec.model_dump()
    content["action"]["gripper"] = {}
    content["state"] = [*content["state"], "gripper"]
    content["learner"]["grasp_exploration"] = exploration
    if arms == 2:
        arm = {
            "workspace": content.pop("workspace"),
            "nominal_position": content["reset"].pop("nominal_position"),
        }
        content["arms"] = {
            side: {"base_frame": f"{side}_base", "tcp_frame": f"{side}_tcp", **arm}
            for side in ("left", "right")
        }
    spec = type(spec).model_validate(content)
    policy = Policy(spec)
    policy.load(unpack(pack_new(spec), spec.hash, policy.shapes))
    rng = np.random.default_rng(0)
    frames = {c.name: rng.integers(0, 256, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras}
    state = {part: rng.normal(size=size).astype(np.float32) for part, size in spec.state_sizes.items()}
    return policy, frames, state


@pytest.mark.parametrize("arms", [1, 2])
def test_gripper_commands_are_the_argmax_of_the_grasp_critic_behind_the_continuous_action(spec, arms):
    policy, frames, state = _grasping(spec, arms)
    bias = policy._network.grasp.output.bias
    seen = set()
    for index in range(3**arms):
        bias.zero_()
        bias[index] = 100.0
        action = policy.act(frames, state)
        assert action.shape == (7 * arms,)
        assert np.abs(action[: 6 * arms]).max() < 1.0
        commands = tuple(action[6 * arms :].tolist())
        assert sum((command + 1) * 3**k for k, command in enumerate(commands)) == index
        seen.add(commands)
    assert len(seen) == 3**arms


def test_random_gripper_commands_only_where_asked_for(spec):
    for exploration, deterministic, expected in ((0.0, False, 1), (0.5, True, 1), (0.5, False, 3)):
        policy, frames, state = _grasping(spec, 1, exploration)
        generator = torch.Generator().manual_seed(0)
        commands = {
            policy.act(frames, state, deterministic=deterministic, generator=generator)[6] for _ in range(30)
        }
        assert len(commands) == expected


def test_each_arms_state_is_scaled_alike(spec):
    from hil_serl_core.nn.observation import StateLayout

    policy, _, state = _grasping(spec, 2)
    layout = StateLayout(policy.spec)
    flat = layout.flatten(state)
    for part in ("left/tcp_pose", "right/tcp_pose"):
        np.testing.assert_allclose(flat[layout.slices[part]], state[part] / 0.05, rtol=1e-6)
