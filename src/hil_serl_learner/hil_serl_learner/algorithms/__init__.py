# SPDX-License-Identifier: Apache-2.0
"""Learning algorithms behind one interface."""

from __future__ import annotations

from hil_serl_core.methods import method_named
from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.spec import LearnerSpec
from hil_serl_learner.algorithms.base import Algorithm
from hil_serl_learner.algorithms.cloning import BehaviourCloning, HgDagger
from hil_serl_learner.algorithms.rlpd import HilSerl, Rlpd, RlpdScratch, Serl

__all__ = ["ALGORITHMS", "Algorithm", "BehaviourCloning", "HgDagger", "HilSerl", "Rlpd", "create_algorithm"]

ALGORITHMS: dict[str, type[Rlpd] | type[BehaviourCloning]] = {
    "hil_serl": HilSerl,
    "serl": Serl,
    "rlpd_scratch": RlpdScratch,
    "bc": BehaviourCloning,
    "hg_dagger": HgDagger,
}
"""Class of each method of ``hil_serl_core.methods``."""


def create_algorithm(
    name: str, config: NetworkConfig, learner: LearnerSpec, seed: int, device: str
) -> Algorithm:
    """Builds an algorithm by name.

    Raises:
        MethodError: Unknown name.
    """
    return ALGORITHMS[method_named(name).name](config, learner, seed, device)
