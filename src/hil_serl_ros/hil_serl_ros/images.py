# SPDX-License-Identifier: Apache-2.0
"""Camera messages to RGB arrays, and back for simulated cameras."""

from __future__ import annotations

import array
import io

import numpy as np
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_ros.pictures import decode_picture
from hil_serl_ros.stamps import stamp_from_ns

_RGB = {"rgb8": np.s_[:3], "bgr8": np.s_[::-1], "rgba8": np.s_[:3], "bgra8": np.s_[2::-1]}
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
# Place of Y and of the first of U and V in a pixel's two bytes, by the names of sensor_msgs/image_encodings.
_YUV = {"yuv422_yuy2": (0, 1), "yuyv": (0, 1), "yuv422": (1, 0), "uyvy": (1, 0)}
ENCODINGS = (*_CHANNELS, *_YUV)
"""Encodings of raw images that are understood."""


def image_to_array(message: Image, camera: str) -> np.ndarray:
    """RGB pixels of a raw image.

    Rows may be padded (``step`` greater than width times channels). rgb8 without padding is not copied. An alpha channel
    is dropped, grey becomes three equal channels, YUV is ITU-R BT.601 with the limited range that cameras deliver.

    Args:
        message: With one of ``ENCODINGS``.
        camera: Name used in errors.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: Unknown encoding or a size that does not fit the data; names camera, encoding and size.
    """
    encoding, height, width, step = message.encoding, message.height, message.width, message.step
    what = f"camera {camera!r} ({encoding!r}, {width} x {height})"
    channels = 2 if encoding in _YUV else _CHANNELS.get(encoding)
    if channels is None:
        raise ValueError(f"{what}: set the camera driver to one of {', '.join(ENCODINGS)}{_advice(encoding)}")
    if height == 0 or width == 0:
        raise ValueError(f"{what}: empty image")
    if encoding in _YUV and width % 2:
        raise ValueError(f"{what}: two pixels share their colour, so the width must be even")
    row = width * channels
    data = np.frombuffer(message.data, dtype=np.uint8)
    # Some drivers leave the padding of the last row out.
    needed = step * (height - 1) + row
    if step < row or data.size < needed:
        raise ValueError(f"{what}: step {step} and {data.size} bytes of data do not fit {row} bytes a row")
    pixels = np.lib.stride_tricks.as_strided(
        data[:needed], shape=(height, width, channels), strides=(step, channels, 1), writeable=False
    )
    if encoding in _YUV:
        return _yuv_to_rgb(pixels, *_YUV[encoding])
    if encoding == "mono8":
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., _RGB[encoding]])


def _advice(encoding: str) -> str:
    if encoding.startswith("bayer"):
        return " (image_proc's debayer node makes rgb8 of it)"
    return " (a depth image is no picture)" if encoding in ("16UC1", "32FC1") else ""


# The limited range 16 ... 235 of Y and 16 ... 240 of U and V, stretched to 0 ... 255 as JPEG has it.
_LUMA = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
_CHROMA = np.clip(128 + (np.arange(256) - 128) * (255 / 224), 0, 255).round().astype(np.uint8)


def _yuv_to_rgb(pixels: np.ndarray, luma: int, chroma: int) -> np.ndarray:
    """(H, W, 2) uint8 YUV 4:2:2 to (H, W, 3) uint8 RGB; ``luma``, ``chroma``: places in a pixel's bytes."""
    colour = np.repeat(pixels[..., chroma].reshape(pixels.shape[0], -1, 2), 2, axis=1)
    planes = (_LUMA[pixels[..., luma]], _CHROMA[colour[..., 0]], _CHROMA[colour[..., 1]])
    return np.asarray(PillowImage.merge("YCbCr", [PillowImage.fromarray(p) for p in planes]).convert("RGB"))


def compressed_to_array(message: CompressedImage, camera: str) -> np.ndarray:
    """RGB pixels of a JPEG or PNG image, whatever ``format`` says.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: Damaged, or no JPEG or PNG image that ``decode_picture`` takes; names camera, format and size in
            bytes.
    """
    what = f"camera {camera!r} (compressed, {message.format!r}, {len(message.data)} bytes)"
    try:
        return decode_picture(bytes(message.data))
    except ValueError as error:
        raise ValueError(f"{what}: not a whole jpeg or png image ({error})") from error


def to_array(message: Image | CompressedImage, camera: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a raw or compressed image; see ``image_to_array`` and ``compressed_to_array``."""
    return (
        image_to_array(message, camera)
        if isinstance(message, Image)
        else compressed_to_array(message, camera)
    )


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
