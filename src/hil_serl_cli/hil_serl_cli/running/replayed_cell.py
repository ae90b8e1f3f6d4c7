# SPDX-License-Identifier: Apache-2.0
"""Recorded steps under the topic names of a cell, so that the viewers of a run show them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hil_serl_core.episode import Mode
from hil_serl_core.observation import ArmSample
from hil_serl_core.step import Source, Step
from hil_serl_msgs.msg import ArmState, EpisodeSummary, InterventionState
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_to_message, step_to_message
from hil_serl_ros.geometry_messages import pose_from_array
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import stamp_from_seconds

TOPICS = ("step", "tcp_poses", "arm_state", "intervention", "episode", "camera images")
_FRAME = "base"  # a player knows no cell


class ReplayedCell:
    """Publishers of one node: what a record says of pictures, arms, and who drove."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._steps = node.create_publisher(StepMessage, names.STEP, qos.STEP)
        self._poses = node.create_publisher(PoseArray, "tcp_poses", qos.TARGET)
        self._intervention = node.create_publisher(InterventionState, names.INTERVENTION, qos.INTERVENTION)
        self._episode = node.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self._made: dict[str, Publisher] = {}  # arms and cameras, by topic

    def show(self, step: Step) -> None:
        """Publish one record."""
        header = Header(stamp=stamp_from_seconds(step.stamp), frame_id=_FRAME)
        if step.is_first:
            self._episode.publish(_episode(step, header, started=True))
        self._steps.publish(step_to_message(step))
        self._poses.publish(PoseArray(header=header, poses=[pose_from_array(p) for p in step.tcp_poses]))
        for camera, frame in step.frames.items():
            image = image_from_array(frame, round(step.stamp * 1e9), camera)
            self._publisher(Image, names.camera_image(camera), qos.CAMERA).publish(image)
        for arm, sample in _arms(step):
            unknown = np.full(7, np.nan)
            message = arm_state_to_message(sample, tcp_frame=names.for_arm("tcp", arm), target_pose=unknown)
            self._publisher(ArmState, names.for_arm(names.ARM_STATE, arm), qos.ARM_STATE).publish(message)
        driven = InterventionState(
            header=header,
            active=step.source in (Source.HUMAN, Source.SCRIPT),  # as the actor says it
            episode=step.episode,
            step_index=step.step_index,
        )
        self._intervention.publish(driven)
        if step.is_last:
            self._episode.publish(_episode(step, header, started=False))

    def _publisher(self, kind: type, topic: str, profile: QoSProfile) -> Publisher:
        if topic not in self._made:
            self._made[topic] = self._node.create_publisher(kind, topic, profile)
        return self._made[topic]


def _arms(step: Step) -> Iterator[tuple[str, ArmSample]]:
    """Names of the arms as the state parts have them, and what is known of each; NaN for the rest."""
    arms = list(dict.fromkeys(part.rpartition("/")[0] for part in step.state)) or [""]
    unknown = np.full(6, np.nan)
    for arm, pose in zip(arms, step.tcp_poses, strict=True):
        gripper = step.state.get(names.for_arm("gripper", arm))
        opening = float("nan") if gripper is None else float(gripper[0])
        none = np.zeros(0)
        yield arm, ArmSample(step.stamp, _FRAME, pose, unknown, unknown, none, none, opening)


def _episode(step: Step, header: Header, *, started: bool) -> EpisodeSummary:
    autonomous = step.policy_version >= 0
    return EpisodeSummary(
        header=header,
        actor_id=step.actor_id,
        mode=str(Mode.EVAL if autonomous else Mode.RECORD_DEMOS),
        started=started,
        episode=step.episode,
    )
