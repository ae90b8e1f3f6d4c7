# SPDX-License-Identifier: Apache-2.0
"""Task specification: one YAML file per task, validated into a frozen object with a hash."""

from hil_serl_core.spec.action import ActionSpec, GripperSpec
from hil_serl_core.spec.camera import CameraSpec
from hil_serl_core.spec.control import ArmSpec, ControlSpec, WorkspaceSpec, WrenchControlSpec
from hil_serl_core.spec.episode import EpisodeSpec, InterventionSpec, ResetSpec
from hil_serl_core.spec.learner import LearnerSpec, LearningRateDecay
from hil_serl_core.spec.load import TaskFileError, list_tasks, load_task, task_from_dict, task_to_yaml
from hil_serl_core.spec.model import SimSpec, TaskSpec
from hil_serl_core.spec.rewards import ClassifierSpec, PoseRewardSpec, RewardKind, RewardSpec

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
    "RewardKind",
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
