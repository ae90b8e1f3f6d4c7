# SPDX-License-Identifier: Apache-2.0
"""One QoS profile per kind of topic.

Sensor data and operator input: only the newest sample counts, so best effort with depth 1; readers judge
staleness by the stamp. Commands: reliable, newest only. Steps: reliable with a window, on top of which the
actor re-sends by sequence number. Latched values (weights, who drives, episodes, the stop): transient local, so that a late
joiner gets the last one. The pause carries a lease besides: it is the actor's sign of life.
"""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

STEP_DEPTH = 200


ACTOR_LEASE = 1.0  # s
"""After this time without a sign of the actor's process it counts as ended.

The middleware gives the sign, from a thread of its own which needs no Python: a busy actor is not taken for a dead one.
"""


def _profile(depth: int, *, reliable: bool, latched: bool = False, lease: float | None = None) -> QoSProfile:
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    if lease is not None:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(seconds=lease)
    return profile


ARM_STATE = _profile(1, reliable=False)
CAMERA = _profile(1, reliable=False)
OPERATOR = _profile(1, reliable=False)
OPERATOR_HEARD = _profile(
    400, reliable=False
)  # for who acts on buttons: a tap is over before a reader looks, and drivers send up to 1000 messages a second
TARGET = _profile(1, reliable=True)
TARGET_HEARD = _profile(50, reliable=True)  # for who watches who commands: every one counts
GRIPPER_COMMAND = _profile(1, reliable=True)
GRIPPER_STATE = _profile(1, reliable=True)
JOINT_STATES = _profile(10, reliable=False)  # of drivers, whatever they offer
STEP = _profile(STEP_DEPTH, reliable=True)
POLICY_WEIGHTS = _profile(1, reliable=True, latched=True)
LEARNER_STATUS = _profile(10, reliable=True)
INTERVENTION = _profile(1, reliable=True, latched=True)
EPISODE = _profile(10, reliable=True, latched=True)
EPISODE_LIVE = _profile(10, reliable=True)  # for who counts episodes: none from before it listened
RUN_STATUS = _profile(1, reliable=True, latched=True)
STOPPED = _profile(1, reliable=True, latched=True)
PAUSED = _profile(1, reliable=True, latched=True, lease=ACTOR_LEASE)
MARKERS = _profile(10, reliable=True)
DIAGNOSTICS = _profile(10, reliable=True)
TF = _profile(100, reliable=True)
TF_STATIC = _profile(1, reliable=True, latched=True)
SCENE_TRUTH = _profile(1, reliable=True)
CLOCK = _profile(1, reliable=False)  # what rclpy's time source subscribes with
