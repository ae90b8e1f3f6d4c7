# SPDX-License-Identifier: Apache-2.0
"""Grasp critic's part of an update: double DQN beside the continuous agent (eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hil_serl_core.nn.grasp_critic import GraspCritic
from hil_serl_learner.batch import Batch
from hil_serl_learner.optimise import FlatAdam


def double_q_target(
    reward: Tensor, mask: Tensor, next_online: Tensor, next_target: Tensor, discount: float
) -> Tensor:
    """r + gamma mask Q_target(o', argmax_k Q_online(o', k)), eq. (3).

    Args:
        reward: (B,) reward and grasp penalty on arrival at o'.
        mask: (B,) 0 where the task ended.
        next_online: (B, K) values of o' by the online network, which chooses.
        next_target: (B, K) by the target network, which values.
        discount: gamma.

    Returns:
        (B,).
    """
    best = next_online.argmax(dim=1, keepdim=True)
    return reward + discount * mask * next_target.gather(1, best).squeeze(1)


def grasp_loss(values: Tensor, chosen: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the executed command's value; (B, K), (B,) int64 and (B,)."""
    return (values.gather(1, chosen.unsqueeze(1)).squeeze(1) - target).square().mean()


class GraspLearner:
    """Trains the grasp critic and, with an Adam of its own, the encoder it shares with the continuous agent."""

    def __init__(
        self,
        online: GraspCritic,
        target: GraspCritic,
        encoder: Sequence[nn.Parameter],
        buffers: Sequence[Tensor],
        learning_rate: float,
        discount: float,
    ) -> None:
        """Make the optimiser.

        Args:
            online: Trained head.
            target: Its Polyak average, kept by the caller.
            encoder: Parameters of camera heads and proprio encoder.
            buffers: Flat buffers of ``encoder`` and of ``online``.
            learning_rate: Of Adam.
            discount: gamma.
        """
        self._online, self._target = online, target
        self._encoder, self._head = list(encoder), list(online.parameters())
        self._discount = discount
        self.adam = FlatAdam(buffers, learning_rate)

    @torch.no_grad()
    def targets(self, batch: Batch, next_embedding: Tensor, next_target_embedding: Tensor) -> Tensor:
        """(B,) targets; embeddings of o' by the online and by the target encoder."""
        return double_q_target(
            batch.reward + batch.grasp_penalty,
            batch.mask,
            self._online(next_embedding),
            self._target(next_target_embedding),
            self._discount,
        )

    def gradients(
        self, embedding: Tensor, batch: Batch, target: Tensor
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Gradients at the present parameters, and scalars for the log; ``embedding`` still has its graph."""
        values = self._online(embedding)
        loss = grasp_loss(values, batch.grasp, target)
        gradients = torch.autograd.grad(loss, [*self._encoder, *self._head])
        return gradients, {"grasp_loss": loss.detach(), "grasp_q_mean": values.detach().amax(dim=1).mean()}

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of head and encoder."""
        count = len(self._encoder)
        self.adam.step(gradients[:count], gradients[count:])
