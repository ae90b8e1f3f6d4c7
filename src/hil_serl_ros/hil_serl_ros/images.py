# SPDX-License-Identifier: Apache-2.0
"""Camera messages to RGB arrays, and back for simulated cameras."""

from __future__ import annotations

import array
import io

import numpy as np
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_ros.stamps import stamp_from_ns

_CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}


def image_to_array(message: Image, camera: str) -> np.ndarray:
    """RGB pixels of a raw image.

    Rows may be padded (``step`` greater than width times channels). rgb8 without padding is not copied.

    Args:
        message: Encoding rgb8, bgr8 or mono8.
        camera: Name used in errors.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: Unknown encoding or a size that does not fit the data; names camera, encoding and size.
    """
    what = f"camera {camera!r} ({message.encoding!r}, {message.width} x {message.height})"
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f"{what}: set the camera driver to one of {', '.join(_CHANNELS)}")
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0:
        raise ValueError(f"{what}: empty image")
    row = width * channels
    data = np.frombuffer(message.data, dtype=np.uint8)
    # Some drivers leave the padding of the last row out.
    needed = step * (height - 1) + row
    if step < row or data.size < needed:
        raise ValueError(f"{what}: step {step} and {data.size} bytes of data do not fit {row} bytes a row")
    pixels = np.lib.stride_tricks.as_strided(
        data[:needed], shape=(height, width, channels), strides=(step, channels, 1), writeable=False
    )
    if message.encoding == "mono8":
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1] if message.encoding == "bgr8" else pixels)


def compressed_to_array(message: CompressedImage, camera: str) -> np.ndarray:
    """RGB pixels of a JPEG or PNG image.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: Not a whole JPEG or PNG image; names camera, format and size in bytes.
    """
    what = f"camera {camera!r} (compressed, {message.format!r}, {len(message.data)} bytes)"
    try:
        with PillowImage.open(io.BytesIO(message.data), formats=("JPEG", "PNG")) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"{what}: not a whole jpeg or png image ({error})") from error


def image_from_array(pixels: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """rgb8 image message of (H, W, 3) uint8 pixels; ValueError for any other array."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels: expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width, is_bigendian=0)
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = frame_id
    # array.array is copied as a block; bytes and lists go element by element.
    message.data = array.array("B", pixels.tobytes())
    return message


def compressed_from_array(
    pixels: np.ndarray, stamp_ns: int, frame_id: str, quality: int = 90
) -> CompressedImage:
    """JPEG image message of (H, W, 3) uint8 pixels."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels, mode="RGB").save(buffer, format="JPEG", quality=quality)
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = frame_id
    message.data = array.array("B", buffer.getvalue())
    return message
