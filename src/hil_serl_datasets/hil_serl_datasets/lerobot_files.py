# SPDX-License-Identifier: Apache-2.0
"""The files of a LeRobotDataset v3.0 folder: parquet tables, videos, statistics. Imports pyarrow when it is used."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_runs.video import encoder

CHUNK = "chunk-000/file-000"
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_CODECS = {"libx264": "h264", "libopenh264": "h264", "mpeg4": "mpeg4"}
_LEVELS = np.arange(256) / 255.0


class Video:
    """One MP4 of all episodes of a camera, one after the other, a keyframe every second frame so that any is found fast."""

    def __init__(self, path: Path, fps: int, size: int) -> None:
        """Open the file.

        Args:
            path: File to write.
            fps: Frames per second.
            size: Side of the square frames [px], even.
        """
        path.parent.mkdir(parents=True)
        name = encoder()
        self.codec = _CODECS[name]
        self.frames = 0
        self._base = Fraction(1, fps)
        self._container = _open(path)
        # Visually without loss; no frames that refer to later ones, so that time stamps start at 0.
        options = {"crf": "16", "g": "2", "bf": "0"} if name == "libx264" else {"g": "2", "bf": "0"}
        self._stream = self._container.add_stream(name, rate=fps, options=options)
        self._stream.height = self._stream.width = size
        self._stream.pix_fmt = "yuv420p"

    def write(self, image: np.ndarray) -> None:
        """Append one frame, (size, size, 3) uint8."""
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self.frames, self._base
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()


def _open(path: Path) -> Any:
    """PyAV's container; its types do not know what kind of stream an encoder makes."""
    import av

    return av.open(str(path), "w", options={"movflags": "faststart"})


class Parquet:
    """A parquet file that grows by a row group per episode."""

    def __init__(self, path: Path, features: Mapping[str, Mapping[str, Any]]) -> None:
        """Open the file.

        Args:
            path: File to write.
            features: As in ``meta/info.json``; those of dtype video are no columns.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True)
        fields = [(key, _type(feature)) for key, feature in features.items() if feature["dtype"] != "video"]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(str(path), self._schema, compression="snappy")

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Append the rows of one episode."""
        import pyarrow as pa

        self._writer.write_table(pa.table(dict(columns), schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _type(feature: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    if feature["dtype"] == "image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    value = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}[feature["dtype"]]
    (length,) = feature["shape"]
    return value if length == 1 else pa.list_(value, length)


def png(image: np.ndarray) -> dict[str, Any]:
    """Cell of an image column: (H, W, 3) uint8 as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return {"bytes": buffer.getvalue(), "path": None}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A whole table, types as they come."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), str(path))


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """``meta/tasks.parquet``: a pandas table whose index is the task's text. Written without pandas."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(name: str, kind: str, numpy_kind: str) -> dict[str, Any]:
        return {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": numpy_kind,
            "metadata": None,
        }

    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [column("task_index", "int64", "int64"), column("task", "unicode", "object")],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)})
    table = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, str(path))


def histogram(images: Sequence[np.ndarray]) -> np.ndarray:
    """(3, 256) counts of the levels of each channel over (H, W, 3) uint8 images."""
    counts: np.ndarray = np.zeros((3, 256), np.int64)
    for image in images:
        for channel in range(3):
            counts[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    return counts


def image_statistics(counts: np.ndarray, frames: int) -> dict[str, Any]:
    """Statistics of images in [0, 1] from their histogram, each of shape (3, 1, 1); exact."""
    total = counts.sum(axis=1)
    mean = counts @ _LEVELS / total
    deviation = np.sqrt(np.maximum(counts @ _LEVELS**2 / total - mean**2, 0.0))
    present = counts > 0
    values = {
        "min": _LEVELS[present.argmax(axis=1)],
        "max": _LEVELS[255 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": deviation,
    }
    cumulated = counts.cumsum(axis=1)
    for name, share in QUANTILES.items():
        values[name] = _LEVELS[(cumulated >= share * total[:, None]).argmax(axis=1)]
    return {name: value.reshape(3, 1, 1).tolist() for name, value in values.items()} | {"count": [frames]}


def statistics(values: np.ndarray) -> dict[str, Any]:
    """Statistics of (N, D) numbers, each of shape (D,)."""
    numbers = np.asarray(values, dtype=np.float64)
    result = {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        **{name: np.quantile(numbers, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in result.items()} | {"count": [len(numbers)]}
