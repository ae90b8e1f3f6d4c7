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

    The hold of an arm ends when it falls silent: its controller may be inactive, and a person or another controller may
    move it. It is held where it comes back, so that nothing is pulled to where it was. The same holds for an arm in a
    fault, whose controller ignores targets. Of two arms the other one is held on.

    Attributes:
        poses: Arm name to its held tcp pose (7,); of an arm without one the measured pose is taken at the next command.
    """

    def __init__(self, inputs: Inputs, ports: Ports, timeout: float) -> None:
        """``timeout``: age [s] from which on a measured state is not used, nor one as far in the future."""
        self._inputs, self._ports, self._timeout = inputs, ports, timeout
        self.poses: dict[str, np.ndarray] = {}

    def release(self) -> None:
        """Hold anew, from where the arms are by then."""
        self.poses = {}

    def send(self, now: float) -> None:
        """Command the hold at ``now`` [s] to the arms of which somebody knows where they are."""
        arms = self._inputs.arms or {}
        heard = {name: arm for name, arm in arms.items() if abs(now - arm.stamp) <= self._timeout}
        self.poses = {
            name: arm.tcp_pose if arm.fault else self.poses.get(name, arm.tcp_pose)
            for name, arm in heard.items()
        }
        if self.poses:
            self._ports.send_commands({arm: ArmCommand(pose=pose) for arm, pose in self.poses.items()}, now)
