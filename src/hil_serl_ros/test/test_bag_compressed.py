# SPDX-License-Identifier: Apache-2.0
"""Bags as ``ros2 bag record`` compresses them are read; bags of other kinds are named with what converts them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros.bag import (
    STEP_TYPE,
    BagDamagedError,
    BagError,
    find_bag_files,
    read_messages,
    read_steps,
    recover_all,
    recover_bag,
)
from hil_serl_ros.bag.definitions import full_text, same_definition, type_hash
from hil_serl_ros.conversions import step_to_message


def recorded(folder: Path, make_step: Callable, mode: str = "none", storage: str = "mcap") -> Path:
    """Twelve steps as rosbag2 lays them down, written by an independent implementation of its format."""
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(full_text(STEP_TYPE), STEP_TYPE))
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = RosbagsWriter(folder, version=9, storage_plugin=plugin)
    if mode != "none":
        writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/step", STEP_TYPE, typestore=types)
        for k in range(12):
            writer.write(connection, 10**9 + k, serialize_message(step_to_message(make_step(k))))
    return folder


@pytest.mark.parametrize("mode", ["none", "message", "file", "storage"])
def test_every_way_of_rosbag2_to_compress_is_read(
    tmp_path: Path, make_step: Callable, same_step: Callable, mode: str
) -> None:
    folder = recorded(tmp_path / "theirs", make_step, mode)
    for path in (folder, next(file for file in folder.iterdir() if ".mcap" in file.name)):
        steps = list(read_steps(path, on_problem=pytest.fail))
        assert [step.sequence for step in steps] == list(range(12))
        same_step(steps[7], make_step(7))
    assert [m.type_name for m in read_messages(folder)] == [STEP_TYPE] * 12


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD, CompressionType.NONE])
def test_compressed_chunks_are_read(
    tmp_path: Path, make_step: Callable, compression: CompressionType
) -> None:
    path = tmp_path / "chunked.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=4096, compression=compression)
        writer.start(profile="ros2", library="libmcap")
        schema = writer.register_schema(STEP_TYPE, "ros2msg", full_text(STEP_TYPE).encode())
        channel = writer.register_channel("/step", "cdr", schema, {"topic_type_hash": type_hash(STEP_TYPE)})
        for k in range(30):
            data = serialize_message(step_to_message(make_step(k)))
            writer.add_message(channel, k, data, k)
        writer.finish()
    assert [step.sequence for step in read_steps(path)] == list(range(30))


def test_a_file_is_read_once_where_its_content_lies_beside_it(tmp_path: Path, make_step: Callable) -> None:
    """'ros2 bag play' leaves the decompressed file there."""
    folder = recorded(tmp_path / "theirs", make_step, "file")
    (packed,) = find_bag_files(folder)
    assert packed.name == "theirs.mcap.zstd"
    packed.with_suffix("").write_bytes(zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read())
    assert [file.name for file in find_bag_files(folder)] == ["theirs.mcap"]
    assert len(list(read_steps(folder))) == 12


def test_damaged_compressed_bags_are_named(tmp_path: Path, make_step: Callable) -> None:
    (packed,) = find_bag_files(recorded(tmp_path / "file", make_step, "file"))
    whole = packed.read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2):
        packed.write_bytes(whole[:cut])
        with pytest.raises(BagDamagedError, match=r"file\.mcap\.zstd is damaged.*ends in the middle"):
            list(read_steps(packed))
    damaged = bytearray(whole)
    damaged[6:40] = b"\xff" * 34
    packed.write_bytes(damaged)
    with pytest.raises(BagDamagedError, match=r"file\.mcap\.zstd is damaged"):
        list(read_steps(packed))
    problems: list = []
    assert list(read_steps(packed, keep_before_damage=True, on_problem=problems.append)) == []
    assert len(problems) == 1
    (single,) = find_bag_files(recorded(tmp_path / "message", make_step, "message"))
    data = bytearray(single.read_bytes())
    at = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)
    data[at + 30 : at + 60] = bytes(30)
    single.write_bytes(data)
    with pytest.raises(BagDamagedError, match=r"cannot be decompressed|not a hil_serl_msgs"):
        list(read_steps(single))


def test_compressed_files_are_not_recovered(tmp_path: Path, make_step: Callable) -> None:
    folder = recorded(tmp_path / "theirs", make_step, "file")
    assert recover_all(folder) == []
    with pytest.raises(BagError, match="nothing to recover"):
        recover_bag(folder)


@pytest.mark.parametrize("mode", ["none", "message", "file"])
def test_sqlite_bags_are_named_and_the_command_that_is_said_converts_them(
    tmp_path: Path, make_step: Callable, mode: str
) -> None:
    folder = recorded(tmp_path / "my bag", make_step, mode, "sqlite3")
    with pytest.raises(
        BagError, match=r"my bag is a bag in the sqlite3 storage.*rosbags-convert --src"
    ) as caught:
        list(read_steps(folder))
    command = shlex.split(str(caught.value).split("convert it with: ")[1])
    program = Path(sys.executable).with_name(command[0])
    subprocess.run([program, *command[1:]], check=True, timeout=PATIENCE)
    assert [step.sequence for step in read_steps(tmp_path / "my bag_mcap")] == list(range(12))


def test_what_else_may_lie_there_is_named(tmp_path: Path, make_step: Callable) -> None:
    database = next(recorded(tmp_path / "lite", make_step, "none", "sqlite3").glob("*.db3"))
    with pytest.raises(BagError, match="lite is a bag in the sqlite3 storage"):
        list(read_steps(database))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    for path in (tmp_path / "one", tmp_path / "one" / "old.bag"):
        with pytest.raises(BagError, match=r"old\.bag is a bag of ROS 1.*rosbags-convert"):
            list(read_steps(path))
    (tmp_path / "a.mcap").write_bytes(b"\x1f\x8b" + bytes(40))
    with pytest.raises(BagError, match=r"compressed with gzip.*gunzip .*a\.mcap"):
        list(read_steps(tmp_path / "a.mcap"))


def test_a_definition_that_was_written_anew_is_the_same_and_another_is_not() -> None:
    installed = full_text(STEP_TYPE)
    assert "#" in installed
    head, *parts = installed.split("\n" + "=" * 80 + "\n")
    bare = ["\n".join(line.split("#")[0].rstrip() for line in part.splitlines()) for part in (head, *parts)]
    anew = ("\n" + "=" * 80 + "\n").join([bare[0], *reversed(bare[1:])])
    assert same_definition(anew, installed, STEP_TYPE)
    assert not same_definition(anew.replace("float64 x", "float32 x", 1), installed, STEP_TYPE)
    assert not same_definition(anew + "uint8 more\n", installed, STEP_TYPE)


def test_a_compressor_of_a_plugin_is_named(tmp_path: Path, make_step: Callable) -> None:
    folder = recorded(tmp_path / "theirs", make_step)
    metadata = folder / "metadata.yaml"
    text = metadata.read_text()
    text = text.replace("compression_mode: ''", "compression_mode: MESSAGE")
    metadata.write_text(text.replace("compression_format: ''", "compression_format: brotli"))
    with pytest.raises(BagError, match=r"compressed with 'brotli'.*ros2 bag convert"):
        list(read_steps(folder))
