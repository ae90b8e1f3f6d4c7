# SPDX-License-Identifier: Apache-2.0
"""Files of bags: where they are, and what kind they are. Compressed ones are read, foreign ones named with the remedy."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path
from typing import BinaryIO

import yaml
import zstandard

from hil_serl_ros.bag.errors import BagDamagedError, BagError

_SUFFIXES = (".mcap", ".mcap.zstd")
_FOREIGN = {
    "SQLite": ("a bag in the sqlite3 storage", (".db3", ".db3.zstd"), b"SQLite format 3\0"),
    "ROS 1": ("a bag of ROS 1", (".bag",), b"#ROSBAG V"),
}
_PACKERS = {
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_LARGEST_MESSAGE = 1 << 30  # bytes; what claims more is not decompressed


def find_bag_files(path: Path | str) -> list[Path]:
    """MCAP files of a file, a bag folder or a folder of bags, in recording order.

    A file that rosbag2 compressed as a whole (``.mcap.zstd``) counts, unless its content lies beside it.

    Raises:
        BagError: There is no such path, or no MCAP file in it; names bags of other kinds with what converts them.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.exists():
        raise BagError(f"{path} does not exist; expected an .mcap file, a bag or a folder of bags")
    found = {file for suffix in _SUFFIXES for file in path.rglob(f"*{suffix}")}
    files = sorted(
        (f for f in found if f.suffix == ".mcap" or f.with_suffix("") not in found), key=_natural_key
    )
    if not files:
        for what, suffixes, _ in _FOREIGN.values():
            other = next((file for suffix in suffixes for file in sorted(path.rglob(f"*{suffix}"))), None)
            if other is not None:
                # Their storage has one folder a bag, ROS 1 has one file.
                raise _foreign(what, other if other.suffix == ".bag" else other.parent)
        raise BagError(f"no .mcap file below {path}; record with `ros2 bag record -s mcap`")
    return files


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts ``_10`` after ``_9``."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts if part]


def _foreign(what: str, path: Path) -> BagError:
    target = path.with_name(f"{path.name.split('.')[0]}_mcap")
    command = (
        f"rosbags-convert --src {shlex.quote(str(path))} --dst {shlex.quote(str(target))} --dst-storage mcap"
    )
    return BagError(f"{path} is {what}, and only the mcap storage is read; convert it with: {command}")


def open_bag(path: Path) -> BinaryIO:
    """A bag's file, to be read at any place; one that is compressed as a whole is decompressed into a temporary file.

    Raises:
        BagError: It cannot be opened, is a bag of another kind (named, with what converts it), or there is no room.
        BagDamagedError: The compressed file is damaged or ends early.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BagError(f"cannot open {path}: {error.strerror}") from error
    try:
        head = file.read(16)
        file.seek(0)
        if head.startswith(_ZSTD):
            return _decompressed(file, path)
        for what, suffixes, magic in _FOREIGN.values():
            if head.startswith(magic):
                raise _foreign(what, path if ".bag" in suffixes else path.parent)
        for magic, (name, command) in _PACKERS.items():
            if head.startswith(magic):
                raise BagError(
                    f"{path} is compressed with {name}, which rosbag2 does not do; decompress it with: "
                    f"{command} {shlex.quote(str(path))}"
                )
        _check_compression(path)
    except BaseException:
        file.close()
        raise
    return file


def _decompressed(file: BinaryIO, path: Path) -> BinaryIO:
    content: BinaryIO = tempfile.TemporaryFile(prefix="hil_serl_bag_")  # noqa: SIM115
    try:
        with file:
            if not _unpack(file, content):
                raise BagDamagedError(path, path.stat().st_size, "the compressed file ends in the middle")
        content.flush()
        content.seek(0)
    except zstandard.ZstdError as error:
        content.close()
        raise BagDamagedError(path, 0, f"it cannot be decompressed ({error})") from error
    except OSError as error:
        content.close()
        raise BagError(
            f"cannot decompress {path} into {tempfile.gettempdir()}: {error.strerror}; name a folder with room in TMPDIR"
        ) from error
    except BaseException:
        content.close()
        raise
    return content


def _unpack(file: BinaryIO, content: BinaryIO) -> bool:
    """Decompress frame after frame; whether the last one is whole."""
    unpacker, whole = zstandard.ZstdDecompressor().decompressobj(), False
    while block := file.read(1 << 20):
        while block:
            content.write(unpacker.decompress(block))
            whole, block = unpacker.eof, unpacker.unused_data
            if whole:
                unpacker = zstandard.ZstdDecompressor().decompressobj()
    return whole


def _check_compression(path: Path) -> None:
    """Refuse messages that a compressor other than zstd made, which a plugin of rosbag2 may add."""
    try:
        beside = yaml.safe_load((path.parent / "metadata.yaml").read_text(encoding="utf-8"))
        information = beside["rosbag2_bagfile_information"]
        mode, kind = str(information["compression_mode"]), str(information["compression_format"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return
    if mode.lower() == "message" and kind not in ("zstd", ""):
        raise BagError(
            f"the messages of {path} are compressed with {kind!r}, and only zstd is read; let rosbag2, with that plugin, "
            f"write them anew with: ros2 bag convert -i {shlex.quote(str(path.parent))} -o OPTIONS.yaml (compression_mode: "
            "none, storage_id: mcap)"
        )


def plain_message(data: bytes) -> bytes:
    """A serialized message as it was before rosbag2 compressed it (``--compression-mode message``); others as they are.

    CDR begins with a zero byte, so that the two cannot be mistaken.

    Raises:
        ValueError: The compressed data are damaged.
    """
    if not data.startswith(_ZSTD):
        return data
    try:
        size = zstandard.frame_content_size(data)
        if size > _LARGEST_MESSAGE:
            raise ValueError(f"a compressed message claims to have {size} bytes")
        return zstandard.ZstdDecompressor().decompress(
            data, max_output_size=_LARGEST_MESSAGE if size < 0 else 0
        )
    except zstandard.ZstdError as error:
        raise ValueError(f"a message cannot be decompressed ({error})") from error
