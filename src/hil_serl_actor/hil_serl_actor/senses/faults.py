# SPDX-License-Identifier: Apache-2.0
"""What the actor tells people about arms in a fault: it never recovers one itself."""

from __future__ import annotations

from collections.abc import Sequence

from hil_serl_ros.names import ARM_STATE

SILENT_ARM = 1.0
"""Seconds of silence after which an arm does not go on by itself; shorter ones are the network's."""

RECOVERY = (
    "look what caused it, make the cell safe, then: hil-serl recover (nothing moves yet), and go on with: "
    "hil-serl unpause"
)


def names_an_arm(problems: Sequence[str]) -> bool:
    """Whether an arm's state is among the inputs that are missing: drivers of arms with an error fall silent."""
    return any(problem.split(" ")[0].endswith(ARM_STATE) for problem in problems)
