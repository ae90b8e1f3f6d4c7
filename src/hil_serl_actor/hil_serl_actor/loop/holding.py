# SPDX-License-Identifier: Apache-2.0
"""Holding the arms between episodes: a real-time controller must hear from the actor, or its target goes stale."""

from __future__ import annotations

import numpy as np

from hil_serl_actor.loop.ports import Ports
from hil_serl_actor.senses.inputs import Inputs
from hil_serl_core.action import ActionMapper


class ArmHold:
    """Commands the poses that the arms had when the hold began.

    Attributes:
        poses: Arm name to its held tcp pose (7,); None: take the measured ones at the next command.
    """

    def __init__(self, inputs: Inputs, ports: Ports, timeout: float) -> None:
        """``timeout``: age [s] from which on a measured state is not used."""
        self._inputs, self._ports, self._timeout = inputs, ports, timeout
        self.poses: dict[str, np.ndarray] | None = None

    def release(self) -> None:
        """Hold anew, from where the arms are by then."""
        self.poses = None

    def send(self, now: float, mapper: ActionMapper) -> None:
        """Command the hold at ``now`` [s], unless nobody knows where the arms are; ``mapper``: of who acted last."""
        stamp = self._inputs.assembler.stamp
        if stamp is None or now - stamp > self._timeout:
            return
        if self.poses is None:
            self.poses = self._inputs.poses
        self._ports.send_commands(mapper.hold(self.poses), now)
