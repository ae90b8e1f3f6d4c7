# SPDX-License-Identifier: Apache-2.0
"""`hil-serl dataset list` and `check`: what is there, and what is wrong with it."""

import dataclasses
import fcntl

import numpy as np
import pytest
from dataset_bags import changed, episode, hil_serl, small_task, write_run
from rosbags.highlevel import AnyReader

from hil_serl_core.step import Step
from hil_serl_datasets.check import check
from hil_serl_datasets.recordings import find_recordings


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def kinds(path, **options):
    """Kind of each finding to its text."""
    reports = [r for recording in find_recordings([path]) for r in check(recording, **options)]
    return {finding.kind: str(finding) for report in reports for finding in report.findings}


def test_list_tells_task_mode_steps_end_and_share(tmp_path, capsys):
    spec = small_task()
    run = write_run(tmp_path / "run", spec, [episode(spec, 0, 6), episode(spec, 1, 4, end="time_limit")])
    write_run(run, spec, [episode(spec, 0, 5, end="cut")], mode="train")
    code, text, _ = hil_serl(capsys, "dataset", "list", run)
    assert code == 0
    headings = [line for line in text.splitlines() if "run/actor_0" in line]
    assert headings == ["run/actor_0: ram_insertion, record_demos", "run/actor_0: ram_insertion, train"]
    rows = [line for line in text.splitlines() if line.rstrip().endswith("MB")]
    assert len(rows) == 3
    for expected in ("success", "6", "50 %", "0.6 s"):
        assert expected in rows[0]
    assert "time limit" in rows[1]
    assert "cut off" in rows[2]
    assert "60 %" in rows[2]
    assert "3 episodes, 1 successful, 15 steps, 53 % of them by the operator" in text
    _, text, _ = hil_serl(capsys, "dataset", "list", run, "--mode", "train")
    assert "1 episodes, 0 successful" in text


def test_sound_run_is_sound_and_other_readers_agree(tmp_path, capsys):
    spec = small_task()
    run = write_run(tmp_path / "run", spec, [episode(spec, n) for n in range(3)])
    code, text, _ = hil_serl(capsys, "dataset", "check", run)
    assert code == 0
    assert "3 episodes, 18 records, sound" in text
    assert "Nothing is wrong." in text
    with AnyReader([run / "bags/record_demos/actor_0/000"]) as reader:
        (topic,) = reader.topics.items()
        assert (topic[0], topic[1].msgtype, topic[1].msgcount) == ("/step", "hil_serl_msgs/msg/Step", 18)


GOOD = small_task()
NAN = np.full(6, np.nan, np.float32)
SMALL = {camera.name: np.zeros((8, 8, 3), np.uint8) for camera in GOOD.cameras}


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"step_index": 4}, "gap", "step 4: follows step 1, steps between them are missing"),
        ({"stamp": 100.05}, "stamp", "is not after 100.100 s"),
        ({"stamp": 100.29}, "rate", "comes 190 ms after the one before it, 10 Hz"),
        ({"state": {**episode(GOOD, 0)[2].state, "tcp_twist": NAN}}, None, "'tcp_twist' holds NaN"),
        ({"frames": SMALL}, None, "is uint8 (8, 8, 3), the task file says uint8 (16, 16, 3)"),
        ({"frames": {}}, None, "camera 'wrist_1' is missing"),
        ({"spec_hash": "f" * 16}, "hash", f"task spec {'f' * 16}, task 'ram_insertion' has {GOOD.hash}"),
        (
            {"action": np.full(6, 1.5, np.float32)},
            "range",
            "component 0 of the action is 1.5, outside [-1, 1]",
        ),
        ({"action": np.full(6, 1.000005, np.float32)}, "range", "outside [-1, 1]"),
        ({"tcp_poses": np.zeros((1, 7))}, "pose", "the tcp pose is not a pose"),
        ({"is_first": True}, "first", "is marked as the first"),
    ],
)
def test_what_is_wrong_is_named_with_episode_and_step(tmp_path, fields, kind, text):
    run = write_run(tmp_path / "run", GOOD, [changed(episode(GOOD, 0), 2, **fields), episode(GOOD, 1)])
    found = kinds(run)
    assert any(text in finding for finding in found.values()), found
    assert any(finding.startswith("episode 0, step ") for finding in found.values())
    assert kind is None or kind in found


def test_absolute_poses_among_relative_ones_are_seen_where_the_episode_begins(tmp_path, capsys):
    """The tcp stands at x = 0.59 m of the reset pose: nobody's reset reaches so far."""
    far = np.array([0.59, -0.04, 0.33, 3.1, 0.0, 0.0], np.float32)
    absolute = [dataclasses.replace(s, state={**s.state, "tcp_pose": far}) for s in episode(GOOD, 0)]
    run = write_run(tmp_path / "run", GOOD, [absolute, episode(GOOD, 1)])
    found = kinds(run)
    assert set(found) == {"start_pose"}
    assert found["start_pose"].startswith(
        "episode 0, step 0: the episode starts 0.677 m and 3.10 rad from its reset"
    )
    assert "--pose absolute" in found["start_pose"]
    merged = tmp_path / "merged"
    assert hil_serl(capsys, "dataset", "trim", run, "--skip-first", 1, "--output", merged)[0] == 0
    assert set(kinds(merged)) == {"start_pose"}


def test_trimmed_episodes_may_begin_away_from_the_reset_pose(tmp_path, capsys):
    near = np.array([0.08, 0.02, -0.05, 0.2, 0.0, 0.1], np.float32)
    moved = [dataclasses.replace(s, state={**s.state, "tcp_pose": near}) for s in episode(GOOD, 0)[1:]]
    run = write_run(tmp_path / "run", GOOD, [[episode(GOOD, 0)[0], *moved]])
    assert kinds(run) == {}
    trimmed = tmp_path / "trimmed"
    assert hil_serl(capsys, "dataset", "trim", run, "--skip-first", 1, "--output", trimmed)[0] == 0
    assert kinds(trimmed) == {}


def test_episodes_without_begin_or_end(tmp_path):
    beheaded = [dataclasses.replace(s, is_first=False) for s in episode(GOOD, 0)[1:]]
    run = write_run(
        tmp_path / "run", GOOD, [beheaded, episode(GOOD, 1, end="cut"), episode(GOOD, 2, end="cut")]
    )
    found = kinds(run)
    assert set(found) == {"start", "no_end"}
    assert "step 1: the episode starts here" in found["start"]
    assert found["no_end"] == "episode 1: has no end, its last record is step 4 (and 1 more like it)"


def test_records_after_the_end_and_twice_and_missing(tmp_path):
    run = write_run(tmp_path / "run", GOOD, [episode(GOOD, 0)])
    more = episode(GOOD, 0, length=7)[6:]
    write_run(tmp_path / "more", GOOD, [more])
    write_run(tmp_path / "more", GOOD, [episode(GOOD, 1)])
    # the second bag counts from 0 again, as a bag of another actor of the same name would
    (tmp_path / "more/bags/record_demos/actor_0/000").rename(run / "bags/record_demos/actor_0/001")
    found = kinds(run)
    assert {"after_end", "twice"} <= set(found)
    far = [dataclasses.replace(s, sequence=s.step_index + 90) for s in episode(GOOD, 3)]
    from hil_serl_msgs.msg import Step as StepMessage
    from hil_serl_ros import qos
    from hil_serl_ros.bag import BagWriter
    from hil_serl_ros.conversions import step_to_message

    with BagWriter(run / "bags/record_demos/actor_0/002") as bag:
        bag.add_topic("/step", StepMessage, qos.STEP)
        for step in far:
            bag.write("/step", step_to_message(step), round(step.stamp * 1e9), step.sequence)
    assert "to 89 of actor_0 are missing" in kinds(run)["sequence"]


def test_cut_unfinished_damaged_and_empty_bags(tmp_path, capsys):
    run = write_run(tmp_path / "run", GOOD, [episode(GOOD, n) for n in range(3)])
    file = run / "bags/record_demos/actor_0/000/000_0.mcap"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert set(kinds(run)) == {"cut", "no_end"}
    code, text, _ = hil_serl(capsys, "dataset", "check", run)
    assert code == 1
    assert "its writer was stopped in the middle of a record" in text
    assert "1 of 1 bags have faults." in text
    assert "left out" in hil_serl(capsys, "dataset", "list", run)[1]
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    file.write_bytes(broken)
    assert "checksum" in kinds(run)["cut"]
    file.write_bytes(b"no bag at all")
    assert "is not an MCAP file" in kinds(run)["file"]
    assert "empty" in kinds(run)
    file.write_bytes(whole)
    (file.parent / "metadata.yaml").unlink()
    assert set(kinds(run)) == {"metadata"}


def test_bag_that_is_being_written_is_left_alone(tmp_path):
    run = write_run(tmp_path / "run", GOOD, [episode(GOOD, 0)])
    with (run / "bags/record_demos/actor_0/000/000_0.mcap").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert set(kinds(run)) == {"open"}


def test_bag_outside_a_run_folder_takes_the_task_that_is_named(tmp_path, capsys):
    suite = small_task(64)  # as the suite's own file has it
    run = write_run(tmp_path / "run", suite, [episode(suite, 0, 2)])
    bag = (run / "bags/record_demos/actor_0/000").rename(tmp_path / "bag")
    assert "ram_insertion" in hil_serl(capsys, "dataset", "list", bag)[1]  # by its hash
    assert kinds(bag) == {}
    found = kinds(bag, named=GOOD)
    assert "hash" in found
    assert any("(64, 64, 3), the task file says uint8 (16, 16, 3)" in text for text in found.values())
    code, text, _ = hil_serl(capsys, "dataset", "check", bag, "--task", "ram_insertion")
    assert code == 1  # the real cell's file
    assert "128" in text
    assert hil_serl(capsys, "dataset", "check", bag, "--task", "ram_insertion", "--twin")[0] == 0


@pytest.mark.parametrize("command", ["list", "check"])
def test_bad_paths_are_named(tmp_path, capsys, command):
    for arguments, message in (
        ([tmp_path / "nowhere"], "nowhere does not exist"),
        ([tmp_path], "no .mcap file below"),
        ([], "name a run folder"),
    ):
        code, _, error = hil_serl(capsys, "dataset", command, *arguments)
        assert code == 2
        assert message in error
    run = write_run(tmp_path / "run", GOOD, [episode(GOOD, 0)])
    code, _, error = hil_serl(capsys, "dataset", command, run, "--mode", "eval")
    assert code == 2
    assert "has no bags of mode eval; it has record_demos" in error


def test_a_record_that_contradicts_itself_is_a_finding(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", GOOD, [episode(GOOD, 0)])
    from hil_serl_datasets import check as module
    from hil_serl_ros.bag import BagDamagedError

    real = module.step_of

    def contradicts(message) -> Step:
        step = real(message)
        if step.step_index == 3:
            raise BagDamagedError(message.path, message.offset, "action: 0 numbers although is_last is False")
        return step

    monkeypatch.setattr(module, "step_of", contradicts)
    found = kinds(run)
    assert "action: 0 numbers although is_last is False" in found["record"]
    assert "gap" in found
