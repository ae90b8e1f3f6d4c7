# SPDX-License-Identifier: Apache-2.0
import array

import numpy as np
import pytest
from hypothesis import given, settings
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
    encoding=st.sampled_from(["rgb8", "bgr8", "rgba8", "bgra8", "mono8"]),
    seed=st.integers(0, 100),
)
def test_every_encoding_and_padding_gives_rgb(
    height: int, width: int, padding: int, last: bool, encoding: str, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if encoding == "mono8":
        rgb[:] = rgb[..., :1]
    stored = rgb[..., ::-1] if encoding.startswith("bgr") else rgb[..., :1] if encoding == "mono8" else rgb
    if encoding.endswith("a8"):
        stored = np.concatenate([stored, np.full((height, width, 1), 7, np.uint8)], axis=2)
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


# Y, U, V of the colour bars that video engineers test with: ITU-R BT.601, limited range, 75 % amplitude.
BARS = {
    (180, 128, 128): (191, 191, 191),
    (131, 156, 44): (0, 191, 191),
    (112, 72, 58): (0, 191, 0),
    (65, 100, 212): (191, 0, 0),
    (35, 212, 114): (0, 0, 191),
    (235, 128, 128): (255, 255, 255),
    (16, 128, 128): (0, 0, 0),
}


@pytest.mark.parametrize("encoding", ["yuv422_yuy2", "yuyv", "yuv422", "uyvy"])
@pytest.mark.parametrize("padding", [0, 6])
def test_yuv_is_read_as_video_cameras_mean_it(encoding: str, padding: int) -> None:
    luma_first = encoding in ("yuv422_yuy2", "yuyv")
    for (y, u, v), expected in BARS.items():
        pair = [[y, u], [y, v]] if luma_first else [[u, y], [v, y]]
        pixels = np.tile(np.array([pair], np.uint8), (3, 2, 1))
        result = image_to_array(message(pixels, encoding, padding), "wrist")
        assert result.shape == (3, 4, 3)
        assert np.abs(result.astype(int) - expected).max() <= 3, (encoding, expected)


def test_the_two_colours_of_a_yuv_picture_stay_where_they_are() -> None:
    left, right = [[65, 100], [65, 212]], [[35, 212], [35, 114]]  # red, blue
    result = image_to_array(message(np.array([left + right], np.uint8), "yuyv"), "wrist")
    assert [pixel.argmax() for pixel in result[0]] == [0, 0, 2, 2]


def test_odd_width_cannot_be_yuv() -> None:
    with pytest.raises(ValueError, match=r"wrist.*width must be even"):
        image_to_array(message(np.zeros((3, 5, 2), np.uint8), "yuyv"), "wrist")


@pytest.mark.parametrize(
    ("encoding", "advice"), [("bayer_rggb8", "debayer"), ("16UC1", "depth image"), ("nv12", "rgb8, bgr8")]
)
def test_unknown_encoding_is_named_with_camera_size_and_remedy(encoding: str, advice: str) -> None:
    image = message(np.zeros((3, 4, 3), np.uint8), "rgb8")
    image.encoding = encoding
    with pytest.raises(ValueError, match=rf"wrist_1.*{encoding}.*4 x 3.*{advice}"):
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


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded() -> None:
    jpeg = bytes(compressed_from_array(np.zeros((16, 16, 3), np.uint8), 0, "c").data)
    at = jpeg.index(b"\xff\xc0") + 5  # start of frame: length, precision, then height and width
    image = CompressedImage(data=array.array("B", jpeg[:at] + b"\xff\xf0\xff\xf0" + jpeg[at + 4 :]))
    with pytest.raises(ValueError, match=r"wrist.*65520 x 65520|decompression bomb"):
        compressed_to_array(image, "wrist")


def test_jpegs_of_a_camera_that_leaves_the_huffman_tables_out() -> None:
    """Many USB cameras send such MJPEG frames; the tables are then those of the standard."""
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[8:24, 8:24] = (200, 30, 60)
    whole = compressed_from_array(rgb, 0, "c")
    jpeg = bytes(whole.data)
    while (at := jpeg.find(b"\xff\xc4")) >= 0:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        jpeg = jpeg[:at] + jpeg[at + 2 + length :]
    result = compressed_to_array(CompressedImage(format="jpeg", data=array.array("B", jpeg)), "wrist")
    assert len(jpeg) < len(whole.data)
    np.testing.assert_array_equal(result, compressed_to_array(whole, "wrist"))


@settings(deadline=None)
@given(seed=st.integers(0, 200))
def test_damaged_jpegs_give_a_picture_or_a_clear_refusal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(compressed_from_array(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), 0, "c").data)
    for _ in range(4):
        data[rng.integers(len(data))] = rng.integers(256)
    try:
        assert compressed_to_array(CompressedImage(data=array.array("B", data)), "wrist").shape[2] == 3
    except ValueError as error:
        assert "wrist" in str(error)  # noqa: PT017


def test_pictures_agree_with_cv_bridge() -> None:
    """cv_bridge is not used (it would bring OpenCV for what numpy and Pillow do); where it is, it must see the same."""
    cv_bridge = pytest.importorskip("cv_bridge").CvBridge()
    rng = np.random.default_rng(0)
    low = rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)
    smooth = low.repeat(8, axis=0).repeat(8, axis=1)
    for encoding, channels in (
        ("rgb8", 3),
        ("bgr8", 3),
        ("rgba8", 4),
        ("bgra8", 4),
        ("mono8", 1),
        ("yuv422_yuy2", 2),
    ):
        pixels = np.concatenate([smooth, smooth], axis=2)[..., :channels]
        raw = message(np.ascontiguousarray(pixels), encoding, padding=0)
        theirs = cv_bridge.imgmsg_to_cv2(raw, "rgb8")
        assert np.abs(image_to_array(raw, "wrist").astype(int) - theirs).max() <= 3, encoding
    jpeg = compressed_from_array(smooth, 0, "c")
    theirs = cv_bridge.compressed_imgmsg_to_cv2(jpeg, "rgb8")
    assert np.abs(compressed_to_array(jpeg, "wrist").astype(int) - theirs).max() <= 3
