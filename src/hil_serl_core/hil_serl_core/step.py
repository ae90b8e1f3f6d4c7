# SPDX-License-Identifier: Apache-2.0
"""The one record of experience.

Timing follows dm_env: record t holds observation o_t, the action a_t executed from it, and the reward received on
arrival at o_t. Demonstrations, classifier data and online experience are all sequences of this record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Source(IntEnum):
    """Who produced the executed action; the values are those of ``hil_serl_msgs/Step``.

    SCRIPT is the suite itself: once a person's hand has left the device, the arm stands still until the policy drives.
    """

    NONE = 0
    POLICY = 1
    HUMAN = 2
    SCRIPT = 3


@dataclass(frozen=True)
class Step:
    """One control tick; mirrors ``hil_serl_msgs/Step`` field by field.

    Attributes:
        stamp: ROS time of the tick [s].
        actor_id: Unique per actor and run; (actor_id, sequence) names the record for ever.
        sequence: 0, 1, 2, ... without gaps over the whole run of the actor, across restarts.
        episode: 0, 1, 2, ... per actor_id, across restarts.
        step_index: 0, 1, 2, ... within the episode.
        frames: Camera name to (H, W, 3) uint8 RGB, cropped and resized, in the task's order.
        state: State part to float32 vector (see ``observation.STATE_PARTS``), in the task's order.
        tcp_poses: (arms, 7) float64 measured tcp poses, each in its arm's base frame [m, xyzw].
        action: (A,) float32 executed action in [-1, 1], tcp frames, then gripper commands -1 close, 0 stay, 1 open
            (see ``ActionLayout``); None on the last record.
        policy_action: (A,) float32 what the policy proposed; None without a policy or on the last record.
        source: Who produced ``action``.
        reward: Reward on arrival at this observation; 0 on the first record.
        grasp_penalty: Penalty on arrival for toggling the gripper, <= 0.
        is_first: First record of the episode.
        is_last: Last record: terminated or truncated.
        is_terminal: The task ended (no bootstrap). False on a time-out.
        policy_version: Version of the weights behind ``policy_action``, -1 for none.
        spec_hash: Hash of the task spec the record was made under.
    """

    stamp: float
    actor_id: str
    sequence: int
    episode: int
    step_index: int
    frames: Mapping[str, np.ndarray]
    state: Mapping[str, np.ndarray]
    tcp_poses: np.ndarray
    action: np.ndarray | None
    policy_action: np.ndarray | None
    source: Source
    reward: float
    grasp_penalty: float
    is_first: bool
    is_last: bool
    is_terminal: bool
    policy_version: int
    spec_hash: str

    def follows(self, previous: Step) -> bool:
        """True if ``previous -> self`` is a transition: same actor and episode, consecutive indices, not ended."""
        return (
            not previous.is_last
            and previous.action is not None
            and self.actor_id == previous.actor_id
            and self.episode == previous.episode
            and self.step_index == previous.step_index + 1
            and self.spec_hash == previous.spec_hash
        )
