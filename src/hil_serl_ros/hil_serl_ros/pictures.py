# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG files to pixels; one that is damaged is refused.

That a file decodes does not say that it is whole: a JPEG decoder fills what is missing with grey and goes on. libjpeg
warns of it, Pillow does not pass the warning on, and ``simplejpeg`` (libjpeg-turbo) does. A PNG carries checksums.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import Image as PillowImage

MAX_SIDE = 4096
"""Largest side of a picture [px], as of a task file; what claims more is not decoded."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_END_OF_IMAGE = b"\xff\xd9"
_PADDED = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


def decode_picture(data: bytes) -> np.ndarray:
    """Pixels of a JPEG or PNG file.

    What stands behind the end of a JPEG, zeros before its end, and missing Huffman tables (MJPEG) are usual and taken.

    Returns:
        (H, W, 3) uint8 RGB; grey becomes three equal channels, an alpha channel is dropped.

    Raises:
        ValueError: Neither of the two, damaged, larger than ``MAX_SIDE``, or with more than 8 bits a channel.
    """
    if not data.startswith((_JPEG, _PNG)):
        raise ValueError("it begins like neither a JPEG nor a PNG file")
    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:  # its head alone
            if max(image.size) > MAX_SIDE:  # decoding it would stall the loop
                raise ValueError(f"it claims {image.width} x {image.height} px")
            return _jpeg(data) if image.format == "JPEG" else _png(image, data)
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def _jpeg(data: bytes) -> np.ndarray:
    simplejpeg = _simplejpeg()
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError as error:
        if not _is_padded(data, str(error)):
            raise
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=False)
    return pixels


def _simplejpeg() -> Any:
    try:
        import simplejpeg
    except ImportError as error:
        raise ValueError(
            "the Python package simplejpeg, which decodes JPEGs, is not installed; run 'make setup' again, or "
            "'pip install simplejpeg'"
        ) from error
    return simplejpeg


def _is_padded(data: bytes, warning: str) -> bool:
    """Whether libjpeg only warns of zeros that a camera put before the end marker to fill its transfer buffer."""
    match = _PADDED.search(warning)
    if match is None:
        return False
    end = data.rfind(_END_OF_IMAGE)
    return not data[end - int(match[1]) : end].strip(b"\0")


def _png(image: PillowImage.Image, data: bytes) -> np.ndarray:
    if image.mode.startswith("I"):
        raise ValueError("it has 16 bits a pixel: a depth image is no picture")
    image.verify()  # the checksums of its chunks; it has to be opened anew afterwards
    with PillowImage.open(io.BytesIO(data), formats=("PNG",)) as again:
        return np.asarray(again.convert("RGB"))
