# SPDX-License-Identifier: Apache-2.0
"""Videos of runs: compose what the cameras see, and encode it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: Encoders to try, best first; which exist depends on how PyAV was built.
ENCODERS = ("libx264", "libopenh264", "mpeg4")


def enlarge(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest-neighbour resize, so that a person sees the very pixels the policy sees.

    Args:
        image: (H, W, 3) uint8.
        height: New height [px].
        width: New width [px].

    Returns:
        (height, width, 3) uint8.
    """
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows[:, None], columns]


def compose(main: np.ndarray | None, views: Sequence[np.ndarray], height: int = 480) -> np.ndarray:
    """One picture of the display camera with the policy's views in a column at its right.

    Args:
        main: (H, W, 3) uint8, None if there is no display camera: the views then stand side by side.
        views: (h, w, 3) uint8 each.
        height: Height of the result [px].

    Returns:
        (height, W', 3) uint8 with even sides, as video encoders want them.
    """
    if main is None:
        columns = [enlarge(view, height, _even(height * view.shape[1] / view.shape[0])) for view in views]
    else:
        columns = [enlarge(main, height, _even(height * main.shape[1] / main.shape[0]))]
        if views:
            each = height // len(views)
            widths = [_even(each * view.shape[1] / view.shape[0]) for view in views]
            column = np.zeros((height, max(widths), 3), np.uint8)
            for number, (view, width) in enumerate(zip(views, widths, strict=True)):
                column[number * each : (number + 1) * each, :width] = enlarge(view, each, width)
            columns.append(column)
    return np.concatenate(columns, axis=1)


def caption(picture: np.ndarray, text: str) -> np.ndarray:
    """A copy of a picture with a line of text at its top left."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((12, 8), text)
    draw.rectangle((left - 6, top - 4, right + 6, bottom + 4), fill=(0, 0, 0))
    draw.text((12, 8), text, fill=(255, 255, 255))
    return np.asarray(image)


def _even(value: float) -> int:
    return 2 * max(1, round(value / 2))


def write_video(path: Path, pictures: Iterable[np.ndarray], rate: float) -> int:
    """Encode pictures of one size as MP4.

    Args:
        path: File to write.
        pictures: (H, W, 3) uint8 RGB, H and W even.
        rate: Pictures per second.

    Returns:
        Number of pictures written; nothing is written for none.

    Raises:
        RuntimeError: PyAV has no usable encoder.
    """
    from fractions import Fraction

    import av

    count = 0
    container: Any = None
    stream: Any = None  # PyAV's types do not know what kind of stream an encoder makes
    try:
        for picture in pictures:
            if container is None:
                container = av.open(str(path), "w", options={"movflags": "faststart"})
                stream = container.add_stream(encoder(), rate=Fraction(rate).limit_denominator(1000))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
            count += 1
        if container is not None:
            for packet in stream.encode():
                container.mux(packet)
    finally:
        if container is not None:
            container.close()
    return count


def encoder() -> str:
    """Name of the best usable encoder; RuntimeError if PyAV has none."""
    import av

    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except Exception:  # the class of the error differs between versions of PyAV
            continue
        return name
    raise RuntimeError(f"PyAV has none of the encoders {', '.join(ENCODERS)}; install av from a wheel")
