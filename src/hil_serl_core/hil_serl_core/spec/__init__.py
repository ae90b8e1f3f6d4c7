# SPDX-License-Identifier: Apache-2.0
"""Task specification: one YAML file per task, validated into a frozen object with a hash."""

from hil_serl_core.spec.load import TaskFileError, list_tasks, load_task, task_from_dict, task_to_yaml
from hil_serl_core.spec.model import (
    ActionSpec,
    ArmSpec,
    CameraSpec,
    ClassifierSpec,
    ControlSpec,
    EpisodeSpec,
    GripperSpec,
    InterventionSpec,
    LearnerSpec,
    LearningRateDecay,
    PoseRewardSpec,
    ResetSpec,
    RewardSpec,
    SimSpec,
    TaskSpec,
    WorkspaceSpec,
    WrenchControlSpec,
)

__all__ = [
    "ActionSpec",
    "ArmSpec",
    "CameraSpec",
    "ClassifierSpec",
    "ControlSpec",
    "EpisodeSpec",
    "GripperSpec",
    "InterventionSpec",
    "LearnerSpec",
    "LearningRateDecay",
    "PoseRewardSpec",
    "ResetSpec",
    "RewardSpec",
    "SimSpec",
    "TaskFileError",
    "TaskSpec",
    "WorkspaceSpec",
    "WrenchControlSpec",
    "list_tasks",
    "load_task",
    "task_from_dict",
    "task_to_yaml",
]
