# SPDX-License-Identifier: Apache-2.0
"""Scripts (TypeScript) that a Foxglove layout carries, to make panels understand Step."""

from __future__ import annotations

_CAMERA = """\
// SPDX-License-Identifier: Apache-2.0
// Camera @CAMERA@ of each Step (hil_serl_msgs/Frame: RGB, row by row) as an image that the Image panel shows.
import { Input, Message } from "./types";

export const inputs = ["@STEP@"];
export const output = "@OUTPUT@";

export default function script(event: Input<"@STEP@">): Message<"foxglove.RawImage"> | undefined {
  const frame = event.message.frames[@INDEX@];
  if (frame == undefined || frame.camera !== "@CAMERA@") {
    return undefined;
  }
  return {
    timestamp: event.receiveTime,
    frame_id: "@CAMERA@_optical_frame",
    width: frame.width,
    height: frame.height,
    encoding: "rgb8",
    step: 3 * frame.width,
    data: frame.data,
  };
}
"""

_POSES = """\
// SPDX-License-Identifier: Apache-2.0
// Measured poses of the tcp in each Step, in its base frame [m], for the 3D panel.
import { Input, Message } from "./types";

export const inputs = ["@STEP@"];
export const output = "@OUTPUT@";

export default function script(event: Input<"@STEP@">): Message<"foxglove.PosesInFrame"> | undefined {
  return {
    timestamp: event.receiveTime,
    frame_id: event.message.header.frame_id,
    poses: event.message.tcp_poses,
  };
}
"""


def script_topic(name: str) -> str:
    """Topic that a script publishes; the prefix is Foxglove's condition."""
    return f"/studio_script/{name}"


def camera_script(step: str, camera: str, index: int) -> str:
    """Script that publishes one camera's pictures.

    Args:
        step: Topic of the steps.
        camera: Name of the camera.
        index: Its place in the task's order.
    """
    return _fill(_CAMERA, STEP=step, CAMERA=camera, INDEX=str(index), OUTPUT=script_topic(camera))


def pose_script(step: str, name: str) -> str:
    """Script that publishes the poses of the tcp as ``script_topic(name)``."""
    return _fill(_POSES, STEP=step, OUTPUT=script_topic(name))


def _fill(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template
