# SPDX-License-Identifier: Apache-2.0
"""Reward models that judge one observation: classifier on camera images, measured pose; labels of recorded steps."""

from hil_serl_core.rewards.errors import RewardError
from hil_serl_core.rewards.labels import LABELS_FILE, Label, LabelError, LabelWriter, label_of, read_labels
from hil_serl_core.rewards.model import RewardModel, make_reward
from hil_serl_core.rewards.pose import PoseReward, PoseTest
from hil_serl_core.rewards.recorded import mended_reward, reward_defect

__all__ = [
    "LABELS_FILE",
    "Label",
    "LabelError",
    "LabelWriter",
    "PoseReward",
    "PoseTest",
    "RewardError",
    "RewardModel",
    "label_of",
    "make_reward",
    "mended_reward",
    "read_labels",
    "reward_defect",
]
