# SPDX-License-Identifier: Apache-2.0
"""`hil-serl dataset trim`, `relabel` and `merge`: new recordings, the old ones untouched."""

import dataclasses

import numpy as np
import pytest
from dataset_bags import episode, files_below, hil_serl, small_task, write_run
from rosbags.highlevel import AnyReader

from hil_serl_cli.running import phases
from hil_serl_core.rewards.labels import Label, read_labels, write_labels
from hil_serl_core.spec import task_from_dict
from hil_serl_core.step import Source
from hil_serl_datasets.check import check
from hil_serl_datasets.recordings import find_recordings
from hil_serl_ros.bag import BagWriteError, BagWriter, read_steps
from hil_serl_runs.recorded import episodes_of
from hil_serl_runs.run_folder import RunFolder

SPEC = small_task()
DEMOS = "bags/record_demos"


def steps_of(run, mode="record_demos"):
    return list(read_steps(run / "bags" / mode))


def assert_sound(run):
    assert [f for r in find_recordings([run]) for report in check(r) for f in report.findings] == []


@pytest.fixture
def run(tmp_path):
    episodes = [
        episode(SPEC, 0),
        episode(SPEC, 1, end="time_limit"),
        episode(SPEC, 2),
        episode(SPEC, 3, end="cut"),
    ]
    return write_run(tmp_path / "run", SPEC, episodes)


def test_trim_keeps_what_is_named_and_changes_no_original(tmp_path, run, capsys):
    before = files_below(run)
    output = tmp_path / "new"
    code, text, _ = hil_serl(capsys, "dataset", "trim", run, "--output", output, "--drop", "1", "3")
    assert code == 0
    assert f"2 episodes, 12 records: {output}" in text
    assert files_below(run) == before
    assert_sound(output)
    old, new = steps_of(run), steps_of(output)
    kept = [s for s in old if s.episode in (0, 2)]
    assert [s.sequence for s in new] == list(range(12))
    assert [s.episode for s in new] == [0] * 6 + [1] * 6
    for one, other in zip(kept, new, strict=True):
        assert one.stamp == other.stamp
        assert all(np.array_equal(one.frames[name], other.frames[name]) for name in one.frames)
        assert (one.action is None) == (other.action is None)
        assert one.action is None or np.array_equal(one.action, other.action)
    # (actor_id, sequence) names a record for ever, and these are other records
    assert {s.actor_id for s in new}.isdisjoint({s.actor_id for s in old})
    with AnyReader([output / DEMOS / "actor_0/000"]) as reader:
        assert reader.topics["/step"].msgcount == 12


def test_trimmed_run_serves_as_demonstrations(tmp_path, run, capsys):
    output = tmp_path / "new"
    assert hil_serl(capsys, "dataset", "trim", run, "--output", output, "--only", "success")[0] == 0
    target = RunFolder.create(SPEC, 1, "train", path=tmp_path / "train")
    phases.share_demonstrations(RunFolder.open(output), target)
    assert len(steps_of(target.path)) == 12
    # a run that links to them has them too
    (recording,) = find_recordings([target.path])
    assert recording.name == "record_demos/actor_0"


def test_trim_cuts_begin_and_end(tmp_path, run, capsys):
    output = tmp_path / "new"
    arguments = ("--keep", "0-1", "--skip-first", "1", "--skip-last", "2", "--as-mode", "train")
    assert hil_serl(capsys, "dataset", "trim", run, "--output", output, *arguments)[0] == 0
    assert_sound(output)
    new = steps_of(output, "train")
    assert [s.step_index for s in new] == [0, 1, 2, 0, 1, 2]
    first, last = new[0], new[2]
    assert first.is_first
    assert first.stamp == pytest.approx(100.1)
    assert (last.is_last, last.is_terminal, last.reward, last.action) == (True, False, 0.0, None)
    assert last.source == Source.NONE
    assert [e.reason for e in episodes_of(new)] == ["time_limit", "time_limit"]


def test_trim_gives_a_cut_off_episode_an_end_and_says_so(tmp_path, run, capsys):
    output = tmp_path / "new"
    _, text, _ = hil_serl(capsys, "dataset", "trim", run, "--output", output, "--keep", "3")
    assert "record_demos/actor_0:3 had no end; it now ends as cut off by the time limit" in text
    assert_sound(output)
    assert steps_of(output)[-1].is_last
    short = write_run(tmp_path / "short", SPEC, [episode(SPEC, 0, 1, end="cut"), episode(SPEC, 1)])
    _, text, _ = hil_serl(capsys, "dataset", "trim", short, "--output", tmp_path / "new2")
    assert "actor_0:0 is left out: 1 of its 1 records would remain" in text


def test_trim_copies_what_a_killed_writer_left_and_before_damage_on_request(tmp_path, run, capsys):
    file = run / DEMOS / "actor_0/000/000_0.mcap"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "a")[0] == 0
    assert_sound(tmp_path / "a")
    broken = bytearray(whole)
    broken[whole.index(episode(SPEC, 1)[2].frames["wrist_1"].tobytes())] ^= 0xFF
    file.write_bytes(broken)
    code, _, error = hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "b")
    assert code == 2
    assert "is damaged at byte" in error
    assert not (tmp_path / "b").exists()
    anyway = ("--keep-before-damage", "--keep", "0")
    assert hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "b", *anyway)[0] == 0
    assert len(steps_of(tmp_path / "b")) == 6


def test_record_that_is_none_leaves_a_gap_in_its_episode_only(tmp_path, run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    file = run / DEMOS / "actor_0/000/000_0.mcap"
    content = bytearray(file.read_bytes())
    name = content.index(b"wrist_1", content.index(episode(SPEC, 1)[0].frames["wrist_1"].tobytes()))
    content[name - 4 : name] = b"\xff\xff\xff\xff"  # a text longer than the message
    file.write_bytes(content)
    assert "with gaps" in hil_serl(capsys, "dataset", "list", run)[1]
    arguments = ("dataset", "trim", run, "--output", tmp_path / "new", "--keep-before-damage")
    assert "actor_0:1 has gaps" in hil_serl(capsys, *arguments)[2]
    assert hil_serl(capsys, *arguments, "--drop", "1")[0] == 0
    assert len(steps_of(tmp_path / "new")) == 17
    assert_sound(tmp_path / "new")


def test_labels_follow_their_records(tmp_path, run, capsys):
    old = steps_of(run)
    labels = [Label("actor_0", s.sequence, "success" if s.is_terminal else "failure") for s in old]
    write_labels(run / DEMOS / "actor_0/labels.jsonl", labels)
    output = tmp_path / "new"
    assert (
        hil_serl(capsys, "dataset", "relabel", run, "--output", output, "--failure", "2", "--success", "1")[0]
        == 0
    )
    new = steps_of(output)
    found = read_labels(output / DEMOS / "actor_0/labels.jsonl")
    assert len(found) == len(old)
    last = {s.episode: found[s.actor_id, s.sequence] for s in new if s.is_last}
    assert last == {0: "success", 1: "success", 2: "failure"}


def test_relabel_sets_reward_and_end_of_the_last_record_only(tmp_path, run, capsys):
    before = files_below(run)
    output = tmp_path / "new"
    arguments = ("--success", "1", "--failure", "2", "--time-limit", "record_demos/actor_0:0")
    code, text, _ = hil_serl(capsys, "dataset", "relabel", run, "--output", output, *arguments)
    assert code == 0
    assert "4 episodes" in text
    assert files_below(run) == before
    new = steps_of(output)
    ends = {s.episode: (s.reward, s.is_terminal) for s in new if s.is_last}
    assert ends == {0: (0.0, False), 1: (1.0, True), 2: (0.0, True)}
    assert all(s.reward == 0.0 and not s.is_terminal for s in new if not s.is_last)
    assert [e.reason for e in episodes_of(new)] == ["time_limit", "success", "failure", "cut off"]


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("trim", ("--keep", "7"), "there is no episode 7; there are record_demos/actor_0:0-3"),
        ("trim", ("--keep", "first"), "'first' names no episode"),
        ("trim", ("--keep", "train/actor_0:1"), "there is no episode train/actor_0:1"),
        ("trim", ("--only", "failure"), "no episode would remain"),
        ("trim", ("--skip-first", "-1"), "cannot cut -1 records off"),
        ("relabel", (), "no episode is named"),
        ("relabel", ("--success", "1", "--failure", "1"), "is named both as success and as failure"),
        ("relabel", ("--success", "3"), "record_demos/actor_0:3 has no end to be judged"),
        ("merge", (), "there is only 1 recording"),
    ],
)
def test_mistakes_get_one_clear_error_and_leave_nothing(tmp_path, run, capsys, command, arguments, message):
    code, _, error = hil_serl(capsys, "dataset", command, run, "--output", tmp_path / "new", *arguments)
    assert code == 2
    assert message in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_what_exists_is_not_written_over(tmp_path, run, capsys):
    (tmp_path / "new").mkdir()
    code, _, error = hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "new")
    assert code == 2
    assert "new exists already" in error


def test_full_disk_leaves_nothing(tmp_path, run, capsys, monkeypatch):
    def full(self, *_):
        raise BagWriteError(self.path, OSError(28, "No space left on device"))

    monkeypatch.setattr(BagWriter, "write", full)
    code, _, error = hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "new")
    assert code == 2
    assert "No space left on device" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_episode_with_gaps_is_refused_until_it_is_left_out(tmp_path, capsys):
    gap = [s for s in episode(SPEC, 0) if s.step_index != 2]
    run = write_run(tmp_path / "run", SPEC, [gap, episode(SPEC, 1)])
    code, _, error = hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "new")
    assert code == 2
    assert "actor_0:0 has gaps" in error
    assert "--drop record_demos/actor_0:0" in error
    assert hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "new", "--drop", "0")[0] == 0


def test_same_number_in_two_recordings_has_to_be_named(tmp_path, run, capsys):
    write_run(run, SPEC, [episode(SPEC, 0)], mode="train")
    output = tmp_path / "new"
    code, _, error = hil_serl(capsys, "dataset", "trim", run, "--output", output, "--keep", "0")
    assert code == 2
    assert "episode 0 is in 2 recordings; name one, as in record_demos/actor_0:0" in error
    assert hil_serl(capsys, "dataset", "trim", run, "--output", output, "--keep", "train/actor_0:0")[0] == 0
    assert len(steps_of(output, "train")) == 6


def test_merge_puts_recordings_side_by_side(tmp_path, run, capsys):
    other = write_run(tmp_path / "other", SPEC, [episode(SPEC, 7)], mode="train")
    output = tmp_path / "new"
    code, text, _ = hil_serl(
        capsys, "dataset", "merge", run, other, "--output", output, "--as-mode", "record_demos"
    )
    assert code == 0
    assert "5 episodes, 29 records" in text
    new = steps_of(output)
    assert len({s.actor_id for s in new}) == 2
    assert len({(s.actor_id, s.sequence) for s in new}) == 29
    assert RunFolder.open(output).state()["sources"] == [
        str(tmp_path / "other/bags/train/actor_0"),
        str(run / DEMOS / "actor_0"),
    ]
    assert len(find_recordings([output])) == 2


def test_merge_of_different_tasks_is_refused_with_the_difference(tmp_path, run, capsys):
    larger = small_task(32)
    other = write_run(tmp_path / "other", larger, [episode(larger, 0)])
    code, _, error = hil_serl(capsys, "dataset", "merge", run, other, "--output", tmp_path / "new")
    assert code == 2
    for expected in (SPEC.hash, larger.hash, "cameras[0].size (16 and 32)"):
        assert expected in error
    assert not (tmp_path / "new").exists()


def test_task_that_nobody_knows_has_to_be_named(tmp_path, run, capsys):
    bag = (run / DEMOS / "actor_0/000").rename(tmp_path / "bag")
    code, _, error = hil_serl(capsys, "dataset", "trim", bag, "--output", tmp_path / "new")
    assert code == 2
    assert f"task spec {SPEC.hash}, which no task file here has; name the one it was recorded with" in error
    task = run / "task.yaml"
    assert hil_serl(capsys, "dataset", "trim", bag, "--output", tmp_path / "new", "--task", task)[0] == 0
    assert len(steps_of(tmp_path / "new")) == 23


def test_dense_rewards_cannot_be_relabelled(tmp_path, capsys):
    content = SPEC.model_dump(mode="json")
    content["reward"] |= {"kind": "vice"}
    spec = task_from_dict(content)
    run = write_run(tmp_path / "run", spec, [episode(spec, 0)])
    code, _, error = hil_serl(
        capsys, "dataset", "relabel", run, "--output", tmp_path / "new", "--success", "0"
    )
    assert code == 2
    assert "has a dense reward" in error


def test_names_of_new_actors_depend_on_content_alone(tmp_path, run, capsys):
    for name in ("a", "b"):
        assert hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / name)[0] == 0
    assert hil_serl(capsys, "dataset", "trim", run, "--output", tmp_path / "c", "--drop", "0")[0] == 0
    first, again, less = (steps_of(tmp_path / name)[0].actor_id for name in "abc")
    assert first == again != less


def test_log_probabilities_paid_by_mistake_are_told_and_mended(tmp_path, capsys):
    """What a run recorded while 'form' null was taken for log_probability: [0, -3.51, ..., 1] instead of [0, 0, ..., 1]."""
    whole = [episode(SPEC, 0), episode(SPEC, 1, end="time_limit"), episode(SPEC, 2, end="cut")]
    paid = [
        [
            s if s.is_first or s.reward else dataclasses.replace(s, reward=-3.51 + 0.1 * s.step_index)
            for s in steps
        ]
        for steps in whole
    ]
    run = write_run(tmp_path / "run", SPEC, paid, mode="train")
    code, text, _ = hil_serl(capsys, "dataset", "check", run)
    assert code == 1
    assert "its reward is -3.41" in text
    assert "(and 12 more like it)" in text
    assert "hil-serl dataset relabel RUN --mend-rewards" in text
    output = tmp_path / "new"
    code, text, _ = hil_serl(
        capsys, "dataset", "relabel", run, "--mend-rewards", "--success", "1", "--output", output
    )
    assert (code, [s.reward for s in steps_of(run, "train")][1]) == (0, pytest.approx(-3.41)), (
        "the original stays"
    )
    new = steps_of(output, "train")
    assert [s.reward for s in new] == [0, 0, 0, 0, 0, 1] + [0, 0, 0, 0, 0, 1] + [0] * 5
    assert [s.is_terminal for s in new if s.is_last] == [True, True]
    assert [f.kind for r in find_recordings([output]) for report in check(r) for f in report.findings] == [
        "no_end"
    ]
    for one, other in zip([s for steps in whole for s in steps], new, strict=True):
        assert one.action is None or np.array_equal(one.action, other.action)


def test_rewards_of_a_dense_task_are_not_mended(tmp_path, capsys):
    content = SPEC.model_dump(mode="json")
    content["reward"]["kind"] = "classifier"
    content["reward"]["classifier"]["form"] = "log_probability"
    dense = task_from_dict(content)
    run = write_run(tmp_path / "run", dense, [episode(dense, 0)])
    code, _, error = hil_serl(
        capsys, "dataset", "relabel", run, "--mend-rewards", "--output", tmp_path / "new"
    )
    assert code == 2
    assert "has a dense reward" in error
