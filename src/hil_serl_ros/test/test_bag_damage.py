# SPDX-License-Identifier: Apache-2.0
"""Files cut short are tolerated, damage is refused, neither is ever passed over in silence."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hil_serl_ros.bag import (
    BagDamagedError,
    BagError,
    BagInUseError,
    BagWriter,
    read_messages,
    read_steps,
    recover_all,
    recover_bag,
)


@pytest.fixture
def unfinished(tmp_path: Path, write_bag: Callable) -> tuple[Path, list[int]]:
    """A bag of four steps as a killed writer leaves it, and where its messages start."""
    path = write_bag(tmp_path / "bag", 4, close=False).path
    return path, [message.offset for message in read_messages(path)]


@pytest.fixture
def finished(tmp_path: Path, write_bag: Callable) -> tuple[Path, list[int]]:
    path = write_bag(tmp_path / "bag", 4).path
    return path, [message.offset for message in read_messages(path)]


def test_unfinished_bag_reads_whole(unfinished: tuple[Path, list[int]]) -> None:
    problems: list = []
    assert [s.sequence for s in read_steps(unfinished[0], on_problem=problems.append)] == [0, 1, 2, 3]
    assert problems == []


@pytest.mark.parametrize("cut", [0, 5, 40, 1000])
def test_a_bag_that_grows_while_it_is_read_is_not_damaged(
    unfinished: tuple[Path, list[int]], cut: int
) -> None:
    path, offsets = unfinished
    whole = path.read_bytes()
    path.write_bytes(whole[: offsets[1] + cut])
    steps = read_steps(path, on_problem=lambda problem: None)
    first = next(steps)  # now the size is known
    path.write_bytes(whole)
    expected = [i for i, end in enumerate(offsets[1:]) if end <= offsets[1] + cut]
    assert [first.sequence, *(s.sequence for s in steps)] == expected


def test_every_possible_cut_is_read_and_recovered(unfinished: tuple[Path, list[int]]) -> None:
    """Wherever it is cut, the whole messages are there, before and after recovery."""
    path, offsets = unfinished
    whole = path.read_bytes()
    ends = [*offsets[1:], len(whole)]
    head = [*range(0, 40, 3), *range(40, offsets[0], 997)]
    cuts = [*head, *range(offsets[0], len(whole), 61), *offsets, *ends]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        expected = [i for i, end in enumerate(ends) if end <= cut]
        problems: list = []
        assert [s.sequence for s in read_steps(path, on_problem=problems.append)] == expected, cut
        boundary = cut in (0, 8, *offsets, *ends)
        if cut >= offsets[0]:
            start = max(o for o in [*offsets, len(whole)] if o <= cut)
            assert [p.dropped_bytes for p in problems] == ([] if boundary else [cut - start]), cut
        recovery = recover_bag(path)
        assert recovery.messages == len(expected)
        assert not recovery.was_finished
        assert [s.sequence for s in read_steps(path, on_problem=pytest.fail)] == expected
        finished = path.read_bytes()
        assert recover_bag(path).was_finished
        assert path.read_bytes() == finished


def test_recovered_bag_equals_one_that_was_closed(tmp_path: Path, write_bag: Callable) -> None:
    closed = write_bag(tmp_path / "a" / "bag", 5)
    killed = write_bag(tmp_path / "b" / "bag", 5, close=False)
    recover_bag(killed.folder)
    assert killed.path.read_bytes() == closed.path.read_bytes()
    assert (killed.folder / "metadata.yaml").read_text() == (closed.folder / "metadata.yaml").read_text()


def test_recovery_killed_at_any_moment_can_be_repeated(finished: tuple[Path, list[int]]) -> None:
    path, _ = finished
    whole = path.read_bytes()
    end_of_messages = whole.index(b"rosbag2") - 9 - 4  # metadata record: opcode, length, length of its name
    for cut in [*range(end_of_messages, len(whole), 499), *range(len(whole) - 40, len(whole), 5)]:
        path.write_bytes(whole[:cut])
        assert [s.sequence for s in read_steps(path, on_problem=lambda _: None)] == [0, 1, 2, 3], cut
        assert recover_bag(path).messages == 4
        assert path.read_bytes() == whole, cut


def test_zeros_of_a_power_cut_are_a_torn_tail(unfinished: tuple[Path, list[int]]) -> None:
    path, _ = unfinished
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(5000))
    (problem,) = _problems(path)
    assert (problem.offset, problem.dropped_bytes) == (size, 5000)
    assert recover_bag(path).dropped_bytes == 5000


def test_lost_metadata_is_written_again(finished: tuple[Path, list[int]]) -> None:
    metadata = finished[0].parent / "metadata.yaml"
    text = metadata.read_text()
    metadata.unlink()
    assert recover_bag(finished[0]).was_finished
    assert metadata.read_text() == text


def test_bag_being_written_is_left_alone(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag"), pytest.raises(BagInUseError, match=r"bag_0\.mcap is being written"):
        recover_bag(tmp_path / "bag")


def test_all_bags_below_a_folder_are_recovered(tmp_path: Path, write_bag: Callable) -> None:
    write_bag(tmp_path / "run" / "000", 3, close=False)
    write_bag(tmp_path / "run" / "001", 2, first=3)
    assert [(r.messages, r.was_finished) for r in recover_all(tmp_path)] == [(3, False), (2, True)]


def _problems(path: Path) -> list:
    problems: list = []
    list(read_steps(path, on_problem=problems.append))
    return problems


def _flip(path: Path, offset: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    assert data[offset] != value
    data[offset] = value
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0x63),  # opcode: unknown
        (3, 0x01),  # length: beyond the end of the file
        (1, 0x20),  # length: too short, the next "record" starts inside this one
        (9, 0x07),  # channel: unknown
    ],
)
@pytest.mark.parametrize("state", ["unfinished", "finished"])
def test_damage_in_the_middle_is_named_and_what_is_before_can_be_kept(
    at: int, value: int, state: str, request: pytest.FixtureRequest
) -> None:
    path, offsets = request.getfixturevalue(state)
    _flip(path, offsets[2] + at, value)
    delivered = []
    with pytest.raises(
        BagDamagedError, match=rf"{path.name} is damaged at byte \d+.*keep_before_damage"
    ) as caught:
        delivered.extend(read_steps(path))
    assert delivered == []  # a refused file is not half used
    assert caught.value.offset >= offsets[2]
    problems: list = []
    kept = [s.sequence for s in read_steps(path, keep_before_damage=True, on_problem=problems.append)]
    assert kept[:2] == [0, 1]
    assert len(kept) == 2 or at == 1
    (problem,) = problems
    assert problem.dropped_bytes > 0
    before = path.read_bytes()
    with pytest.raises(BagDamagedError):
        recover_bag(path)
    assert path.read_bytes() == before


def test_flipped_pixel_in_a_finished_bag_fails_its_checksum(finished: tuple[Path, list[int]]) -> None:
    path, offsets = finished
    data = path.read_bytes()
    pixel = data.index(b"wrist_2", offsets[1]) + 40
    _flip(path, pixel, data[pixel] ^ 0x10)
    with pytest.raises(BagDamagedError, match=r"checksum"):
        next(read_steps(path))


def test_message_that_contradicts_itself_names_file_and_offset(unfinished: tuple[Path, list[int]]) -> None:
    path, offsets = unfinished
    data = path.read_bytes()
    at = data.index(b"wrist_2\0", offsets[1]) + 8  # height of the second frame, 4
    _flip(path, at, 5)
    with pytest.raises(
        BagDamagedError, match=rf"byte {offsets[1]}: frames\[wrist_2\]: 48 bytes of data for 4 x 5"
    ):
        list(read_steps(path))


def test_no_damage_is_more_than_a_bag_error(unfinished: tuple[Path, list[int]]) -> None:
    """Bytes changed at random: steps or a BagError, no other exception."""
    path, offsets = unfinished
    whole = path.read_bytes()
    rng = random.Random(3)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 2, 20])):
            start = 0 if rng.random() < 0.3 else offsets[0]
            data[rng.randrange(start, len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            list(read_steps(path, on_problem=lambda _: None))
        except BagError:
            refused += 1
        try:
            assert len(list(read_steps(path, keep_before_damage=True, on_problem=lambda _: None))) <= 4
        except BagDamagedError:
            pytest.fail("damage raised although what is before it was asked for")
        except BagError:  # no MCAP file at all, or of another definition
            pass
    assert refused > 50


def test_dark_images_in_a_torn_tail_are_not_taken_for_messages(tmp_path: Path, make_step: Callable) -> None:
    """Dim pixels look like record heads; a cut inside them is still a cut."""
    import numpy as np

    from hil_serl_msgs.msg import Step as StepMessage
    from hil_serl_ros import qos
    from hil_serl_ros.conversions import step_to_message

    rng = np.random.default_rng(0)
    dim = rng.choice(np.array([0, 0, 0, 0, 1, 5, 30], np.uint8), (64, 64, 3))
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/step", StepMessage, qos.STEP)
    for sequence in range(2):
        step = make_step(sequence, stamp=0.1 * sequence, frames={"wrist": dim})
        writer.write("/step", step_to_message(step), sequence, sequence)
    writer.abandon()
    whole = writer.path.read_bytes()
    for cut in range(1, 12_000, 501):
        writer.path.write_bytes(whole[:-cut])
        assert [s.sequence for s in read_steps(writer.path, on_problem=lambda _: None)] == [0]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.mcap").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    with pytest.raises(BagError, match=r"picture\.mcap is not an MCAP file"):
        list(read_steps(tmp_path))
    with pytest.raises(BagError, match="does not exist"):
        list(read_steps(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match=r"no \.mcap file below"):
        list(read_steps(tmp_path / "empty"))
