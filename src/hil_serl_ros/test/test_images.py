# SPDX-License-Identifier: Apache-2.0
import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_ros.images import compressed_from_array, compressed_to_array, image_from_array, image_to_array


def message(pixels: np.ndarray, encoding: str, padding: int = 0, last_row_padded: bool = True) -> Image:
    """A raw image with ``padding`` bytes of 0xEE after each row."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE).tobytes()
    if not last_row_padded and padding:
        padded = padded[:-padding]
    result = Image(height=height, width=width, encoding=encoding, step=rows.shape[1] + padding)
    result.data = array.array("B", padded)
    return result


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 5),
    last=st.booleans(),
    encoding=st.sampled_from(["rgb8", "bgr8", "mono8"]),
    seed=st.integers(0, 100),
)
def test_every_encoding_and_padding_gives_rgb(
    height: int, width: int, padding: int, last: bool, encoding: str, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if encoding == "mono8":
        rgb[:] = rgb[..., :1]
    stored = {"rgb8": rgb, "bgr8": rgb[..., ::-1], "mono8": rgb[..., :1]}[encoding]
    result = image_to_array(message(np.ascontiguousarray(stored), encoding, padding, last), "wrist")
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, rgb)


def test_message_of_an_array_comes_back() -> None:
    rgb = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    image = image_from_array(rgb, 1_500_000_000, "camera")
    assert (image.header.stamp.sec, image.header.stamp.nanosec, image.header.frame_id) == (
        1,
        500_000_000,
        "camera",
    )
    np.testing.assert_array_equal(image_to_array(image, "wrist"), rgb)


def test_unknown_encoding_is_named_with_camera_and_size() -> None:
    image = message(np.zeros((3, 4, 3), np.uint8), "rgb8")
    image.encoding = "yuv422_yuy2"
    with pytest.raises(ValueError, match=r"wrist_1.*yuv422_yuy2.*4 x 3.*rgb8, bgr8, mono8"):
        image_to_array(image, "wrist_1")


def test_missing_bytes_are_named() -> None:
    image = message(np.zeros((3, 4, 3), np.uint8), "rgb8")
    image.data = image.data[:-1]
    with pytest.raises(ValueError, match=r"wrist_1.*35 bytes"):
        image_to_array(image, "wrist_1")


@pytest.mark.parametrize(("field", "value"), [("step", 5), ("height", 4), ("height", 0), ("width", 0)])
def test_sizes_that_contradict_the_data_are_refused(field: str, value: int) -> None:
    image = message(np.zeros((3, 4, 3), np.uint8), "rgb8")
    setattr(image, field, value)
    with pytest.raises(ValueError, match="wrist"):
        image_to_array(image, "wrist")


def test_jpeg_comes_back_nearly() -> None:
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[..., 0] = 200  # red stays red: channels are not swapped
    result = compressed_to_array(compressed_from_array(rgb, 0, "camera"), "wrist")
    assert result.shape == rgb.shape
    assert np.abs(result.astype(int) - rgb).max() < 8


def test_cut_jpeg_is_refused_with_camera_and_size() -> None:
    image = compressed_from_array(
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8), 0, "c"
    )
    image.data = image.data[: len(image.data) // 2]
    with pytest.raises(ValueError, match=rf"wrist.*{len(image.data)} bytes"):
        compressed_to_array(image, "wrist")


def test_other_formats_are_refused() -> None:
    image = CompressedImage(format="tiff", data=array.array("B", b"II*\0garbage"))
    with pytest.raises(ValueError, match="jpeg or png"):
        compressed_to_array(image, "wrist")
