# SPDX-License-Identifier: Apache-2.0
"""Reward of a task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.common import Name, NonNegative, Positive, SpecModel, Vector3

RewardKind = Literal["ground_truth", "classifier", "pose", "operator", "vice"]
"""Who judges success."""
RewardForm = Literal["binary", "log_probability"]
"""binary: success alone brings a reward; log_probability: every step brings log p(success), as in SERL, Sec. 4.2."""


class PoseRewardSpec(SpecModel):
    """Success by the measured tcp pose: alone (kind pose) or as a check beside the classifier."""

    arm: str = Field(default="", description="arm it refers to; empty: the only arm")
    position: Vector3 | None = Field(default=None, description="goal of the tcp, base frame [m]")
    position_tolerance: tuple[Positive, Positive, Positive] | None = Field(
        default=None, description="largest deviation per axis of the base frame [m]"
    )
    rotation: Vector3 | None = Field(default=None, description="goal orientation, rotation vector [rad]")
    rotation_tolerance: Positive | None = Field(default=None, description="largest angle from it [rad]")
    tilt_tolerance: Positive | None = Field(
        default=None,
        description="largest angle of the tool's z axis from that of rotation, whatever its yaw [rad]",
    )
    minimum_height: float | None = Field(default=None, description="least z of the tcp, base frame [m]")
    maximum_height: float | None = Field(default=None, description="largest z of the tcp, base frame [m]")
    gripper: tuple[NonNegative, NonNegative] | None = Field(
        default=None, description="smallest and largest opening, 0 closed to 1 open"
    )
    maximum_speed: Positive | None = Field(
        default=None,
        description="largest speed of the tcp: judged at rest only; needs tcp_twist in state [m/s]",
    )

    @property
    def names_a_place(self) -> bool:
        """It can be a goal of its own; a tilt, opening or speed alone is only a check beside a classifier."""
        return any(value is not None for value in (self.position, self.minimum_height, self.maximum_height))

    @model_validator(mode="after")
    def _says_something(self) -> PoseRewardSpec:
        if (self.position is None) != (self.position_tolerance is None):
            raise ValueError("position and position_tolerance belong together: give both or neither")
        if (self.rotation is None) != (self.rotation_tolerance is None and self.tilt_tolerance is None):
            raise ValueError("rotation belongs together with rotation_tolerance or tilt_tolerance")
        low, high = self.minimum_height, self.maximum_height
        if low is not None and high is not None and low >= high:
            raise ValueError(f"minimum_height {low} must be below maximum_height {high}")
        if self.gripper is not None and self.gripper[0] > self.gripper[1]:
            raise ValueError(f"gripper {list(self.gripper)} must be [smallest, largest] opening")
        if not self.model_fields_set - {"arm"}:
            raise ValueError("a pose section needs at least one condition, e.g. minimum_height")
        return self


class ClassifierSpec(SpecModel):
    """Success by a classifier on camera images (App. B)."""

    cameras: tuple[Name, ...] = Field(min_length=1, description="classifier views, Tables 2-12")
    classes: tuple[Name, ...] = Field(
        default=("failure", "success"),
        min_length=2,
        description="two classes: binary, the first stands for all that is no success; more: N-way. One is 'success'",
    )
    failure_classes: tuple[Name, ...] = Field(
        default=(), description="classes of states from which the task cannot be solved: they end the episode"
    )
    threshold: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="null: the one chosen on held-out data at training"
    )
    confirm_steps: int = Field(
        default=1, ge=1, le=20, description="success after so many positive observations in a row"
    )
    all_channels: bool = Field(
        default=False,
        description="all channels of the backbone instead of learner.pca_channels principal components: for success that "
        "only a faint cue shows, such as a colour",
    )
    form: RewardForm | None = Field(
        default=None,
        description="log_probability: reward of every step is log p(success), as in SERL; binary: only success brings one "
        "(vice: every step at which p reaches the threshold); null: binary for kind classifier, log_probability for vice",
    )
    least_log_probability: float = Field(
        default=-7.0,
        lt=0.0,
        description="log p is cut here, so that one sure negative cannot outweigh an episode",
    )

    @model_validator(mode="after")
    def _classes(self) -> ClassifierSpec:
        if "success" not in self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must differ and 'success' be one of them, got {list(self.classes)}")
        unknown = sorted(
            set(self.failure_classes) - set(self.classes) | set(self.failure_classes) & {"success"}
        )
        if unknown:
            raise ValueError(f"failure_classes must be classes other than 'success', not {unknown}")
        return self


class RewardSpec(SpecModel):
    """Sparse reward: ``success_reward`` once on success, 0 otherwise, unless a model gives its own."""

    kind: RewardKind = Field(
        default="ground_truth",
        description="ground_truth: the simulated cell's sim/truth; classifier: images; pose: tcp pose; "
        "operator: a person's label; vice: classifier trained online (SERL)",
    )
    success_reward: float = Field(default=1.0, gt=0.0)
    classifier: ClassifierSpec | None = Field(default=None, description="for kinds classifier and vice")
    pose: PoseRewardSpec | None = Field(
        default=None, description="goal of kind pose; beside a classifier: an extra condition"
    )

    @property
    def form(self) -> RewardForm:
        """What number a step brings, with the default of ``classifier.form`` resolved.

        The judge, VICE and :attr:`dense` all read this and nothing reads ``classifier.form``, whose null means something
        else for each kind.
        """
        if self.kind not in ("classifier", "vice"):
            return "binary"
        assert self.classifier is not None  # checked below
        if self.classifier.form is not None:
            return self.classifier.form
        return "log_probability" if self.kind == "vice" else "binary"

    @property
    def dense(self) -> bool:
        """Every step has a reward of its own; else only success brings one. VICE pays its indicator at every step too."""
        return self.kind == "vice" or self.form == "log_probability"

    @model_validator(mode="after")
    def _complete(self) -> RewardSpec:
        if self.kind in ("classifier", "vice") and self.classifier is None:
            raise ValueError(f"reward kind '{self.kind}' needs a 'classifier' section")
        if self.kind == "pose" and (self.pose is None or not self.pose.names_a_place):
            raise ValueError(
                "reward kind 'pose' needs a 'pose' section that names a place: position, minimum_height or "
                "maximum_height"
            )
        return self
