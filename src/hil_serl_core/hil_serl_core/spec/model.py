# SPDX-License-Identifier: Apache-2.0
"""The task specification. Each field states unit, frame and, where there is one, the table it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from hil_serl_core.spec.action import ActionSpec
from hil_serl_core.spec.camera import CameraSpec
from hil_serl_core.spec.common import Name, SpecModel
from hil_serl_core.spec.control import ArmSpec, ControlSpec, WorkspaceSpec
from hil_serl_core.spec.episode import EpisodeSpec, InterventionSpec, ResetSpec
from hil_serl_core.spec.learner import LearnerSpec
from hil_serl_core.spec.rewards import RewardSpec

USUAL_JOINTS = 7
"""Joints of an arm where neither task nor robot file says how many."""
JOINT_PARTS = ("joint_position", "joint_velocity")
"""State parts with one number for each joint."""
STATE_PART_SIZES: dict[str, int] = {
    "tcp_pose": 6,
    "tcp_twist": 6,
    "tcp_wrench": 6,
    "gripper": 1,
    "joint_position": USUAL_JOINTS,
    "joint_velocity": USUAL_JOINTS,
}
"""State parts and their sizes for an arm with the usual number of joints; see ``TaskSpec.part_size``."""

# What a policy or a recorded step depends on. Settings that neither change the meaning of a record nor the shape of a
# tensor (learning rate, batch size, ratios) are left out, so that they can be changed on resume.
_IDENTITY = {
    "name",
    "arms",
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
}
_IDENTITY_OF_NETWORKS = {
    "discount",
    "critic_ensemble",
    "critic_shared_output",
    "hidden",
    "grasp_hidden",
    "camera_embedding",
    "camera_head",
    "state_embedding",
    "backbone",
    "backbone_stride",
    "pca_channels",
    "feature_cache",
    "state_scale",
}


class SimSpec(SpecModel):
    """Which simulated twin stands in for the cell; null in a task that has none."""

    twin: Name
    goal: Name | None = Field(
        default=None,
        description="which of the twin's goals is this task's success; null: the twin's only one",
    )
    demonstrations: int | None = Field(
        default=None, ge=1, description="demonstrations the main job records; null: learner.demonstrations"
    )
    parameters: dict[str, float] = Field(
        default={}, description="numbers of the twin, e.g. clearance [m]; the twin refuses unknown names"
    )


class TaskSpec(SpecModel):
    """One task. ``hash`` identifies everything that a policy or a recorded step depends on."""

    name: Name
    description: str
    source: str = Field(default="", description="paper and table that the task follows")
    arms: dict[Literal["left", "right"], ArmSpec] | None = Field(
        default=None, description="two-arm tasks: the arms; null: one arm, stated at the top level"
    )
    base_frame: str = Field(default="base", min_length=1, description="one arm: frame of its base")
    tcp_frame: str = Field(default="tcp", min_length=1, description="one arm: frame of its tool centre point")
    cameras: tuple[CameraSpec, ...] = Field(min_length=1)
    state: tuple[
        Literal["tcp_pose", "tcp_twist", "tcp_wrench", "gripper", "joint_position", "joint_velocity"], ...
    ] = Field(min_length=1, description="parts of the proprioceptive observation, of each arm")
    joints: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="joints of each arm, the size of joint_position and joint_velocity; null: as many as the robot file "
        "says, 7 where it says nothing",
    )
    observation_timeout: float = Field(
        default=0.25, gt=0.0, description="age at which arm state or a frame is stale [s]"
    )
    action: ActionSpec
    control: ControlSpec
    workspace: WorkspaceSpec | None = Field(default=None, description="one arm: its workspace box")
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
        classifier = self.reward.classifier
        if classifier is not None and (views := sorted(set(classifier.cameras) - set(names))):
            raise ValueError(f"reward.classifier.cameras names {views}, the task has cameras {names}")
        pose = self.reward.pose
        if pose is not None and pose.maximum_speed is not None and "tcp_twist" not in self.state:
            raise ValueError("reward.pose.maximum_speed is checked on records too: add tcp_twist to state")
        if self.action.gripper is not None and "gripper" not in self.state:
            raise ValueError(
                "a task that moves its gripper needs 'gripper' in state: the grasp critic has to see it"
            )
        return self

    @model_validator(mode="after")
    def _arms_complete(self) -> TaskSpec:
        if self.arms is None:
            if self.workspace is None or self.reset.nominal_position is None:
                raise ValueError("a task with one arm needs 'workspace' and 'reset.nominal_position'")
            return self
        if not self.arms:
            raise ValueError("'arms' must name left, right or both; leave it out for a single unnamed arm")
        if self.workspace is not None or self.reset.nominal_position is not None:
            raise ValueError("with 'arms', workspace and nominal_position are stated for each arm")
        frames = [arm.base_frame for arm in self.arms.values()] + [a.tcp_frame for a in self.arms.values()]
        if len(set(frames)) != len(frames):
            raise ValueError(f"base and tcp frames of the arms must differ, got {frames}")
        pose = self.reward.pose
        if pose is not None and pose.arm not in self.arms:
            raise ValueError(f"reward.pose.arm is '{pose.arm}', the arms are {list(self.arms)}")
        return self

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms, in the order of action and state; ``("",)`` for a single arm."""
        return ("",) if self.arms is None else tuple(sorted(self.arms))

    def arm(self, name: str) -> ArmSpec:
        """One arm with everything resolved, so that one arm and two are treated alike.

        Raises:
            KeyError: The task has no such arm.
        """
        if name not in self.arm_names:
            raise KeyError(f"task '{self.name}' has no arm '{name}'; it has {list(self.arm_names)}")
        if self.arms is None:
            assert self.workspace is not None
            assert self.reset.nominal_position is not None
            return ArmSpec(
                base_frame=self.base_frame,
                tcp_frame=self.tcp_frame,
                nominal_position=self.reset.nominal_position,
                nominal_rotation=self.reset.nominal_rotation,
                workspace=self.workspace,
                control=self.control,
                joints=self.joints,
            )
        arm = next(spec for key, spec in self.arms.items() if key == name)
        return arm if arm.control is not None else arm.model_copy(update={"control": self.control})

    def stated_joints(self, arm: str) -> int | None:
        """How many joints the task file says an arm has; None where it leaves that to the robot file."""
        own = None if self.arms is None else self.arm(arm).joints
        return self.joints if own is None else own

    def part_size(self, part: str, arm: str = "") -> int:
        """Length of a part of an arm's state; the parts' names are those of ``state``."""
        if part in JOINT_PARTS:
            return self.stated_joints(arm) or USUAL_JOINTS
        return STATE_PART_SIZES[part]

    @property
    def shows_joints(self) -> bool:
        """Whether the policy sees joints, so that observations and networks depend on how many there are."""
        return any(part in JOINT_PARTS for part in self.state)

    def with_joints(self, joints: Mapping[str, int]) -> TaskSpec:
        """The same task on arms with so many joints; of an arm that is not named nothing changes."""
        if self.arms is None:
            return self.model_copy(update={"joints": joints.get("", self.joints)})
        arms = {
            name: arm.model_copy(update={"joints": joints.get(name, arm.joints)})
            for name, arm in self.arms.items()
        }
        return self.model_copy(update={"arms": arms})

    @property
    def continuous_size(self) -> int:
        """Continuous components of the action, over all arms."""
        return self.action.per_arm * len(self.arm_names)

    @property
    def grippers(self) -> int:
        """Grippers under discrete control."""
        return 0 if self.action.gripper is None else len(self.arm_names)

    @property
    def grasp_choices(self) -> int:
        """Discrete actions of the grasp critic: 3 for one gripper, 9 for two, 0 without."""
        return 3**self.grippers if self.grippers else 0

    @property
    def action_size(self) -> int:
        """Length of the action vector: continuous components, then one command per gripper."""
        return self.continuous_size + self.grippers

    @property
    def state_sizes(self) -> dict[str, int]:
        """Size of each state part, arm by arm; two arms: ``left/tcp_pose``."""
        return {
            f"{arm}/{part}" if arm else part: self.part_size(part, arm)
            for arm in self.arm_names
            for part in self.state
        }

    @property
    def return_bounds(self) -> tuple[float, float] | None:
        """Least and largest discounted return of any policy; None where the reward is not sparse."""
        return None if self.reward.dense else (0.0, self.reward.success_reward)

    @property
    def grasp_return_bounds(self) -> tuple[float, float] | None:
        """``return_bounds`` of the grasp critic: at worst every command of every gripper is penalised, for ever."""
        if self.return_bounds is None or self.action.gripper is None:
            return None
        least, largest = self.return_bounds
        penalty = self.action.gripper.penalty * self.grippers
        return least + penalty / (1.0 - self.learner.discount), largest

    @property
    def period(self) -> float:
        """Control period [s]."""
        return 1.0 / self.control.frequency

    @property
    def hash(self) -> str:
        """16 hex digits over what observations, actions, rewards and networks depend on."""
        return self._hash(self.reward.dense)

    @property
    def policy_hashes(self) -> tuple[str, str]:
        """Hashes of this task under a sparse and a dense reward: a policy trained under either acts in it."""
        return self._hash(False), self._hash(True)

    def _hash(self, dense: bool) -> str:
        identity = self.model_dump(mode="json", include=_IDENTITY)
        # Who puts the scene back, or judges success, changes no record's meaning; the kind of number does.
        identity["reset"].pop("partner")
        identity["reset"].pop("attempts")
        identity["reset"].pop("lift")  # nor does the way to the start
        for timing in ("travel_time", "reopened_time"):  # nor how slow the hand is
            (identity["action"]["gripper"] or {}).pop(timing, None)
        for arm in (identity["arms"] or {}).values():
            arm.pop("joints")
        joints = {arm: self.part_size("joint_position", arm) for arm in self.arm_names}
        if self.shows_joints and any(count != USUAL_JOINTS for count in joints.values()):
            identity["joints"] = joints  # else as before it could be told
        identity["reward"] = {"success_reward": self.reward.success_reward, "dense": dense}
        networks = self.learner.model_dump(mode="json", include=_IDENTITY_OF_NETWORKS)
        if not self.learner.critic_shared_output:  # else as before it could be chosen
            networks.pop("critic_shared_output", None)
        identity["networks"] = networks
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
