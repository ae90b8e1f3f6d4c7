# SPDX-License-Identifier: Apache-2.0
"""Which policy files act: those of the task, in evaluations also under another judge."""

import pytest
import torch

from hil_serl_actor.loop.acting_policy import ActingPolicy
from hil_serl_actor.options import ActorOptions, AgentOptions
from hil_serl_core.episode import Mode
from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.policy import PolicyNetwork, policy_state
from hil_serl_core.weights import WeightsError, pack


@pytest.fixture(scope="module")
def dense(spec):
    """The task with a reward on every step."""
    classifier = spec.reward.classifier.model_copy(update={"form": "log_probability"})
    reward = spec.reward.model_copy(update={"kind": "classifier", "classifier": classifier})
    return spec.model_copy(update={"reward": reward})


def policy_file(path, spec, spec_hash):
    """A new policy of a task, saved under a hash."""
    features = FeatureExtractor.from_spec(spec)
    size = spec.cameras[0].size
    features.fit([torch.randint(0, 256, (8, size, size, 3), dtype=torch.uint8)])
    network = PolicyNetwork(NetworkConfig.from_spec(spec, features.cameras))
    state = policy_state(network, features)
    path.write_bytes(pack(state, version=3, trained_step=150, update=400, spec_hash=spec_hash).data)
    return str(path)


def act(spec, file, mode, tmp_path):
    agent = AgentOptions("", spec, "actor_0", file, "")
    return ActingPolicy(
        ActorOptions((agent,), tmp_path, mode, 0, 1, "none", False, {}, False, False, True, "cpu", {}), agent
    )


def test_an_evaluation_may_be_judged_by_another_than_the_training(tmp_path, spec, dense):
    assert dense.hash != spec.hash
    file = policy_file(tmp_path / "policy.safetensors", spec, dense.hash)
    assert act(spec, file, Mode.EVAL, tmp_path).source.ready(0)
    with pytest.raises(WeightsError, match=f"{dense.hash}.*same task file"):
        act(spec, file, Mode.TRAIN, tmp_path)


def test_another_task_is_refused_in_evaluations_too(tmp_path, spec):
    other = spec.model_copy(update={"name": "another"})
    file = policy_file(tmp_path / "policy.safetensors", spec, other.hash)
    with pytest.raises(WeightsError, match=f"{other.hash}.*same task file"):
        act(spec, file, Mode.EVAL, tmp_path)
