# SPDX-License-Identifier: Apache-2.0
"""A closed bag is indexed by chunks, while an open one loses nothing to a kill at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from mcap.opcode import Opcode
from mcap.reader import SeekingReader, make_reader
from mcap.records import Channel, Chunk, MessageIndex, Schema
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Joy

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagDamagedError, BagWriter, read_messages, read_steps, recover_bag
from hil_serl_ros.bag.chunk import HEAD_SIZE, OPEN_CHUNK
from hil_serl_ros.bag.reader import read_message_at
from hil_serl_ros.bag.scan import RecordScanner
from hil_serl_ros.conversions import step_to_message


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two or three steps a chunk."""
    monkeypatch.setattr("hil_serl_ros.bag.writer.CHUNK_SIZE", 1500)


@pytest.fixture
def two_topics(tmp_path: Path, make_step: Callable) -> BagWriter:
    """Twelve steps and a joystick that is declared when chunks are there already; still open."""
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/step", StepMessage, qos.STEP)
    for k in range(12):
        if k == 5:
            writer.add_topic("/spacenav/joy", Joy, qos.OPERATOR)
        writer.write("/step", step_to_message(make_step(k)), 10**9 + k * 10**8)
        if k >= 5:
            writer.write("/spacenav/joy", Joy(axes=[0.1 * k], buttons=[]), 10**9 + k * 10**8 + 1)
    return writer


def test_a_reader_that_needs_the_index_finds_every_message(two_topics: BagWriter) -> None:
    two_topics.close()
    with two_topics.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert isinstance(reader, SeekingReader)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert len(summary.chunk_indexes) == summary.statistics.chunk_count > 3
        found = [(channel.topic, m.log_time, m.sequence) for _, channel, m in reader.iter_messages()]
        assert [t for topic, t, _ in found if topic == "/step"] == [10**9 + k * 10**8 for k in range(12)]
        assert [s for topic, _, s in found if topic == "/spacenav/joy"] == list(range(7))
        assert [t for _, t, _ in found] == sorted(t for _, t, _ in found)
        backwards = reader.iter_messages(topics=["/step"], reverse=True)
        assert next(iter(backwards))[2].log_time == 10**9 + 11 * 10**8


def test_every_entry_of_the_indexes_points_at_its_record(two_topics: BagWriter) -> None:
    two_topics.close()
    data = two_topics.path.read_bytes()
    with two_topics.path.open("rb") as file:
        summary = make_reader(file).get_summary()
        assert summary is not None
        file.seek(0)
        in_file = list(StreamReader(file, emit_chunks=True, validate_crcs=True).records)
    assert sum(isinstance(record, Chunk) for record in in_file) == len(summary.chunk_indexes)
    messages = 0
    for chunk in summary.chunk_indexes:
        assert data[chunk.chunk_start_offset] == Opcode.CHUNK
        after = chunk.chunk_start_offset + chunk.chunk_length
        assert set(chunk.message_index_offsets.values()) <= set(
            range(after, after + chunk.message_index_length)
        )
        for channel, at in chunk.message_index_offsets.items():
            assert data[at] == Opcode.MESSAGE_INDEX
            assert int.from_bytes(data[at + 9 : at + 11], "little") == channel
    for index, chunk in zip(
        [i for i in in_file if isinstance(i, MessageIndex)],
        [c for c in summary.chunk_indexes for _ in c.message_index_offsets],
        strict=True,
    ):
        for time, offset in index.records:
            at = chunk.chunk_start_offset + HEAD_SIZE + offset
            assert data[at] == Opcode.MESSAGE
            assert int.from_bytes(data[at + 9 : at + 11], "little") == index.channel_id
            assert int.from_bytes(data[at + 15 : at + 23], "little") == time
            assert chunk.message_start_time <= time <= chunk.message_end_time
            messages += 1
    assert messages == 19


def test_rosbags_reads_the_indexed_bag_and_messages_stay_where_they_were_written(
    tmp_path: Path, make_step: Callable
) -> None:
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/step", StepMessage, qos.STEP)
    offsets = [writer.write("/step", step_to_message(make_step(k)), k, k) for k in range(9)]
    with writer.path.open("rb") as file:
        open_data = [read_message_at(file, writer.path, offset) for offset in offsets]
    writer.close()
    with AnyReader([tmp_path / "bag"]) as reader:
        assert [bytes(raw) for _, _, raw in reader.messages()] == open_data
    assert [message.offset for message in read_messages(writer.path)] == offsets
    with writer.path.open("rb") as file:
        assert [read_message_at(file, writer.path, offset) for offset in offsets] == open_data


def test_heads_never_lie_across_two_sectors(two_topics: BagWriter) -> None:
    two_topics.close()
    with two_topics.path.open("rb") as file:
        heads = [r.offset for r in RecordScanner(file, two_topics.path) if r.opcode == Opcode.CHUNK]
    assert len(heads) > 3
    assert all(offset // 512 == (offset + HEAD_SIZE - 1) // 512 for offset in heads)


def test_killed_at_any_moment_nothing_is_lost_and_recovery_makes_the_same_bag(
    tmp_path: Path, two_topics: BagWriter
) -> None:
    """Cut anywhere, with the head of the last chunk in place or not: whole messages are there, before and after."""
    opened = two_topics.path.read_bytes()
    with two_topics.path.open("rb") as file:
        scanned = list(RecordScanner(file, two_topics.path))
    ends = [s.end for s in scanned if s.record and not isinstance(s.record, (Schema, Channel))][1:]
    assert len(ends) == 19
    two_topics.close()
    closed = two_topics.path.read_bytes()
    step = 37
    path = tmp_path / "again" / "bag" / "bag_0.mcap"
    path.parent.mkdir(parents=True)
    for whole, cuts in (
        (opened, range(ends[0], len(opened) + 1, step)),
        (closed, range(ends[-1], len(closed), step)),
    ):
        for cut in cuts:
            path.write_bytes(whole[:cut])
            expected = sum(end <= cut for end in ends)
            assert sum(1 for _ in read_messages(path, on_problem=lambda _: None)) == expected, cut
            recovery = recover_bag(path)
            assert (recovery.messages, recovery.was_finished) == (expected, False), cut
            if expected == 19:
                assert path.read_bytes() == closed
            with path.open("rb") as file:
                reader = make_reader(file, validate_crcs=True)
                assert sum(1 for _ in reader.iter_messages()) == expected, cut
            (path.parent / "metadata.yaml").unlink()


def test_a_recovered_bag_of_many_chunks_equals_a_closed_one(tmp_path: Path, write_bag: Callable) -> None:
    closed = write_bag(tmp_path / "a" / "bag", 20)
    killed = write_bag(tmp_path / "b" / "bag", 20, close=False)
    recover_bag(killed.folder)
    assert killed.path.read_bytes() == closed.path.read_bytes()


def test_a_head_that_a_power_cut_took_away_is_put_in_place_again(tmp_path: Path, write_bag: Callable) -> None:
    path = write_bag(tmp_path / "bag", 12, close=False).path
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        first = next(r.offset for r in RecordScanner(file, path) if r.opcode == Opcode.CHUNK)
    data[first : first + HEAD_SIZE] = (
        bytes([OPEN_CHUNK]) + (HEAD_SIZE - 9).to_bytes(8, "little") + bytes(HEAD_SIZE - 9)
    )
    path.write_bytes(data)
    assert [s.sequence for s in read_steps(path)] == list(range(12))
    recover_bag(path)
    assert path.read_bytes() == write_bag(tmp_path / "whole" / "bag", 12).path.read_bytes()


@pytest.mark.parametrize("at", [1, 3, 25, 33, 41])
def test_a_damaged_head_of_a_chunk_is_damage_not_a_cut(tmp_path: Path, write_bag: Callable, at: int) -> None:
    """Its length, size, checksum, compression: a recovery that took it for a cut would throw the rest away."""
    path = write_bag(tmp_path / "bag", 12).path
    with path.open("rb") as file:
        heads = [r.offset for r in RecordScanner(file, path) if r.opcode == Opcode.CHUNK]
    data = bytearray(path.read_bytes())
    data[heads[1] + at] ^= 0x15
    path.write_bytes(data)
    with pytest.raises(BagDamagedError):
        list(read_steps(path))
    before = path.read_bytes()
    with pytest.raises(BagDamagedError):
        recover_bag(path)
    assert path.read_bytes() == before


WRITER = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {test_folder!r})
    from conftest import build_step, qos, BagWriter, StepMessage, step_to_message
    writer = BagWriter({folder!r})
    writer.add_topic("/step", StepMessage, qos.STEP)
    for sequence in range(100_000):
        writer.write("/step", step_to_message(build_step(sequence, size=64)), sequence, sequence)
        print(sequence, flush=True)
    """
)


def test_kill_9_of_a_writing_process(tmp_path: Path) -> None:
    """What the process said to be written is there, in chunks of the usual size too."""
    code = WRITER.format(test_folder=str(Path(__file__).parent), folder=str(tmp_path / "bag"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last >= 150:
            os.kill(process.pid, signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    process.wait(timeout=PATIENCE)
    last = int(rest[-1]) if rest and rest[-1].isdigit() else last
    found = [step.sequence for step in read_steps(tmp_path / "bag", on_problem=lambda _: None)]
    assert found == list(range(len(found)))
    assert len(found) > last
    recover_bag(tmp_path / "bag")
    with (tmp_path / "bag" / "bag_0.mcap").open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    assert len(summary.chunk_indexes) > 2
    assert summary.statistics is not None
    assert summary.statistics.message_count == len(found)
