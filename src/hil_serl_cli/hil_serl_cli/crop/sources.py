# SPDX-License-Identifier: Apache-2.0
"""Where the picture comes from: a camera that runs, a picture file, a bag."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from hil_serl_core.spec import CameraSpec, TaskFileError
from hil_serl_ros import names

_CHECKED = (".png", ".jpg", ".jpeg")  # formats in which damage shows
_PICTURES = (*_CHECKED, ".bmp", ".ppm", ".tif", ".tiff", ".webp")


class PictureError(ValueError):
    """No picture of the camera can be had; the message says what to do."""


def picture_of(
    camera: CameraSpec, source: Path | None, namespace: str = "", patience: float = 10.0
) -> np.ndarray:
    """A whole picture of a camera, (source_height, source_width, 3) uint8 RGB.

    Args:
        camera: The camera in its task.
        source: Picture file, or bag with the camera's topic; None: the live topic, raw or compressed.
        namespace: ROS namespace of the cell.
        patience: Longest wait for a live picture [s].

    Raises:
        PictureError: There is none, or it has another size than the task file states.
    """
    if source is None:
        pixels, where = _live(camera.name, namespace, patience)
    elif source.suffix.lower() in _PICTURES:
        pixels, where = _from_file(source), str(source)
    else:
        pixels, where = _from_bag(source, camera.name), str(source)
    height, width = pixels.shape[:2]
    if (width, height) != (camera.source_width, camera.source_height):
        raise PictureError(
            f"the picture of {where} is {width}x{height} px, but the task file says that camera '{camera.name}' delivers "
            f"{camera.source_width}x{camera.source_height}; make source_width and source_height agree with the driver first"
        )
    return pixels


def _from_file(path: Path) -> np.ndarray:
    from hil_serl_ros.pictures import decode_picture

    try:
        if path.suffix.lower() in _CHECKED:
            return decode_picture(path.read_bytes())
        with PillowImage.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise PictureError(f"there is no picture {path}") from error
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise PictureError(f"{path} is no picture that can be read ({error})") from error


def _from_bag(path: Path, camera: str) -> np.ndarray:
    from hil_serl_ros.bag import read_messages
    from hil_serl_ros.images import to_array

    endings = tuple(names.camera_topic(camera, transport) for transport in names.TRANSPORTS)
    seen = set()
    for message in read_messages(path):
        seen.add(message.topic)
        if message.topic.endswith(endings):
            try:
                return to_array(message.deserialize(), camera)
            except ValueError as error:
                raise PictureError(f"{path}: {error}") from error
    raise PictureError(
        f"{path} has no topic {' or '.join(endings)}; it has {', '.join(sorted(seen)) or 'nothing'} (steps hold pictures "
        "that are cropped already)"
    )


def _live(camera: str, namespace: str, patience: float) -> tuple[np.ndarray, str]:
    from sensor_msgs.msg import CompressedImage, Image

    from hil_serl_ros import qos
    from hil_serl_ros.images import to_array
    from hil_serl_ros.tool_node import ToolNode

    heard: list[tuple[str, Any]] = []
    with ToolNode("crop", namespace) as tool:
        subscriptions = []
        for transport, kind in ((names.RAW, Image), (names.COMPRESSED, CompressedImage)):
            topic = tool.node.resolve_topic_name(names.camera_topic(camera, transport))
            heard_here = partial(_keep, heard, topic)
            subscriptions.append(tool.node.create_subscription(kind, topic, heard_here, qos.CAMERA))
        topics = [subscription.topic_name for subscription in subscriptions]
        tool.spin(patience, lambda: bool(heard))
        publishers = sum(tool.node.count_publishers(topic) for topic in topics)
    if not heard:
        why = "its driver is there but sends nothing" if publishers else "nobody publishes them"
        raise PictureError(
            f"no picture on {' or '.join(topics)} for {patience:.0f} s in ROS_DOMAIN_ID="
            f"{os.environ.get('ROS_DOMAIN_ID', '0')}: {why}; start the camera, or give a picture file with --picture"
        )
    topic, message = heard[0]
    try:
        return to_array(message, camera), topic
    except ValueError as error:
        raise PictureError(str(error)) from error


def _keep(heard: list[tuple[str, Any]], topic: str, message: Any) -> None:
    heard.append((topic, message))


def camera_named(cameras: tuple[CameraSpec, ...], name: str) -> CameraSpec:
    """Camera of a task by name; TaskFileError names the ones there are."""
    for camera in cameras:
        if camera.name == name:
            return camera
    raise TaskFileError(
        f"the task has no camera '{name}'; it has {', '.join(camera.name for camera in cameras)}"
    )
