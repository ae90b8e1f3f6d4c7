# SPDX-License-Identifier: Apache-2.0
"""Topic and service names in one place; relative, so that a namespace moves a whole cell or one arm."""

from __future__ import annotations

ARM_STATE = "arm_state"
TARGET_POSE = "target_pose"
TARGET_WRENCH = "target_wrench"
GRIPPER_COMMAND = "gripper/command"
GRIPPER_STATE = "gripper/state"
SPACENAV_TWIST = "spacenav/twist"
SPACENAV_JOY = "spacenav/joy"
STEP = "step"
POLICY_WEIGHTS = "policy_weights"
LEARNER_STATUS = "learner_status"
INTERVENTION = "intervention"
EPISODE = "episode"
RUN_STATUS = "run_status"
STOPPED = "stopped"
PAUSED = "paused"
MARKERS = "markers"
TF = "/tf"  # global by ROS convention, as the next two
TF_STATIC = "/tf_static"
DIAGNOSTICS = "/diagnostics"  # global by ROS convention, see REP-107
CLOCK = "/clock"
SCENE_TRUTH = "sim/truth"  # simulated cells only

RESET_EPISODE = "reset_episode"
JOINT_RESET = "joint_reset"  # real and mock cells
GRIPPER_HOME = "gripper/home"  # hands that need it
RECOVER = "recover"  # real and mock cells
RESET_FAULT = "reset_fault"  # of each arm's controller
LABEL_EPISODE = "label_episode"
CONFIRM_RESET = "confirm_reset"
PAUSE = "pause"
STOP = "stop"
CLEAR_STOP = "clear_stop"
SAVE_CHECKPOINT = "save_checkpoint"


def camera_image(camera: str) -> str:
    """Topic of a camera's raw images, e.g. ``camera/wrist_1/image_raw``."""
    return f"camera/{camera}/image_raw"


def camera_compressed(camera: str) -> str:
    """Topic of a camera's compressed images, named as image_transport names it."""
    return f"{camera_image(camera)}/compressed"


RAW, COMPRESSED = "raw", "compressed"
TRANSPORTS = (RAW, COMPRESSED)
"""How pictures travel, in image_transport's words."""


def camera_topic(camera: str, transport: str) -> str:
    """Topic of a camera's images with one of ``TRANSPORTS``."""
    return camera_compressed(camera) if transport == COMPRESSED else camera_image(camera)


def for_arm(name: str, arm: str | None) -> str:
    """Name under one arm of several: ``for_arm("arm_state", "left")`` is ``left/arm_state``.

    Global names and a single arm (``None`` or empty) are left as they are.
    """
    return f"{arm}/{name}" if arm and not name.startswith("/") else name
