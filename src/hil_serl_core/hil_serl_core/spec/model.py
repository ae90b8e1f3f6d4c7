# SPDX-License-Identifier: Apache-2.0
"""Pydantic models of a task file. Each field states unit, frame and, where there is one, the table it comes from.

Values are frozen. Unknown keys are refused, so that a misspelt key never silently falls back to a default.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower_snake_case")]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Vector3 = tuple[float, float, float]
PositiveVector3 = tuple[Positive, Positive, Positive]
NonNegativeVector3 = tuple[NonNegative, NonNegative, NonNegative]

STATE_PART_SIZES: dict[str, int] = {
    "tcp_pose": 6,
    "tcp_twist": 6,
    "tcp_wrench": 6,
    "gripper": 1,
    "joint_position": 7,
    "joint_velocity": 7,
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CameraSpec(_Model):
    """One camera of the policy."""

    name: Name
    source_width: int = Field(ge=16, le=4096, description="width of the driver's image [px]")
    source_height: int = Field(ge=16, le=4096, description="height of the driver's image [px]")
    crop: tuple[int, int, int, int] | None = Field(
        default=None, description="x, y, width, height of the area of interest in the driver's image [px]"
    )
    size: int = Field(default=128, ge=16, le=512, description="side of the square image the policy sees [px]")

    @model_validator(mode="after")
    def _crop_inside(self) -> CameraSpec:
        if self.crop is not None:
            x, y, w, h = self.crop
            if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self.source_width or y + h > self.source_height:
                raise ValueError(
                    f"crop {list(self.crop)} of camera '{self.name}' does not lie inside its "
                    f"{self.source_width}x{self.source_height} image"
                )
        return self


class ActionSpec(_Model):
    """Action space: per-step displacement of the tcp, expressed in the tcp frame (App. D.1)."""

    kind: Literal["twist"] = Field(default="twist", description="6-D twist for the impedance controller")
    translation_scale: float = Field(
        gt=0.0, le=0.1, description="|action| = 1 moves the target this far per step [m]"
    )
    rotation_scale: float = Field(
        gt=0.0, le=0.5, description="|action| = 1 turns the target this far per step [rad]"
    )

    @property
    def dimension(self) -> int:
        """Number of continuous action components."""
        return 6


class ControlSpec(_Model):
    """Cartesian impedance control with reference limiting, eq. (7); axes x, y, z of the base frame."""

    frequency: float = Field(default=10.0, gt=0.0, le=100.0, description="policy rate [Hz]")
    translational_stiffness: PositiveVector3 = Field(description="k_p [N/m]")
    rotational_stiffness: PositiveVector3 = Field(description="k_p [Nm/rad]")
    translational_damping: PositiveVector3 | None = Field(
        default=None, description="k_d [Ns/m]; null: from damping_ratio"
    )
    rotational_damping: PositiveVector3 | None = Field(
        default=None, description="k_d [Nms/rad]; null: from damping_ratio"
    )
    damping_ratio: float = Field(default=1.0, gt=0.0, le=3.0, description="zeta of D = 2 zeta sqrt(K Lambda)")
    clip_positive: PositiveVector3 = Field(
        description="largest e = measured - target per axis (sign of eq. 7): bounds the push in the negative direction [m]"
    )
    clip_negative: PositiveVector3 = Field(
        description="largest -e per axis, as a positive number: bounds the push in the positive direction [m]"
    )
    rotation_clip_positive: PositiveVector3 = Field(
        description="largest rotation error per axis, rotation vector, sign as above [rad]"
    )
    rotation_clip_negative: PositiveVector3 = Field(
        description="largest -rotation error, as a positive number [rad]"
    )
    nullspace_stiffness: NonNegative = Field(default=0.2, description="[Nm/rad]")
    nullspace_damping: NonNegative = Field(default=1.0, description="[Nms/rad]")
    target_filter: float = Field(
        default=0.02, gt=0.0, le=1.0, description="share of the way to the target per tick"
    )
    torque_rate_limit: float = Field(default=1.0, gt=0.0, description="[Nm per 1 ms tick]")
    target_timeout: float = Field(
        default=0.5, gt=0.0, description="age at which a target is stale and the arm holds [s]"
    )


class WorkspaceSpec(_Model):
    """Box for the target, relative to the nominal reset pose; axes of the base frame."""

    lower: Vector3 = Field(description="lowest corner [m]")
    upper: Vector3 = Field(description="highest corner [m]")
    max_rotation: float = Field(
        gt=0.0, le=3.2, description="largest angle from the nominal reset orientation [rad]"
    )

    @model_validator(mode="after")
    def _ordered(self) -> WorkspaceSpec:
        if any(low >= high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"lower {list(self.lower)} must be below upper {list(self.upper)} on every axis")
        return self


class EpisodeSpec(_Model):
    """Episode length and what ends it."""

    max_steps: int = Field(ge=2, le=10000, description="transitions until the time limit (truncation)")


class ResetSpec(_Model):
    """Reset and its randomisation around the nominal pose."""

    method: Literal["scripted", "none"] = "scripted"
    nominal_position: Vector3 = Field(description="nominal tcp position at reset, base frame [m]")
    nominal_rotation: Vector3 = Field(
        default=(3.141592653589793, 0.0, 0.0),
        description="nominal tcp orientation, rotation vector in the base frame [rad]",
    )
    position_range: NonNegativeVector3 = Field(description="uniform +/- range per axis [m]")
    rotation_range: NonNegativeVector3 = Field(description="uniform +/- range about x, y, z [rad]")


class RewardSpec(_Model):
    """Sparse reward: ``success_reward`` once on success, 0 otherwise."""

    kind: Literal["ground_truth"] = Field(
        default="ground_truth", description="ground_truth: from the simulated cell's sim/truth topic"
    )
    success_reward: float = Field(default=1.0, gt=0.0)


class InterventionSpec(_Model):
    """How the operator's device takes and gives back control."""

    dead_band: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="input norm below which the hand counts as off the device"
    )
    release_steps: int = Field(
        default=2, ge=1, le=50, description="ticks below the dead-band until the policy drives again"
    )
    axis_map: tuple[int, int, int, int, int, int] = Field(
        default=(1, 2, 3, 4, 5, 6),
        description="device axis (1-6, negative: reversed) for x, y, z, roll, pitch, yaw of the tcp frame",
    )
    timeout: float = Field(
        default=0.5, gt=0.0, description="age at which the device's last message no longer counts [s]"
    )

    @model_validator(mode="after")
    def _axes(self) -> InterventionSpec:
        if sorted(abs(a) for a in self.axis_map) != [1, 2, 3, 4, 5, 6]:
            raise ValueError(f"axis_map {list(self.axis_map)} must name each of the axes 1 to 6 once")
        return self


class LearnerSpec(_Model):
    """RLPD and the networks (REFERENCE: original release; deviations are argued in hil_serl_learner/DEVIATIONS.md)."""

    discount: float = Field(default=0.97, gt=0.0, lt=1.0, description="gamma, Tables 2-12")
    soft_target_update: float = Field(default=0.005, gt=0.0, le=1.0, description="tau of the Polyak average")
    learning_rate: float = Field(default=3e-4, gt=0.0, le=0.1, description="Adam, Tables 2-12")
    initial_temperature: float = Field(default=0.01, gt=0.0)
    target_entropy: float | None = Field(default=None, description="null: -dim(A) / 2")
    batch_size: int = Field(default=128, ge=2, le=8192, description="half from demonstrations, half online")
    critic_ensemble: int = Field(default=2, ge=1, le=20)
    actor_update_period: int = Field(
        default=2, ge=1, le=100, description="critic updates per actor update (cta_ratio)"
    )
    update_to_data: float = Field(
        default=3.0, gt=0.0, le=100.0, description="gradient updates per environment transition"
    )
    warmup_steps: int = Field(default=100, ge=0, description="online transitions before the first update")
    hidden: tuple[int, ...] = Field(default=(256, 256), min_length=1)
    camera_embedding: int = Field(default=128, ge=1)
    camera_head: Literal["dense", "learned_pooling"] = Field(
        default="dense",
        description="dense: over the flattened map; learned_pooling: the original release's spatial pooling",
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
    augmented_views: int = Field(
        default=4, ge=1, le=16, description="randomly shifted views cached per stored frame"
    )
    crop_padding: int = Field(default=2, ge=0, le=16, description="random-crop augmentation [px]")
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


class SimSpec(_Model):
    """Which simulated twin stands in for the cell; null in a task that has none."""

    twin: Name
    demonstrations: int = Field(default=20, ge=1, description="demonstrations the main job records")
    parameters: dict[str, float] = Field(
        default={}, description="numbers of the twin, e.g. clearance [m]; the twin refuses unknown names"
    )


class TaskSpec(_Model):
    """One task. ``hash`` identifies everything that a policy or a recorded step depends on."""

    name: Name
    description: str
    base_frame: str = Field(default="base", min_length=1)
    tcp_frame: str = Field(default="tcp", min_length=1)
    cameras: tuple[CameraSpec, ...] = Field(min_length=1)
    state: tuple[
        Literal["tcp_pose", "tcp_twist", "tcp_wrench", "gripper", "joint_position", "joint_velocity"], ...
    ] = Field(min_length=1, description="parts of the proprioceptive observation")
    observation_timeout: float = Field(
        default=0.25, gt=0.0, description="age at which arm state or a frame is stale [s]"
    )
    action: ActionSpec
    control: ControlSpec
    workspace: WorkspaceSpec
    episode: EpisodeSpec
    reset: ResetSpec
    reward: RewardSpec
    intervention: InterventionSpec = InterventionSpec()
    learner: LearnerSpec = LearnerSpec()
    sim: SimSpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TaskSpec:
        names = [camera.name for camera in self.cameras]
        if len(set(names)) != len(names):
            raise ValueError(f"camera names must differ, got {names}")
        if len(set(self.state)) != len(self.state):
            raise ValueError(f"state parts must differ, got {list(self.state)}")
        unknown = set(self.learner.state_scale) - set(STATE_PART_SIZES)
        if unknown:
            raise ValueError(f"learner.state_scale names unknown state parts {sorted(unknown)}")
        missing = set(self.state) - set(self.learner.state_scale)
        if missing:
            raise ValueError(f"learner.state_scale lacks {sorted(missing)}")
        return self

    @property
    def hash(self) -> str:
        """16 hex digits over what observations, actions, rewards and networks depend on.

        Training settings that neither change the meaning of a record nor the shape of a tensor (learning rate, batch
        size, ratios) are left out, so that they can be changed on resume.
        """
        learner = self.learner
        identity = self.model_dump(
            mode="json",
            include={
                "name",
                "base_frame",
                "tcp_frame",
                "cameras",
                "state",
                "action",
                "control",
                "episode",
                "reset",
                "reward",
                "sim",
            },
        )
        identity["networks"] = learner.model_dump(
            mode="json",
            include={
                "discount",
                "critic_ensemble",
                "hidden",
                "camera_embedding",
                "camera_head",
                "state_embedding",
                "backbone",
                "backbone_stride",
                "pca_channels",
                "feature_cache",
                "state_scale",
            },
        )
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def state_sizes(self) -> dict[str, int]:
        """Size of each state part, in the task's order."""
        return {part: STATE_PART_SIZES[part] for part in self.state}

    @property
    def period(self) -> float:
        """Control period [s]."""
        return 1.0 / self.control.frequency
