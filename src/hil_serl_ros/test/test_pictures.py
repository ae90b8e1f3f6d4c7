# SPDX-License-Identifier: Apache-2.0
"""Pictures that are whole are taken, whatever the encoder; damaged ones are refused."""

from __future__ import annotations

import array
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage

from hil_serl_ros.images import compressed_to_array
from hil_serl_ros.pictures import decode_picture

END = b"\xff\xd9"


def scene(seed: int = 0, height: int = 243, width: int = 322) -> np.ndarray:
    """A picture with edges, areas and sensor noise, so that an encoder has something to do everywhere."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(128, 4, (height, width, 3))
    for side in (8, 16, 32, 64):
        blocks = rng.normal(0, side, (-(-height // side), -(-width // side), 3))
        pixels += np.kron(blocks, np.ones((side, side, 1)))[:height, :width]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def encoded(kind: str, pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def as_pillow_sees_it(data: bytes) -> np.ndarray:
    with PillowImage.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def scan_of(jpeg: bytes) -> tuple[int, int]:
    """Where the compressed data of the (first) scan begin and where the file's end marker stands."""
    start = jpeg.index(b"\xff\xda")
    return start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big"), jpeg.rindex(END)


def exif() -> PillowImage.Exif:
    result = PillowImage.Exif()
    result[0x0112] = 6  # orientation: drivers send what the sensor sees, so nothing is turned
    result[0x010F] = "a camera"
    return result


ENCODERS: dict[str, dict[str, Any]] = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "a restart marker a row": {"restart_marker_rows": 1},
    "a restart marker every three blocks": {"restart_marker_blocks": 3},
    "EXIF": {"exif": exif()},
    "coarse": {"quality": 5},
    "fine": {"quality": 100},
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("seed", range(2))
def test_whole_jpegs_of_common_encoders_are_taken(name: str, seed: int) -> None:
    jpeg = encoded("JPEG", scene(seed), **ENCODERS[name])
    difference = decode_picture(jpeg).astype(int) - as_pillow_sees_it(jpeg)
    assert np.abs(difference).max() <= 1


def test_grey_jpegs_become_three_equal_channels() -> None:
    grey = scene()[..., 0]
    result = decode_picture(encoded("JPEG", grey, quality=95))
    assert result.shape == (*grey.shape, 3)
    assert (result == result[..., :1]).all()
    assert np.abs(result[..., 0].astype(int) - grey).mean() < 3


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_flat_pictures_are_taken(shade: int) -> None:
    flat = np.full((480, 640, 3), shade, np.uint8)
    assert (decode_picture(encoded("JPEG", flat)) == shade).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (16, 16), (17, 33)])
def test_small_pictures_are_taken(size: tuple[int, int]) -> None:
    assert decode_picture(encoded("JPEG", scene(0, *size))).shape == (*size, 3)


def test_what_cameras_put_behind_or_before_the_end_is_no_damage() -> None:
    jpeg = encoded("JPEG", scene())
    expected = decode_picture(jpeg)
    at = jpeg.rindex(END)
    for same in (
        jpeg + bytes(4096),  # a transfer buffer of fixed size
        jpeg + b"something else",
        jpeg[:at] + b"\xff\xff" + jpeg[at:],  # fill bytes of the standard
        jpeg[:at] + bytes(3) + jpeg[at:],
        jpeg[:at] + bytes(500) + jpeg[at:],
        jpeg[:at] + b"\x5a" + jpeg[at:],  # rounded up to whole words
    ):
        np.testing.assert_array_equal(decode_picture(same), expected)


DAMAGES = ("half of its data missing", "bytes lost in the middle", "two halves glued together")


def damaged(how: str, jpeg: bytes, other: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    start, end = scan_of(jpeg)
    if how == DAMAGES[0]:
        return jpeg[: (start + end) // 2] + END
    if how == DAMAGES[1]:
        at = start + int(rng.uniform(0.2, 0.6) * (end - start))
        return jpeg[:at] + jpeg[at + 1024 :]
    other_start, other_end = scan_of(other)
    return jpeg[: start + int(0.6 * (end - start))] + other[(other_start + other_end) // 2 :]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    "name", ["4:2:0", "4:2:2", "4:4:4", "progressive", "optimised", "a restart marker a row"]
)
def test_damaged_jpegs_are_refused_although_a_decoder_makes_a_picture_of_them(how: str, name: str) -> None:
    for seed in range(3):
        whole = [encoded("JPEG", scene(number), **ENCODERS[name]) for number in (seed, 100 + seed)]
        broken = damaged(how, *whole, seed)
        with pytest.raises(ValueError, match=r"orrupt|remature|nvalid|nsupported|ogus|uffman|rogress"):
            decode_picture(broken)


def test_the_refusal_names_the_camera_and_what_is_wrong() -> None:
    """The picture of a camera whose frames arrive with half of their scan: 43 % of what Pillow shows is wrong."""
    pixels = scene(1, 480, 640)
    whole = encoded("JPEG", pixels, quality=80)
    broken = damaged(DAMAGES[0], whole, whole, 0)
    wrong = np.abs(as_pillow_sees_it(broken).astype(int) - pixels).max(axis=2) > 16
    assert wrong.mean() > 0.3
    message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array.array("B", broken))
    with pytest.raises(ValueError, match=rf"'wrist_1'.*{len(broken)} bytes.*not a whole jpeg.*premature end"):
        compressed_to_array(message, "wrist_1")


def test_most_losses_of_a_packet_are_seen() -> None:
    """A run of lost bytes may by chance leave as many blocks as there should be; that is rare."""
    refused = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        jpeg = encoded("JPEG", scene(seed))
        start, end = scan_of(jpeg)
        at = int(rng.integers(start, end - 1500))
        try:
            decode_picture(jpeg[:at] + jpeg[at + 188 :])  # one packet of a transport stream
        except ValueError:
            refused += 1
    assert refused >= 27


def chunks(png: bytes) -> list[tuple[int, bytes, int]]:
    """(offset, type, length of the data) of each chunk."""
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        found.append((at, kind, length))
        at += 12 + length
    return found


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_whole_pngs_are_taken(mode: str) -> None:
    image = PillowImage.fromarray(scene()).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    np.testing.assert_array_equal(decode_picture(buffer.getvalue()), np.asarray(image.convert("RGB")))


def test_damaged_pngs_are_refused() -> None:
    png, other = encoded("PNG", scene()), encoded("PNG", scene(9))
    data = next(at for at, kind, _ in chunks(png) if kind == b"IDAT")
    end = next(at for at, kind, _ in chunks(png) if kind == b"IEND")
    flipped = bytearray(png)
    flipped[(data + end) // 2] ^= 0x10
    last = bytearray(png)
    last[end - 5] ^= 0x01  # the checksum of the pixels, behind the last of them
    for broken in (
        png[: len(png) // 2],
        png[: (data + end) // 2] + png[end:],
        png[: (data + end) // 2] + png[(data + end) // 2 + 700 :],
        png[: (data + end) // 2] + other[len(other) // 2 :],
        png[:end],
        bytes(flipped),
        bytes(last),
    ):
        with pytest.raises(ValueError, match=r"."):
            decode_picture(broken)


def test_a_png_of_depths_is_no_picture() -> None:
    """Pillow would cut its 16 bits to 8 without a word."""
    depth = np.full((4, 5), 1200, ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in depth)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 5, 4, 16, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match="16 bits a pixel: a depth image is no picture"):
        decode_picture(png)


def test_without_the_decoder_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    with pytest.raises(ValueError, match=r"simplejpeg.*make setup"):
        decode_picture(encoded("JPEG", scene()))
