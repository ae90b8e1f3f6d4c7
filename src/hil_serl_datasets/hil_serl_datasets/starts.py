# SPDX-License-Identifier: Apache-2.0
"""Does an episode begin at its reset pose, as relative poses must?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hil_serl_core.spec import TaskSpec

POSITION_MARGIN = 0.02
"""What an arm may lie beside the reset's range when the first record is made [m]."""
ROTATION_MARGIN = 0.1
"""The same about each axis [rad]."""
_ROOM = 0.4, 1.0  # m, rad: where an episode that was cut may begin at least


def start_fault(state: Mapping[str, np.ndarray], spec: TaskSpec, *, cut: bool = False) -> str | None:
    """What is wrong with the relative poses of an episode's first record; None if nothing is.

    A pose relative to the reset pose is nearly zero there. An absolute one, of the tcp in the base frame, is not.

    Args:
        state: Parts of the record; ``tcp_pose`` [m, rad] of each arm is looked at.
        spec: Its task.
        cut: The first records of the episode were cut off, so that any pose of the workspace may come first.
    """
    for arm in spec.arm_names:
        pose = state.get(f"{arm}/tcp_pose" if arm else "tcp_pose")
        if pose is None:
            continue
        position, rotation = np.array(spec.reset.position_range), np.array(spec.reset.rotation_range)
        if cut:
            workspace = spec.arm(arm).workspace
            position = np.maximum(position + np.subtract(workspace.upper, workspace.lower), _ROOM[0])
            rotation = np.maximum(rotation + 2.0 * workspace.max_rotation, _ROOM[1])
        beyond = np.abs(pose[:3]) > position + POSITION_MARGIN
        turned = np.abs(pose[3:]) > rotation + ROTATION_MARGIN
        if beyond.any() or turned.any():
            whose = f"arm '{arm}' " if arm else ""
            where = f"{np.linalg.norm(pose[:3]):.3f} m and {np.linalg.norm(pose[3:]):.2f} rad"
            reach = "the workspace" if cut else "the reset's range"
            return (
                f"{whose}starts {where} from its reset pose, {reach} is +/-{position.round(3).tolist()} m and "
                f"+/-{rotation.round(2).tolist()} rad: these look like absolute poses"
            )
    return None
