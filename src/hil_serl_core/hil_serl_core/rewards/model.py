# SPDX-License-Identifier: Apache-2.0
"""What the actor asks of a reward model, and which one a task has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hil_serl_core.episode import Outcome
from hil_serl_core.observation import Observation
from hil_serl_core.rewards.errors import RewardError
from hil_serl_core.rewards.pose import PoseReward
from hil_serl_core.spec import TaskSpec


class RewardModel(Protocol):
    """Judges the state that an observation shows."""

    def begin_episode(self) -> None:
        """Forget what was seen before a reset."""
        ...

    def judge(self, observation: Observation) -> Outcome:
        """Verdict on one observation; call once per tick, in order."""
        ...


def make_reward(spec: TaskSpec, classifier_path: Path | str | None = None) -> RewardModel | None:
    """Reward model that the actor runs for a task.

    Args:
        spec: The task.
        classifier_path: File or folder of the trained classifier, for reward kind ``classifier``.

    Returns:
        None where the reward comes from elsewhere: the cell's truth, the operator's label, or the learner (VICE).

    Raises:
        RewardError: No classifier is named.
        ClassifierError: It cannot be read, or belongs to other views, classes or another backbone.
        BackboneError: The backbone's weights are missing.
    """
    kind = spec.reward.kind
    if kind == "pose":
        assert spec.reward.pose is not None  # checked by the spec
        return PoseReward(spec.reward.pose)
    if kind != "classifier":
        return None
    if not classifier_path:
        raise RewardError(
            f"the reward of task '{spec.name}' is a classifier, and none is named; train one with "
            "'hil-serl classifier record' and 'hil-serl classifier train', then name its folder with --classifier"
        )
    from hil_serl_core.rewards.classifier import ClassifierReward, SuccessClassifier  # imports torch

    return ClassifierReward(spec, SuccessClassifier.load(Path(classifier_path), spec))
