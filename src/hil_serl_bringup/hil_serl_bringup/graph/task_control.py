# SPDX-License-Identifier: Apache-2.0
"""What a task file says about control, as parameters of serl_impedance_controller/CartesianController."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hil_serl_core.control import law_settings
from hil_serl_core.spec import TaskSpec

EPISODE_PROFILE = "compliance"
"""Profile of the controller that holds the task's gains; a robot's controller file may have others."""
_OF_PROFILE = (
    "stiffness",
    "damping_kind",
    "damping",
    "damping_ratio",
    "damped_velocity",
    "clip_pos",
    "clip_neg",
    "smoothing",
    "nullspace_stiffness",
    "nullspace_damping",
)
_DEFAULT_PROFILES = ["compliance", "precision"]


def controller_parameters(task: TaskSpec, arm: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of one arm's controller: the robot's, with what the task decides.

    Args:
        task: The task.
        arm: One of its arms, empty for a single one.
        own: The controller's parameters in the robot's controller file.

    Returns:
        Nested parameters: frames, mode, limits, and the task's gains (eq. 7) as the profile in use. Of two torque rates,
        the robot's and the task's, the lower one counts for each joint.
    """
    if own.get("joints"):
        task = task.with_joints({arm: len(own["joints"])})
    spec = task.arm(arm)
    settings = law_settings(task, arm)
    for name in ("nullspace_stiffness", "nullspace_damping", "torque_rate"):
        settings[name] = _per_joint(settings[name])
    settings["torque_rate"] = _lowest(settings["torque_rate"], _per_joint(own.get("torque_rate", [])))
    if "joint_speed" in settings:
        settings["joint_speed"] = [settings["joint_speed"]]
    if "damping_ratio" in settings:
        settings["damping_ratio"] = [settings["damping_ratio"]] * 6
    if "workspace_low" in settings:
        settings["workspace"] = settings.pop("workspace_low") + settings.pop("workspace_high")
    profile = {name: settings.pop(name) for name in _OF_PROFILE if name in settings}
    profiles = dict(own.get("profiles", {}))
    known = list(own.get("profile_names", _DEFAULT_PROFILES))
    return {
        **own,
        **settings,
        "base_frame": spec.base_frame,
        "tcp_frame": spec.tcp_frame,
        "mode": "wrench" if task.action.kind == "wrench" else "impedance",
        "profile_names": known if EPISODE_PROFILE in known else [EPISODE_PROFILE, *known],
        "profile": EPISODE_PROFILE,
        "profiles": {**profiles, EPISODE_PROFILE: {**profiles.get(EPISODE_PROFILE, {}), **profile}},
    }


def _per_joint(value: float | Sequence[float]) -> list[float]:
    """One number for all joints or one for each, as the controller's parameters have them."""
    return [float(value)] if isinstance(value, (int, float)) else [float(number) for number in value]


def _lowest(first: list[float], second: list[float]) -> list[float]:
    """The lower value of each joint; an empty list limits nothing, and one number is for all joints."""
    if not first or not second:
        return first or second
    size = max(len(first), len(second))
    ones, others = (values * size if len(values) == 1 else values for values in (first, second))
    return [min(pair) for pair in zip(ones, others, strict=True)]
