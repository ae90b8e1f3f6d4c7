# SPDX-License-Identifier: Apache-2.0
"""Shifts equal the original release's pad-by-edge and crop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_learner.augmentation import draw_offsets, shift, view_offsets


@given(st.integers(1, 4), st.integers(0, 1000))
def test_shift_is_edge_padding_and_crop(padding, seed):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (3, 12, 9, 3), dtype=np.uint8)
    offsets = draw_offsets(rng, 3, padding)
    padded = np.pad(frames, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="edge")
    expected = [
        padded[i, padding + d : padding + d + 12, padding + r : padding + r + 9]
        for i, (d, r) in enumerate(offsets)
    ]
    np.testing.assert_array_equal(shift(frames, offsets), np.stack(expected))
    np.testing.assert_array_equal(shift(frames[0], offsets)[1], shift(frames[:1], offsets[1:2])[0])


@given(st.integers(1, 16), st.integers(0, 4), st.integers(0, 1000))
def test_views_start_unshifted_and_differ_while_they_can(views, padding, seed):
    offsets = view_offsets(np.random.default_rng(seed), views, padding)
    assert offsets.shape == (views, 2)
    assert not offsets[0].any()
    assert np.abs(offsets).max() <= padding
    if views <= (2 * padding + 1) ** 2:
        assert len({tuple(o) for o in offsets}) == views
