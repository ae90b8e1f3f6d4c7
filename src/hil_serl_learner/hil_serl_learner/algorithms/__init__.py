# SPDX-License-Identifier: Apache-2.0
"""Learning algorithms behind one interface."""

from __future__ import annotations

from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.spec.model import LearnerSpec
from hil_serl_learner.algorithms.base import Algorithm
from hil_serl_learner.algorithms.bc import BehaviourCloning
from hil_serl_learner.algorithms.rlpd import Rlpd

__all__ = ["ALGORITHMS", "Algorithm", "BehaviourCloning", "Rlpd", "create_algorithm"]

ALGORITHMS: dict[str, type[Rlpd] | type[BehaviourCloning]] = {"rlpd": Rlpd, "bc": BehaviourCloning}


def create_algorithm(
    name: str, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str
) -> Algorithm:
    """Builds an algorithm by name.

    Raises:
        ValueError: Unknown name.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm '{name}', use one of {sorted(ALGORITHMS)}")
    return ALGORITHMS[name](config, learner, seed, device)
