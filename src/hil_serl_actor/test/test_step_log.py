# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hil_serl_actor.sending.step_log import StepLog
from hil_serl_actor.sending.step_sender import StepSender
from hil_serl_core.step import Source, Step
from hil_serl_ros.bag import BagDamagedError, BagInUseError, BagWriteError, read_messages, read_steps


def step(sequence: int, *, episode: int = 0, last: bool = False, size: int = 8) -> Step:
    """A step whose pixels depend on its sequence number."""
    pixels = np.full((size, size, 3), sequence % 251, np.uint8)
    return Step(
        stamp=1.0 + 0.1 * sequence,
        actor_id="actor",
        sequence=sequence,
        episode=episode,
        step_index=sequence,
        frames={"wrist": pixels},
        state={"gripper": np.array([sequence], np.float32)},
        tcp_poses=np.array([[0, 0, 0, 0, 0, 0, 1.0]]),
        action=None if last else np.zeros(6, np.float32),
        policy_action=None,
        source=Source.NONE if last else Source.POLICY,
        reward=0.0,
        grasp_penalty=0.0,
        is_first=sequence == 0,
        is_last=last,
        is_terminal=False,
        policy_version=0,
        spec_hash="spec",
    )


def sequences(folder: Path) -> list[int]:
    return [item.sequence for item in read_steps(folder)]


def test_empty_log_makes_no_bag(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "actor")
    assert (log.next_sequence, log.next_episode) == (0, 0)
    log.close()
    assert list((tmp_path / "actor").iterdir()) == []


def test_goes_on_after_a_clean_end_in_a_new_bag(tmp_path: Path) -> None:
    for first in (0, 3):
        log = StepLog(tmp_path)
        assert log.next_sequence == first
        assert log.next_episode == first // 3
        for sequence in range(first, first + 3):
            log.append(step(sequence, episode=first // 3, last=sequence % 3 == 2))
        log.close()
        assert log.recovered == []
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*.mcap"))] == [
        "000/000_0.mcap",
        "001/001_0.mcap",
    ]
    assert sequences(tmp_path) == list(range(6))
    assert StepLog(tmp_path).count_transitions() == 4


def test_reads_back_from_anywhere_while_it_is_written(tmp_path: Path) -> None:
    for start in (0, 5):
        log = StepLog(tmp_path)
        for sequence in range(start, start + 5):
            log.append(step(sequence))
            assert [s.sequence for s in log.iter_from(sequence)] == [sequence]
        assert [s.sequence for s in log.iter_from(2)] == list(range(2, start + 5))
        (seventh, *_) = [*islice(log.iter_from(start + 2), 1)]
        assert seventh.frames["wrist"][0, 0, 0] == start + 2
        log.close()
    assert list(log.iter_from(10)) == []


def test_only_the_next_sequence_is_taken(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    log.append(step(0))
    for wrong in (0, 2):
        with pytest.raises(ValueError, match=f"{wrong} appended to a log that goes on at 1"):
            log.append(step(wrong))
    assert log.next_sequence == 1


def test_second_process_is_refused(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    with pytest.raises(BagInUseError, match="another process"):
        StepLog(tmp_path)
    log.close()
    StepLog(tmp_path).close()


def test_missing_bag_is_noticed(tmp_path: Path) -> None:
    for first in (0, 2, 4):
        log = StepLog(tmp_path)
        log.append(step(first))
        log.append(step(first + 1))
        log.close()
    (tmp_path / "001" / "001_0.mcap").unlink()
    for _ in range(2):  # a refusal lets go of the folder
        with pytest.raises(BagDamagedError, match=r"002_0\.mcap.*step 4 where step 2"):
            StepLog(tmp_path)


def test_folder_of_a_bag_that_was_never_begun_is_passed_over(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    log.append(step(0))
    log.close()
    (tmp_path / "001").mkdir()
    log = StepLog(tmp_path)
    log.append(step(1))
    log.close()
    assert sequences(tmp_path) == [0, 1]
    assert (tmp_path / "002" / "002_0.mcap").exists()


def test_full_disk_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = StepLog(tmp_path)
    sender = StepSender(log)
    sender.append(step(0))
    real, room = os.pwrite, [300]

    def small_disk(descriptor: int, data: bytes, offset: int) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = real(descriptor, bytes(data[: room[0]]), offset)
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", small_disk)
        for _ in range(3):
            with pytest.raises(BagWriteError, match=r"000_0\.mcap.*No space left.*free space"):
                sender.append(step(1))
    assert log.next_sequence == 1
    assert [s.sequence for s in sender.due(0.0)] == [0]
    for sequence in (1, 2):
        sender.append(step(sequence))
    log.close()
    assert sequences(tmp_path) == [0, 1, 2]


def test_full_disk_at_the_first_step_can_be_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = StepLog(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(BagWriteError):
            log.append(step(0))
    log.append(step(0))
    log.close()
    assert sequences(tmp_path) == [0]


WRITER = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {test_folder!r})
    from test_step_log import StepLog, step
    log = StepLog({folder!r})
    print("from", log.next_sequence, log.next_episode, flush=True)
    while True:
        log.append(step(log.next_sequence, episode={episode}, size=32))
        print(log.next_sequence - 1, flush=True)
    """
)


def test_killed_at_random_moments_it_keeps_every_step_it_reported(tmp_path: Path) -> None:
    folder = tmp_path / "actor"
    rng = np.random.default_rng(7)
    reported = -1
    for episode in range(6):
        code = WRITER.format(test_folder=str(Path(__file__).parent), folder=str(folder), episode=episode)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            kind, first, next_episode = process.stdout.readline().split()
            assert kind == "from"
            # It may have written one step more than it could still report.
            assert int(first) in (reported + 1, reported + 2)
            assert int(next_episode) == episode
            for _ in range(rng.integers(2, 8)):  # so that a busy machine does not kill it before it began
                reported = int(process.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split("\n")
        reported = max([reported, *(int(line) for line in lines[:-1])])
    log = StepLog(folder)
    assert log.next_sequence in (reported + 1, reported + 2)
    steps = list(read_steps(folder))
    assert [s.sequence for s in steps] == list(range(log.next_sequence))
    assert all((s.frames["wrist"] == s.sequence % 251).all() for s in steps)
    assert reported > 10
    # Finished by recovery: another look finds nothing to do.
    log.close()
    again = StepLog(folder)
    assert again.recovered == []
    again.close()


def test_damage_is_reported_not_repaired(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    for sequence in range(3):
        log.append(step(sequence))
    log.close()
    file = tmp_path / "000" / "000_0.mcap"
    middle = [message.offset for message in read_messages(tmp_path)][1]
    data = bytearray(file.read_bytes())
    data[middle] = 0x63
    file.write_bytes(data)
    with pytest.raises(BagDamagedError, match=rf"000_0\.mcap is damaged at byte {middle}"):
        StepLog(tmp_path)
    assert file.read_bytes() == data
