# SPDX-License-Identifier: Apache-2.0
"""The average of the policy in one buffer equals what checkpoints were made with before, and reads them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode

from hil_serl_learner.algorithms.rlpd import Rlpd


@pytest.mark.parametrize("grasp_choices", [0, 3])
def test_the_average_equals_that_of_pytorch_which_checkpoints_were_made_with(toy, grasp_choices):
    """``AveragedModel`` with ``get_ema_multi_avg_fn``, tensor by tensor, as it was before there was one buffer."""
    config = dataclasses.replace(toy.NETWORKS, grasp_choices=grasp_choices, grasp_hidden=(8, 8))
    agent = Rlpd(config, toy.spec(policy_average=0.03).learner, seed=3)
    reference = AveragedModel(agent.policy, multi_avg_fn=get_ema_multi_avg_fn(1.0 - 0.03))
    for seed in range(20):
        agent.update(toy.batch(seed=seed))
        reference.update_parameters(agent.policy)
    tensors = agent.model_state()
    expected = reference.module.state_dict()
    assert {name.removeprefix("average.") for name in tensors if name.startswith("average.")} == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(tensors[f"average.{name}"], tensor, rtol=0, atol=1e-7)
        torch.testing.assert_close(agent.evaluated.state_dict()[name], tensor, rtol=0, atol=1e-7)
    assert (tensors["average_updates"].dtype, tensors["average_updates"].shape) == (torch.int64, ())
    assert tensors["average_updates"].item() == reference.n_averaged.item() == 20


def test_a_checkpoint_with_pytorch_s_average_is_gone_on_with(toy):
    """Its tensors as they were before there was one buffer: read, and averaged further by the same formula."""
    agent, other = (
        Rlpd(toy.NETWORKS, toy.spec(policy_average=0.25).learner, seed=3),
        Rlpd(toy.NETWORKS, toy.spec(policy_average=0.25).learner, seed=3),
    )
    reference = AveragedModel(agent.policy, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    for seed in range(3):
        agent.update(toy.batch(seed=seed))
        reference.update_parameters(agent.policy)
    tensors = {name: t.clone() for name, t in agent.model_state().items() if not name.startswith("average")}
    tensors |= {f"average.{name}": tensor for name, tensor in reference.module.state_dict().items()}
    tensors["average_updates"] = reference.n_averaged
    other.load_model_state(tensors)
    other.load_optimizer_state({k: v.clone() for k, v in agent.optimizer_state().items()})
    for seed in range(3, 6):
        other.update(toy.batch(seed=seed))
        reference.update_parameters(other.policy)
    for name, tensor in reference.module.state_dict().items():
        torch.testing.assert_close(other.evaluated.state_dict()[name], tensor, rtol=0, atol=1e-7)


def test_the_average_is_one_buffer(toy):
    """One pass over each part of the policy that lies together, not one for each of its tensors."""
    agent = Rlpd(toy.NETWORKS, toy.spec(policy_average=0.25).learner, seed=3)
    average, calls = agent._average, []
    start, stop = average._flat.data.data_ptr(), average._flat.data.data_ptr() + 4 * len(average._flat.data)
    assert all(start <= p.data_ptr() < stop for p in agent.evaluated.parameters())
    with _Counted(calls):
        average.update()
    assert len(list(agent.policy.parameters())) > 10
    assert sum("lerp" in call for call in calls) == 2, "encoder and actor"


class _Counted(TorchDispatchMode):
    """Names of the operators that are run."""

    def __init__(self, calls):
        super().__init__()
        self._calls = calls

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self._calls.append(str(func))
        return func(*args, **(kwargs or {}))
