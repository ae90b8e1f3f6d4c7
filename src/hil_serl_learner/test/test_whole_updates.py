# SPDX-License-Identifier: Apache-2.0
"""Whole updates of RLPD against the original release's maths, written plainly and in double precision.

There every loss has an Adam of its own over *all* parameters, its gradient is taken at the same parameters as the others',
and a parameter gets the sum of the steps. Flat buffers, shared first products, and grouping parameters by what trains them
must give the same.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from hil_serl_learner.algorithms.rlpd import Rlpd

UPDATES = 5
TOLERANCE = 2e-5
"""Absolute, of parameters of which some in each weight move by more than 100 times as much; float32 against float64."""
RATE = 1e-3


class Plain:
    """The networks of an agent in float64, and their update."""

    def __init__(self, agent: Rlpd) -> None:
        learner = self.learner = agent._learner
        self.nets = nn.ModuleDict(
            {
                "encoder": copy.deepcopy(agent.policy.encoder),
                "actor": copy.deepcopy(agent.policy.actor),
                "grasp": copy.deepcopy(agent.policy.grasp),
                "critics": copy.deepcopy(agent.critics),
                "temperature": copy.deepcopy(agent.temperature),
            }
        ).double()
        self.target = copy.deepcopy(self.nets)
        self.generator = torch.Generator()
        self.generator.set_state(agent._generator.get_state())
        self.entropy_target = agent.temperature.target_entropy
        self.losses = ("critic", "grasp", "actor", "temperature")
        self.moments = {
            loss: {
                name: [torch.zeros_like(p), torch.zeros_like(p)] for name, p in self.nets.named_parameters()
            }
            for loss in self.losses
        }
        self.count, self.tau, self.gamma = 0, learner.soft_target_update, learner.discount

    def noise(self, batch):
        return torch.randn(batch.action.shape, generator=self.generator).double()

    def update(self, batch) -> None:
        nets, target, frozen = self.nets, self.target, copy.deepcopy(self.nets).requires_grad_(False)
        with torch.no_grad():
            seen = nets.encoder(batch.next_features, batch.next_state)
            acting = seen
            if self.learner.next_action_dropout:
                acting = nets.encoder(batch.next_features, batch.next_state, self.generator)
            next_action, next_log_prob = nets.actor.sample(acting, self.noise(batch))
            next_embedding = target.encoder(batch.next_features, batch.next_state)
            next_q = target.critics(next_embedding, next_action).min(0).values
            aim = batch.reward + self.gamma * batch.mask * next_q
            best = nets.grasp(seen).argmax(1)
            next_grasp = target.grasp(next_embedding)[torch.arange(len(best)), best]
            grasp_aim = batch.reward + batch.grasp_penalty + self.gamma * batch.mask * next_grasp
        embedding = nets.encoder(batch.features, batch.state)
        critic = ((nets.critics(embedding, batch.action) - aim) ** 2).mean()
        chosen = nets.grasp(embedding)[torch.arange(len(batch.grasp)), batch.grasp]
        grasp = ((chosen - grasp_aim) ** 2).mean()
        dropout = self.generator if self.learner.camera_head == "learned_pooling" else None
        cameras = nets.encoder.cameras(batch.features, dropout).detach()
        action, log_prob = nets.actor.sample(
            torch.cat([cameras, nets.encoder.state(batch.state)], 1), self.noise(batch)
        )
        q = frozen.critics(frozen.encoder(batch.features, batch.state), action).mean(0)
        alpha = functional.softplus(nets.temperature.multiplier[0])
        actor = (alpha.detach() * log_prob - q).mean()
        temperature = alpha * (-next_log_prob.mean() - self.entropy_target)
        self.step({"critic": critic, "grasp": grasp, "actor": actor, "temperature": temperature})

    def step(self, losses) -> None:
        """Adam (0.9, 0.999, 1e-8) of each loss over all parameters; the steps are added."""
        self.count += 1
        names, parameters = zip(*self.nets.named_parameters(), strict=True)
        total = [torch.zeros_like(p) for p in parameters]
        for loss, value in losses.items():
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            for index, gradient in enumerate(gradients):
                gradient = torch.zeros_like(parameters[index]) if gradient is None else gradient
                first, second = self.moments[loss][names[index]]
                first.mul_(0.9).add_(0.1 * gradient)
                second.mul_(0.999).add_(0.001 * gradient**2)
                first_hat, second_hat = first / (1 - 0.9**self.count), second / (1 - 0.999**self.count)
                total[index] -= RATE * first_hat / (second_hat.sqrt() + 1e-8)
        with torch.no_grad():
            for parameter, change in zip(parameters, total, strict=True):
                parameter += change
            for old, new in zip(self.target.parameters(), self.nets.parameters(), strict=True):
                old.mul_(1 - self.tau).add_(self.tau * new)


def double(batch):
    return replace(batch, **{k: v.double() for k, v in vars(batch).items() if v.is_floating_point()})


@pytest.mark.parametrize(
    ("shared", "camera_head", "next_action_dropout"),
    [
        (False, "dense", False),
        (True, "dense", False),
        (False, "learned_pooling", False),
        (True, "learned_pooling", True),  # the original's
    ],
)
def test_five_whole_updates_are_those_of_the_original(toy, shared, camera_head, next_action_dropout):
    learner = toy.spec(
        actor_update_period=1,
        learning_rate=RATE,
        camera_head=camera_head,
        critic_shared_output=shared,
        next_action_dropout=next_action_dropout,
        soft_target_update=0.05,
    ).learner
    config = replace(
        toy.NETWORKS,
        camera_head=camera_head,
        critic_shared_output=shared,
        grasp_choices=3,
        grasp_hidden=(8, 8),
    )
    agent = Rlpd(config, learner, seed=3)
    plain = Plain(agent)
    before = {name: tensor.clone() for name, tensor in agent.model_state().items()}
    for seed in range(UPDATES):
        batch = toy.batch(rows=32, seed=seed)
        agent.update(batch)
        plain.update(double(batch))
    theirs = {f"policy.{name}": plain.nets[name] for name in ("encoder", "actor", "grasp")}
    theirs |= {"critic": plain.nets.critics, "temperature": plain.nets.temperature}
    theirs |= {f"target.{name}": plain.target[name] for name in ("encoder", "grasp")}
    theirs["target.ensemble"] = plain.target.critics
    ours, compared = agent.model_state(), 0
    for prefix, module in theirs.items():
        for name, tensor in module.state_dict().items():
            torch.testing.assert_close(
                ours[f"{prefix}.{name}"].double(), tensor, atol=TOLERANCE, rtol=0, msg=f"{prefix}.{name}"
            )
            compared += 1
    assert compared == sum(not name.startswith("average") for name in ours)
    for name in ours:
        if name.startswith(("policy.", "critic.")) and name.endswith("weight"):
            assert float((ours[name] - before[name]).abs().max()) > 100 * TOLERANCE, name
    assert ours["critic.output.weight"].shape == ((8, 1) if shared else (2, 8, 1))
