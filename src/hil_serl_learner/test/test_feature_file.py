# SPDX-License-Identifier: Apache-2.0
"""Features kept on the disk: the same after a resume, never wrong, whatever happens to the file."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hil_serl_learner import checkpoint, feature_file, observations
from hil_serl_learner.feature_file import FeatureFile, record_key
from hil_serl_learner.trainer import Trainer

SIZE = 6


def key(number):
    return record_key(str(number), {})


def features(number):
    return np.full(SIZE, number, np.float16)


def filled(path, numbers=range(5), description=None):
    file = FeatureFile(path, description or {"trunk": "a"}, SIZE)
    for number in numbers:
        file.add(key(number), features(number))
    file.close()
    return path


def contents(path, numbers=range(5), description=None):
    """What is there of the numbers, None where nothing is."""
    file = FeatureFile(path, description or {"trunk": "a"}, SIZE)
    found = [None if (kept := file.get(key(n))) is None else kept.tolist() for n in numbers]
    file.close()
    return found


WHOLE = [features(number).tolist() for number in range(5)]


def test_what_was_added_is_there_again(tmp_path):
    path = filled(tmp_path / "run" / "features.bin")
    assert contents(path) == WHOLE
    filled(path, range(5, 7))
    assert contents(path, range(8)) == [*WHOLE, features(5).tolist(), features(6).tolist(), None]


@pytest.mark.parametrize("lost", range(1, 33))
def test_of_a_torn_end_the_whole_entries_are_kept_and_the_next_one_is_whole(tmp_path, lost):
    path = filled(tmp_path / "features.bin")
    os.truncate(path, path.stat().st_size - lost)
    assert contents(path) == [*WHOLE[:4], None]
    filled(path, [4, 5])
    assert contents(path, range(6)) == [*WHOLE, features(5).tolist()]


def test_a_flipped_bit_loses_one_entry_and_gives_no_wrong_one(tmp_path):
    path = filled(tmp_path / "features.bin")
    clean = path.read_bytes()
    first = len(clean) - 5 * (16 + 2 * SIZE + 4)
    for position in range(first, len(clean)):
        data = bytearray(clean)
        data[position] ^= 0x10
        path.write_bytes(data)
        found = contents(path)
        damaged = (position - first) // (16 + 2 * SIZE + 4)
        assert found == [None if n == damaged else whole for n, whole in enumerate(WHOLE)]
    filled(path, [4])
    assert contents(path) == WHOLE


def test_a_damaged_header_or_another_description_begins_anew(tmp_path, caplog):
    path = filled(tmp_path / "features.bin")
    assert contents(path, description={"trunk": "b"}) == [None] * 5
    assert "begun anew" in caplog.text
    assert contents(path) == [None] * 5, "what is of another trunk is gone"
    for damage in (b"", b"HILSERL", b"\x80\x04\x95" + bytes(200)):  # the last begins as a pickle does
        filled(path)
        path.write_bytes(damage)
        assert contents(path) == [None] * 5
        filled(path)
        assert contents(path) == WHOLE


def test_a_record_is_named_by_its_pictures(toy, spec):
    step = toy.step(spec, 3)
    name = record_key("actor/3", step.frames)
    assert record_key("actor/3", toy.step(spec, 3).frames) == name
    frames = {camera: frame.copy() for camera, frame in step.frames.items()}
    frames["right_eye"][31, 31, 2] ^= 1
    others = {name, record_key("actor/4", step.frames), record_key("actor/3", frames)}
    assert len(others) == 3


@pytest.mark.parametrize("trouble", ["full", "room", "unwritable"])
def test_a_disk_that_does_not_take_them_is_no_error(tmp_path, monkeypatch, caplog, trouble):
    path = filled(tmp_path / "features.bin")
    file = FeatureFile(path, {"trunk": "a"}, SIZE)

    def fails(*_):
        raise OSError(28, "No space left on device")

    if trouble == "room":
        monkeypatch.setattr(feature_file, "LEAST_FREE", 1 << 62)
    elif trouble == "full":
        monkeypatch.setattr(feature_file.os, "pwrite", fails)
    else:
        file.close()
    with caplog.at_level(logging.WARNING):
        file.add(key(7), features(7))
        file.add(key(8), features(8))
    assert caplog.text.count("no longer kept") == 1
    assert file.get(key(7)) is None
    file.close()
    monkeypatch.undo()
    assert contents(path) == WHOLE


_ENDLESS = """
import sys, pathlib, numpy as np
from hil_serl_learner.feature_file import FeatureFile, record_key
file = FeatureFile(pathlib.Path(sys.argv[1]), {"trunk": "a"}, 2000)
for number in range(10**9):
    file.add(record_key(str(number), {}), np.full(2000, number % 1000, np.float16))
    print(number, flush=True)
"""


def test_a_killed_process_leaves_everything_it_had_added(tmp_path):
    path = tmp_path / "features.bin"
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 200:
            process.send_signal(signal.SIGKILL)
            break
    last = max([200, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    file = FeatureFile(path, {"trunk": "a"}, 2000)
    for number in range(last + 1):
        kept = file.get(key(number))
        assert kept is not None
        assert (kept == number % 1000).all()


def start(toy, spec, path: Path | None, folder: Path | None = None):
    """A trainer with its demonstrations; of a checkpoint if a folder is given."""
    trainer = toy.prepared(spec, feature_file=path)
    if folder is not None:
        checkpoint.load_latest(trainer, folder)
    trainer.begin()
    return trainer


def run(trainer, toy, count):
    for step in itertools.islice(toy.episodes(trainer.spec, 9), count):
        trainer.consume(step)
    trainer.close()
    return trainer


def test_a_resume_reads_what_it_would_compute_and_goes_on_bit_for_bit(toy, spec, tmp_path):
    path, folder = tmp_path / "features.bin", tmp_path / "checkpoints"
    checkpoint.save(run(start(toy, spec, path), toy, 24), folder)
    resumed = run(start(toy, spec, path, folder), toy, 40)
    file = resumed._observations.file
    assert (file.found, file.added) == (18 + 24, 16), "only new records went through the trunk"
    without = run(start(toy, spec, None, folder), toy, 40)
    assert without._observations.file is None
    np.testing.assert_array_equal(resumed._observations._cache, without._observations._cache)
    assert resumed.weights().data == without.weights().data


@pytest.mark.parametrize(
    "change",
    [{"augmented_views": 2}, {"crop_padding": 1}, {"backbone_stride": 16}, {"pca_channels": 3}],
    ids=lambda change: next(iter(change)),
)
def test_features_of_other_settings_are_not_used(toy, spec, tmp_path, change):
    path = tmp_path / "features.bin"
    start(toy, spec, path).close()
    other = start(toy, toy.spec(**change), path)
    assert (other._observations.file.found, other._observations.file.added) == (0, 18)


def test_features_of_the_time_when_a_single_view_was_unshifted_are_not_used(toy, tmp_path, monkeypatch):
    path, one = tmp_path / "features.bin", toy.spec(augmented_views=1)
    with monkeypatch.context() as before:
        before.setattr(observations, "_ONE_VIEW_VERSION", observations._VIEWS_VERSION)
        start(toy, one, path).close()
    assert start(toy, one, path)._observations.file.found == 0


def test_features_of_several_views_are_used_on(toy, spec, tmp_path):
    """They are what they were; a cell's hundred thousand records need not be computed again."""
    trainer = start(toy, spec, tmp_path / "features.bin")
    assert trainer._observations._description()["views"][0] == 1


def test_features_of_other_weights_of_the_trunk_or_other_components_are_not_used(toy, spec, tmp_path):
    path = tmp_path / "features.bin"
    start(toy, spec, path).close()
    for changed in ("trunk", "components"):
        trainer = Trainer(spec, feature_file=path)
        if changed == "trunk":
            next(iter(trainer.extractor.backbone.buffers())).mul_(1.001)
        else:
            trainer.extractor.pca_components.fill_(0.5)
        for step in toy.episodes(spec, 1, actor_id="demo"):
            trainer.add_demonstration(step)
        trainer.begin()
        assert (trainer._observations.file.found, trainer._observations.file.added) == (0, 9)
        trainer.close()


def test_a_file_that_another_learner_has_open_is_left_alone(toy, spec, tmp_path, caplog):
    path = tmp_path / "features.bin"
    first = start(toy, spec, path)
    second = start(toy, spec, path)
    assert second._observations.file is None
    assert "not kept" in caplog.text
    np.testing.assert_array_equal(first._observations._cache, second._observations._cache)


def test_without_a_cache_there_is_no_file_and_with_one_no_frames(toy, tmp_path):
    plain = start(toy, toy.spec(feature_cache=False), tmp_path / "features.bin")
    assert not (tmp_path / "features.bin").exists()
    assert set(plain.replay.frames) == {"left_eye", "right_eye"}
    assert start(toy, toy.spec(), None).replay.frames == {}
