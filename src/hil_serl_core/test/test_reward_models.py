# SPDX-License-Identifier: Apache-2.0
"""Reward models: pose by hand, classifier at run time, files that are refused."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hil_serl_core.observation import ArmSample, Observation
from hil_serl_core.rewards import PoseReward, PoseTest, RewardError, make_reward
from hil_serl_core.rewards.classifier import ClassifierReward, SuccessClassifier, log_probability
from hil_serl_core.rewards.classifier_file import ClassifierError, read_classifier
from hil_serl_core.rewards.network import ClassifierNetwork, class_probabilities, classification_loss
from hil_serl_core.spec import TaskFileError, TaskSpec, task_from_dict
from hil_serl_core.spec.rewards import PoseRewardSpec


def observation(
    position: tuple[float, ...] = (0.5, 0.0, 0.2),
    rotation: tuple[float, ...] = (math.pi, 0.0, 0.0),
    gripper: float = math.nan,
    arm: str = "",
    pixels: int = 0,
    velocity: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> Observation:
    pose = np.concatenate([position, Rotation.from_rotvec(rotation).as_quat()])
    twist = np.array([*velocity, 0.0, 0.0, 0.0])
    sample = ArmSample(0.0, "base", pose, twist, np.zeros(6), np.zeros(7), np.zeros(7), gripper)
    frames = {"wrist_1": np.full((16, 16, 3), pixels, np.uint8)}
    return Observation(0.0, frames, {}, {arm: sample})


def with_classifier(task: dict[str, Any], **section: Any) -> TaskSpec:
    task = copy.deepcopy(task)
    task["reward"] = {"kind": "classifier", "classifier": {"cameras": ["wrist_1"], **section}}
    task["learner"] = {"pca_channels": None}
    return task_from_dict(task)


# ------------------------------------------------------------------------------------------------ pose


def test_pose_holds_inside_every_tolerance_only() -> None:
    goal = PoseRewardSpec(
        position=(0.5, 0.0, 0.2),
        position_tolerance=(0.01, 0.01, 0.002),
        rotation=(math.pi, 0.0, 0.0),
        rotation_tolerance=0.1,
    )
    reward = PoseReward(goal)
    assert reward.judge(observation((0.509, -0.009, 0.2019))).success
    assert not reward.judge(observation((0.511, 0.0, 0.2))).success
    assert not reward.judge(observation((0.5, 0.0, 0.203))).success
    turned = Rotation.from_rotvec((math.pi, 0.0, 0.0)) * Rotation.from_rotvec((0.0, 0.0, 0.09))
    assert reward.judge(observation(rotation=tuple(turned.as_rotvec()))).success
    turned = Rotation.from_rotvec((math.pi, 0.0, 0.0)) * Rotation.from_rotvec((0.0, 0.0, 0.11))
    assert not reward.judge(observation(rotation=tuple(turned.as_rotvec()))).success


def test_tilt_leaves_yaw_free() -> None:
    test = PoseTest(PoseRewardSpec(rotation=(math.pi, 0.0, 0.0), tilt_tolerance=0.02))
    down = Rotation.from_rotvec((math.pi, 0.0, 0.0))

    def turned(*angles: float) -> Observation:
        return observation(rotation=tuple((down * Rotation.from_rotvec(angles)).as_rotvec()))

    assert test.holds(turned(0.0, 0.0, 0.5))
    assert test.holds(turned(0.019, 0.0, 0.0))
    assert not test.holds(turned(0.0, 0.021, 0.0))


def test_pose_height_and_gripper_of_the_named_arm() -> None:
    test = PoseTest(PoseRewardSpec(arm="left", minimum_height=0.04, gripper=(0.4, 1.0)))
    assert test.holds(observation((0.0, 0.0, 0.05), gripper=0.5, arm="left"))
    assert not test.holds(observation((0.0, 0.0, 0.03), gripper=0.5, arm="left"))
    assert not test.holds(observation((0.0, 0.0, 0.05), gripper=0.3, arm="left"))
    assert not test.holds(observation((0.0, 0.0, 0.05), gripper=math.nan, arm="left"))


def test_speed_is_that_of_the_tcp_in_any_direction() -> None:
    test = PoseTest(PoseRewardSpec(maximum_speed=0.05))
    assert test.holds(observation(velocity=(0.03, 0.0, -0.04)))
    assert not test.holds(observation(velocity=(0.031, 0.0, -0.04)))


def test_a_speed_that_records_do_not_hold_is_refused(task_dict: dict[str, Any]) -> None:
    task_dict["reward"] = {"kind": "pose", "pose": {"minimum_height": 0.1, "maximum_speed": 0.05}}
    task_dict["state"] = ["tcp_pose", "tcp_twist"]
    assert task_from_dict(task_dict).reward.pose.maximum_speed == 0.05
    task_dict["state"] = ["tcp_pose"]
    with pytest.raises(TaskFileError, match="add tcp_twist to state"):
        task_from_dict(task_dict)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"position": [0.5, 0.0, 0.2]}, "belong together"),
        ({"rotation": [3.1, 0.0, 0.0]}, "belongs together with"),
        ({"tilt_tolerance": 0.1}, "belongs together with"),
        ({"minimum_height": 0.3, "maximum_height": 0.2}, "must be below"),
        ({"gripper": [0.9, 0.1]}, "smallest, largest"),
        ({}, "at least one condition"),
    ],
)
def test_pose_section_that_says_nothing_or_contradicts_itself(
    task_dict: dict[str, Any], section: dict[str, Any], reason: str
) -> None:
    task_dict["reward"] = {"kind": "pose", "pose": section}
    with pytest.raises(TaskFileError, match=reason):
        task_from_dict(task_dict)


# ------------------------------------------------------------------------------------- network, by hand


def test_probabilities_of_one_logit_and_of_several() -> None:
    binary = class_probabilities(torch.tensor([[math.log(3.0)]]))
    np.testing.assert_allclose(binary.numpy(), [[0.25, 0.75]], atol=1e-6)
    several = class_probabilities(torch.log(torch.tensor([[1.0, 2.0, 5.0]])))
    np.testing.assert_allclose(several.numpy(), [[0.125, 0.25, 0.625]], atol=1e-6)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0)], [math.log(3.0)]])
    # p(second class) = 3/4: -(log 3/4 + log 1/4) / 2
    expected = -(math.log(0.75) + math.log(0.25)) / 2.0
    assert float(classification_loss(logits, torch.tensor([1, 0]))) == pytest.approx(expected)
    three = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))
    assert float(classification_loss(three, torch.tensor([2]))) == pytest.approx(-math.log(0.625))


@pytest.mark.parametrize("head", ["dense", "learned_pooling"])
def test_dropout_only_with_a_generator(head: str) -> None:
    torch.manual_seed(0)
    network = ClassifierNetwork({"wrist_1": (2, 2, 4)}, head, classes=3)
    features = torch.randn(5, 16)
    assert torch.equal(network(features), network(features))
    assert network(features).shape == (5, 3)
    assert not torch.equal(network(features), network(features, torch.Generator().manual_seed(1)))


def test_log_probability_reward_by_hand() -> None:
    assert log_probability(0.25, -7.0) == pytest.approx(-1.3862944)
    assert log_probability(1e-9, -7.0) == -7.0
    assert log_probability(0.0, -7.0) == -7.0


# ------------------------------------------------------------------------------------- at run time


class Scripted:
    """Classifier whose probability of success is the brightness of the picture, and its description."""

    def __init__(self, spec: TaskSpec, threshold: float, failure_threshold: float = 0.9) -> None:
        blank = SuccessClassifier(spec)
        blank.trained(threshold, failure_threshold, {})
        self.description, self.failure_indices = blank.description, blank.failure_indices
        self.threshold = blank.threshold

    def probabilities(self, frames: dict[str, np.ndarray]) -> np.ndarray:
        p = float(frames["wrist_1"][0, 0, 0]) / 100.0
        rest = len(self.description.classes) - 1
        return np.array([p if name == "success" else (1 - p) / rest for name in self.description.classes])


def test_success_after_consecutive_positives_and_never_across_a_reset(task_dict: dict[str, Any]) -> None:
    spec = with_classifier(task_dict, confirm_steps=3)
    reward = ClassifierReward(spec, Scripted(spec, 0.8))  # type: ignore[arg-type]
    verdicts = [reward.judge(observation(pixels=p)).success for p in (90, 85, 79, 80, 90, 90, 10)]
    assert verdicts == [False, False, False, False, False, True, False]
    for _ in range(2):
        reward.judge(observation(pixels=90))
    reward.begin_episode()
    assert not reward.judge(observation(pixels=90)).success


def test_threshold_of_the_task_file_wins_over_the_trained_one(task_dict: dict[str, Any]) -> None:
    own = with_classifier(task_dict, threshold=0.95)
    assert not ClassifierReward(own, Scripted(own, 0.5)).judge(observation(pixels=90)).success  # type: ignore[arg-type]
    free = with_classifier(task_dict)
    assert ClassifierReward(free, Scripted(free, 0.5)).judge(observation(pixels=90)).success  # type: ignore[arg-type]


def test_pose_check_beside_the_classifier(task_dict: dict[str, Any]) -> None:
    spec = with_classifier(task_dict)
    content = spec.model_dump(mode="json")
    content["reward"]["pose"] = {"maximum_height": 0.1}
    checked = task_from_dict(content)
    reward = ClassifierReward(checked, Scripted(checked, 0.5))  # type: ignore[arg-type]
    assert not reward.judge(observation((0.5, 0.0, 0.2), pixels=90)).success
    assert reward.judge(observation((0.5, 0.0, 0.05), pixels=90)).success


def test_log_probability_rewards_every_step(task_dict: dict[str, Any]) -> None:
    spec = with_classifier(task_dict, form="log_probability", least_log_probability=-3.0)
    reward = ClassifierReward(spec, Scripted(spec, 0.8))  # type: ignore[arg-type]
    outcome = reward.judge(observation(pixels=50))
    assert not outcome.success
    assert outcome.reward == pytest.approx(math.log(0.5))
    assert reward.judge(observation(pixels=0)).reward == -3.0
    solved = reward.judge(observation(pixels=90))
    assert (solved.success, solved.reward) == (True, None), "the task's own success reward"


def test_form_left_to_the_suite_pays_success_alone(task_dict: dict[str, Any]) -> None:
    spec = with_classifier(task_dict)  # as 14 of the shipped files for real cells have it
    assert spec.reward.classifier is not None
    assert spec.reward.classifier.form is None
    reward = ClassifierReward(spec, Scripted(spec, 0.8))  # type: ignore[arg-type]
    assert [reward.judge(observation(pixels=p)).reward for p in (0, 50, 79, 90)] == [None] * 4


@pytest.mark.parametrize(
    ("kind", "form", "resolved", "dense"),
    [
        ("classifier", None, "binary", False),
        ("classifier", "binary", "binary", False),
        ("classifier", "log_probability", "log_probability", True),
        ("vice", None, "log_probability", True),
        ("vice", "binary", "binary", True),
        ("vice", "log_probability", "log_probability", True),
        ("ground_truth", "log_probability", "binary", False),
        ("operator", None, "binary", False),
    ],
)
def test_form_of_a_reward_is_resolved_by_its_kind(
    task_dict: dict[str, Any], kind: str, form: str | None, resolved: str, dense: bool
) -> None:
    content = with_classifier(task_dict, form=form).model_dump(mode="json")
    content["reward"]["kind"] = kind
    reward = task_from_dict(content).reward
    assert (reward.form, reward.dense) == (resolved, dense)


def test_failure_class_ends_the_episode(task_dict: dict[str, Any]) -> None:
    classes = ["nothing", "success", "dropped"]
    spec = with_classifier(task_dict, classes=classes, failure_classes=["dropped"])
    reward = ClassifierReward(spec, Scripted(spec, 0.8, failure_threshold=0.45))  # type: ignore[arg-type]
    lost = reward.judge(observation(pixels=0))  # p(dropped) = 0.5
    assert (lost.success, lost.failure) == (False, True)
    assert not reward.judge(observation(pixels=40)).failure  # p(dropped) = 0.3


# ------------------------------------------------------------------------------------------------ files


def test_classifier_comes_back_as_it_was_saved(task_dict: dict[str, Any], tmp_path: Path) -> None:
    spec = with_classifier(task_dict)
    torch.manual_seed(3)
    trained = SuccessClassifier(spec)
    trained.trained(0.7, 0.6, {"accuracy": 0.97})
    file = trained.save(tmp_path)
    frames = {"wrist_1": np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)}
    loaded = SuccessClassifier.load(tmp_path, spec)
    np.testing.assert_array_equal(loaded.probabilities(frames), trained.probabilities(frames))
    assert loaded.description == trained.description
    assert read_classifier(file)[0].metrics == {"accuracy": 0.97}
    reward = make_reward(spec, tmp_path)
    assert isinstance(reward, ClassifierReward)
    assert reward.threshold == 0.7


def test_a_classifier_may_see_all_channels_where_the_policy_has_principal_components(
    task_dict: dict[str, Any],
) -> None:
    task = with_classifier(task_dict, all_channels=True).model_dump(mode="json")
    task["learner"]["pca_channels"] = 3
    few = copy.deepcopy(task)
    few["reward"]["classifier"]["all_channels"] = False
    seen, components = (SuccessClassifier(task_from_dict(t)).extractor for t in (task, few))
    assert [shape[2] for shape in seen.cameras.values()] == [seen.backbone.channels]
    assert [shape[2] for shape in components.cameras.values()] == [3]
    assert seen.fitted
    assert task_from_dict(task).hash == task_from_dict(few).hash, "records mean the same"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "another_task"}, "trained for task 'unit_task'"),
        ({"cameras": [{"size": 32}]}, "'size' of camera 'wrist_1' was 16, the task file says 32"),
        ({"cameras": [{"crop": [0, 0, 32, 32]}]}, "'crop' of camera 'wrist_1'"),
        ({"learner": {"backbone_stride": 16, "pca_channels": None}}, "learner.backbone_stride 8"),
        ({"learner": {"pca_channels": 8}}, "on all channels of the backbone, the task file says 8"),
        ({"reward": {"classes": ["nothing", "success", "lost"]}}, "its classes are"),
    ],
)
def test_classifier_of_something_else_is_refused(
    task_dict: dict[str, Any], tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    spec = with_classifier(task_dict)
    SuccessClassifier(spec).save(tmp_path)
    other = spec.model_dump(mode="json")
    for camera in change.pop("cameras", []):
        other["cameras"][0] |= camera
    other["reward"]["classifier"] |= change.pop("reward", {})
    with pytest.raises(ClassifierError, match=reason):
        SuccessClassifier.load(tmp_path, task_from_dict({**other, **change}))


def test_missing_damaged_or_foreign_files_are_refused(task_dict: dict[str, Any], tmp_path: Path) -> None:
    spec = with_classifier(task_dict)
    with pytest.raises(RewardError, match="hil-serl classifier train"):
        make_reward(spec)
    with pytest.raises(ClassifierError, match="cannot read"):
        make_reward(spec, tmp_path / "nowhere.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"no safetensors")
    with pytest.raises(ClassifierError, match="not a classifier file"):
        make_reward(spec, foreign)
    broken = SuccessClassifier(spec)
    with torch.no_grad():
        broken.network.output.bias.fill_(math.nan)
    with pytest.raises(ClassifierError, match="NaN"):
        SuccessClassifier.load(broken.save(tmp_path), spec)


def test_rewards_from_elsewhere_have_no_model(task_dict: dict[str, Any]) -> None:
    assert make_reward(task_from_dict(task_dict)) is None
    task_dict["reward"] = {"kind": "operator"}
    assert make_reward(task_from_dict(task_dict)) is None
    with pytest.raises(ClassifierError, match=r"no section reward\.classifier"):
        SuccessClassifier(task_from_dict(task_dict))
