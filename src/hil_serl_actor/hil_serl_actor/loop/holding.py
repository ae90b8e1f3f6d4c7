# SPDX-License-Identifier: Apache-2.0
"""Holding the arms between episodes: a real-time controller must hear from the actor, or its target goes stale."""

from __future__ import annotations

import numpy as np

from hil_serl_actor.loop.ports import Ports
from hil_serl_actor.senses.inputs import Inputs
from hil_serl_core.action import ArmCommand


class ArmHold:
    """Commands the poses that the arms had when the hold began, and nothing to the grippers: they stay as they are.

    A wrench task is held by poses, too: its controller takes one as "stay there" until the next wrench, whereas a wrench
    of zero would let an arm that moves go on.

    A hold ends when an arm falls silent: its controller may be inactive, and a person or another controller may move the
    arm. What comes back is held where it is then, so that nothing is pulled to where it was. The same holds for an arm in
    a fault, whose controller ignores targets.

    Attributes:
        poses: Arm name to its held tcp pose (7,); None: take the measured ones at the next command.
    """

    def __init__(self, inputs: Inputs, ports: Ports, timeout: float) -> None:
        """``timeout``: age [s] from which on a measured state is not used, nor one as far in the future."""
        self._inputs, self._ports, self._timeout = inputs, ports, timeout
        self.poses: dict[str, np.ndarray] | None = None

    def release(self) -> None:
        """Hold anew, from where the arms are by then."""
        self.poses = None

    def send(self, now: float) -> None:
        """Command the hold at ``now`` [s], unless nobody knows where the arms are."""
        stamp = self._inputs.assembler.stamp
        if stamp is None or abs(now - stamp) > self._timeout:
            self.poses = None
            return
        measured = self._inputs.poses
        faulted = {name: measured[name] for name, arm in (self._inputs.arms or {}).items() if arm.fault}
        self.poses = measured if self.poses is None else {**self.poses, **faulted}
        self._ports.send_commands({arm: ArmCommand(pose=pose) for arm, pose in self.poses.items()}, now)
