# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriteError, BagWriter, read_steps, recover_bag
from hil_serl_ros.conversions import step_to_message


class SmallDisk:
    """Replaces ``os.pwrite``: a file takes bytes up to ``room``, a write that reaches it is taken in part."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.pwrite

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        if offset >= self.room:
            raise OSError(28, "No space left on device")
        return self._write(descriptor, bytes(data[: self.room - offset]), offset)

    def insist(self, action: Callable[[], object]) -> int:
        """Try twice with the room there is, then with ever more; how often it was refused."""
        for attempt in range(10):
            try:
                action()
            except BagWriteError:
                self.room += 1000 if attempt else 0
            else:
                return attempt
        pytest.fail("refused with enough room")


def test_full_disk_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, make_step: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the room, each message fits, or is refused and can be tried again."""
    for number, room in enumerate(range(100, 10_000, 331)):
        disk = SmallDisk(room)
        monkeypatch.setattr(os, "pwrite", disk.pwrite)
        writer = BagWriter(tmp_path / f"{number:03d}")
        refused = disk.insist(partial(writer.add_topic, "/step", StepMessage, qos.STEP))
        for sequence in range(8):
            message = step_to_message(make_step(sequence))
            refused += disk.insist(partial(writer.write, "/step", message, sequence, sequence))
            assert writer.path.stat().st_size == writer.size
        refused += disk.insist(writer.close)
        monkeypatch.undo()
        assert refused > 0
        assert [s.sequence for s in read_steps(writer.path)] == list(range(8))
        assert recover_bag(writer.folder).was_finished


def test_refusal_names_file_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = BagWriter(tmp_path / "bag")
    monkeypatch.setattr(os, "pwrite", SmallDisk(writer.size).pwrite)
    with pytest.raises(
        BagWriteError, match=r"cannot write .*bag_0\.mcap: No space left.*free space.*try again"
    ):
        writer.add_topic("/step", StepMessage, qos.STEP)


def test_no_room_for_the_end_leaves_a_bag_to_be_closed_later(
    tmp_path: Path, write_bag: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = write_bag(tmp_path / "a" / "bag", 3)
    writer = BagWriter(tmp_path / "b" / "bag")
    writer.add_topic("/step", StepMessage, qos.STEP)
    for message in list(read_steps(reference.path)):
        writer.write("/step", step_to_message(message), round(message.stamp * 1e9), message.sequence)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", SmallDisk(writer.size + 200).pwrite)
        with pytest.raises(BagWriteError):
            writer.close()
    assert writer.path.stat().st_size == writer.size
    writer.close()
    writer.close()
    assert writer.path.read_bytes() == reference.path.read_bytes()


def test_closing_that_fails_late_can_be_repeated(
    tmp_path: Path, write_bag: Callable, make_step: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is in the file but ``metadata.yaml`` does not fit: more steps, or another close, may follow."""
    reference = write_bag(tmp_path / "a" / "bag", 2)
    writer = BagWriter(tmp_path / "b" / "bag")
    writer.add_topic("/step", StepMessage, qos.STEP)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for sequence in range(2):
        step = make_step(sequence)
        writer.write("/step", step_to_message(step), round(step.stamp * 1e9), sequence)
        with monkeypatch.context() as patch:
            patch.setattr("hil_serl_ros.bag.writer.write_metadata", full)
            with pytest.raises(BagWriteError):
                writer.close()
    writer.close()
    assert writer.path.read_bytes() == reference.path.read_bytes()


def test_no_room_at_all_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", SmallDisk(5).pwrite)
        with pytest.raises(BagWriteError):
            BagWriter(tmp_path / "bag")
    assert list(tmp_path.iterdir()) == []
    BagWriter(tmp_path / "bag").close()


LIMITED = textwrap.dedent(
    """
    import json, resource, sys
    sys.path.insert(0, {test_folder!r})
    from conftest import build_step, qos, BagWriter, StepMessage, step_to_message
    from hil_serl_ros.bag import BagWriteError

    writer = BagWriter({folder!r})
    writer.add_topic("/step", StepMessage, qos.STEP)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    refused = []
    for sequence in range(40):
        message = step_to_message(build_step(sequence, size=16))
        try:
            writer.write("/step", message, sequence, sequence)
        except BagWriteError as error:
            refused.append((sequence, str(error)))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            writer.write("/step", message, sequence, sequence)
    print(json.dumps(refused), flush=True)
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


def test_limit_of_a_real_file_system_then_a_kill(tmp_path: Path) -> None:
    """The kernel refuses a write half way (EFBIG); after the retry nothing is lost, even when killed then."""
    folder = tmp_path / "bag"
    code = LIMITED.format(test_folder=str(Path(__file__).parent), folder=str(folder))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == -9, result.stderr
    ((sequence, text),) = json.loads(result.stdout)
    assert 0 < sequence < 40
    assert "File too large" in text
    assert recover_bag(folder).dropped_bytes == 0
    assert [s.sequence for s in read_steps(folder)] == list(range(40))
