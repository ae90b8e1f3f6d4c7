# SPDX-License-Identifier: Apache-2.0
"""Hyperparameters of learner and networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.common import Positive, SpecModel


class LearningRateDecay(SpecModel):
    """Learning rate falls once, when the policy is good enough (Table 11)."""

    at_success: float = Field(default=0.7, gt=0.0, le=1.0, description="success rate over the window")
    window: int = Field(default=20, ge=1, description="online episodes")
    to: float = Field(default=3e-5, gt=0.0, le=0.1, description="learning rate from then on")


class LearnerSpec(SpecModel):
    """RLPD and the networks (defaults of the original release; deviations are argued in hil_serl_learner/DEVIATIONS.md)."""

    demonstrations: int = Field(
        default=20, ge=1, description="offline demonstrations recorded before training, Tables 2-12"
    )
    transitions: int | None = Field(
        default=None,
        ge=1,
        description="RL transitions the paper needed, Tables 2-12; results are held against it",
    )
    discount: float = Field(default=0.97, gt=0.0, lt=1.0, description="gamma, Tables 2-12")
    soft_target_update: float = Field(default=0.005, gt=0.0, le=1.0, description="tau of the Polyak average")
    policy_average: float | None = Field(
        default=0.003,
        gt=0.0,
        le=1.0,
        description="share of the latest policy, per update, in the average that evaluations use; null: the latest",
    )
    learning_rate: float = Field(default=3e-4, gt=0.0, le=0.1, description="Adam, Tables 2-12")
    learning_rate_decay: LearningRateDecay | None = Field(default=None, description="Table 11")
    initial_temperature: float = Field(default=0.01, gt=0.0)
    target_entropy: float | None = Field(default=None, description="null: -dim(A) / 2")
    batch_size: int = Field(default=128, ge=2, le=8192, description="half from demonstrations, half online")
    critic_ensemble: int = Field(default=2, ge=1, le=20)
    critic_shared_output: bool = Field(
        default=False, description="true: the critics share their output layer, as in the original release"
    )
    critic_subsample: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="critics drawn for the minimum of each target (RLPD: 2 of 10); null: all",
    )
    actor_update_period: int = Field(
        default=2, ge=1, le=100, description="critic updates per actor update (cta_ratio)"
    )
    update_to_data: float = Field(
        default=3.0, gt=0.0, le=100.0, description="gradient updates per environment transition"
    )
    warmup_steps: int = Field(default=100, ge=0, description="online transitions before the first update")
    hidden: tuple[int, ...] = Field(default=(256, 256), min_length=1)
    grasp_hidden: tuple[int, ...] = Field(
        default=(256, 256), min_length=1, description="grasp critic MLP, Tables 4, 5, 8, 9"
    )
    grasp_exploration: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="share of random gripper commands in training; 0: argmax only",
    )
    camera_embedding: int = Field(default=128, ge=1)
    camera_head: Literal["dense", "learned_pooling"] = Field(
        default="dense",
        description="dense: over the flattened map; learned_pooling: the original release's spatial pooling",
    )
    next_action_dropout: bool = Field(
        default=False,
        description="true: learned_pooling's dropout also where the target's next action is drawn, as in the original "
        "release",
    )
    state_embedding: int = Field(default=64, ge=1, description="proprio encoder size, Tables 2-12")
    backbone: Literal["efficientnet_lite0", "resnet10"] = "efficientnet_lite0"
    backbone_weights: str | None = Field(
        default=None, description="weight file of resnet10; efficientnet_lite0 ships with its package"
    )
    backbone_stride: Literal[8, 16, 32] = 8
    pca_channels: int | None = Field(
        default=16,
        ge=1,
        le=512,
        description="whitened principal components kept per location; null: all raw channels",
    )
    feature_cache: bool = Field(
        default=True, description="compute backbone features once per stored frame and view"
    )
    feature_file: bool = Field(
        default=True,
        description="keep cached features in the run folder too, so that a resume reads instead of computing them",
    )
    augmented_views: int = Field(
        default=4,
        ge=1,
        le=16,
        description="views cached per stored frame: the unshifted one and others shifted at random; 1: a single one, "
        "shifted at random",
    )
    crop_padding: int = Field(
        default=2, ge=0, le=16, description="random-crop augmentation, largest shift [px]; 0: none"
    )
    bounded_targets: bool = Field(
        default=True,
        description="sparse rewards: TD targets are kept within the returns that are possible at all, 0 to success_reward "
        "(grasp critic: less the penalty of a toggle at every step)",
    )
    timeouts_are_terminal: bool = Field(
        default=False, description="true: the original release's treatment of time limits"
    )
    interventions_in_rl_buffer: bool = True
    replay_capacity: int = Field(
        default=100_000, ge=100, description="records kept, oldest online ones overwritten"
    )
    publish_every: int = Field(default=50, ge=1, description="online transitions between weight messages")
    lockstep_lag: int = Field(
        default=50, ge=1, description="in lockstep, age of the weights the actor applies [transitions]"
    )
    state_scale: dict[str, Positive] = Field(
        default={
            "tcp_pose": 0.05,
            "tcp_twist": 0.1,
            "tcp_wrench": 10.0,
            "gripper": 1.0,
            "joint_position": 1.0,
            "joint_velocity": 0.5,
        },
        description="each state part is divided by its scale before the network",
    )

    @model_validator(mode="after")
    def _dropout(self) -> LearnerSpec:
        if self.next_action_dropout and self.camera_head != "learned_pooling":
            raise ValueError(
                f"next_action_dropout is true, but camera_head '{self.camera_head}' has no dropout; use "
                "camera_head: learned_pooling, or leave next_action_dropout out"
            )
        return self

    @model_validator(mode="after")
    def _subsample(self) -> LearnerSpec:
        if self.critic_subsample is not None and self.critic_subsample > self.critic_ensemble:
            raise ValueError(
                f"critic_subsample {self.critic_subsample} exceeds critic_ensemble {self.critic_ensemble}; lower it, or "
                "set it to null for all"
            )
        return self
