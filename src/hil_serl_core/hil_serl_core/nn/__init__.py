# SPDX-License-Identifier: Apache-2.0
"""Networks of the policy and the critics."""

from hil_serl_core.nn.actor import GaussianActor
from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.nn.grasp_critic import GraspCritic

__all__ = [
    "CriticEnsemble",
    "FeatureExtractor",
    "GaussianActor",
    "GraspCritic",
    "NetworkConfig",
    "ObservationEncoder",
]
