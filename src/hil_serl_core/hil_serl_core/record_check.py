# SPDX-License-Identifier: Apache-2.0
"""Whether a record can be learnt from under a task."""

from __future__ import annotations

import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step

ACTION_ROUNDING = 1e-6
"""By how much a component of an action may pass 1: a full deflection that went through float32 arithmetic (one unit in the
last place is 1.2e-7). Actor and importers clip what they record, so that more than this is a fault."""


def defect(step: Step, spec: TaskSpec) -> str | None:
    """Why a record cannot be used whatever its reward, or None; :func:`reward_defect` judges that."""
    for camera in spec.cameras:
        frame = step.frames.get(camera.name)
        if frame is None:
            return f"camera '{camera.name}' is missing"
        if frame.shape != (camera.size, camera.size, 3) or frame.dtype != np.uint8:
            have, want = f"{frame.dtype} {frame.shape}", f"uint8 ({camera.size}, {camera.size}, 3)"
            return f"frame of camera '{camera.name}' is {have}, the task file says {want}"
    for part, size in spec.state_sizes.items():
        values = step.state.get(part)
        if values is None or values.shape != (size,):
            return f"state part '{part}' is missing or not of length {size}"
        if not np.isfinite(values).all():
            return f"state part '{part}' holds NaN or infinity"
    if step.action is not None and (
        step.action.shape != (spec.action_size,) or not np.isfinite(step.action).all()
    ):
        return f"the action is not {spec.action_size} finite numbers"
    if step.action is not None and (reason := beyond_range(step.action)) is not None:
        return reason
    if not np.isfinite(step.reward) or not np.isfinite(step.grasp_penalty):
        return "the reward is not finite"
    return None


def beyond_range(action: np.ndarray) -> str | None:
    """Why an action (A,) cannot have been executed as it is, because a component lies outside [-1, 1]; None if it can."""
    size = np.abs(action)
    worst = int(np.argmax(size)) if len(size) else -1
    if worst < 0 or not size[worst] > 1.0 + ACTION_ROUNDING:
        return None
    return f"component {worst} of the action is {action[worst]:.7g}, outside [-1, 1]"
