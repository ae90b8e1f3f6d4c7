# SPDX-License-Identifier: Apache-2.0
"""Composing and encoding videos."""

import numpy as np
import pytest

from hil_serl_runs.video import caption, compose, enlarge, write_video


def test_enlarging_repeats_pixels():
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    large = enlarge(image, 4, 6)
    assert large.shape == (4, 6, 3)
    np.testing.assert_array_equal(large[:, :, 0], np.kron(image[:, :, 0], np.ones((2, 3), np.uint8)))


def test_the_policy_views_stand_beside_the_display():
    main = np.full((480, 640, 3), 10, np.uint8)
    views = [np.full((64, 80, 3), value, np.uint8) for value in (50, 90)]
    picture = compose(main, views)
    assert picture.shape == (480, 640 + 300, 3)
    assert (picture[:, :640] == 10).all()
    assert (picture[:240, 640:] == 50).all()
    assert (picture[240:, 640:] == 90).all()


def test_without_a_display_camera_the_views_fill_the_picture():
    assert compose(None, [np.zeros((64, 64, 3), np.uint8)] * 2, height=128).shape == (128, 256, 3)


def test_a_video_can_be_read_back(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "v.mp4"
    frames = [np.full((96, 128, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    assert write_video(path, frames, 10.0) == 4
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == 10.0
        brightness = [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(stream)]
    assert brightness == pytest.approx([0, 80, 160, 240], abs=6)


def test_no_picture_no_file(tmp_path):
    assert write_video(tmp_path / "v.mp4", [], 10.0) == 0
    assert not (tmp_path / "v.mp4").exists()


def test_a_caption_changes_only_its_corner():
    picture = np.full((96, 256, 3), 128, np.uint8)
    labelled = caption(picture, "episode 3")
    assert (picture == 128).all()
    assert (labelled[40:] == 128).all()
    assert (labelled[:30, :100] != 128).any()
