# SPDX-License-Identifier: Apache-2.0
"""Shifts equal the original release's pad-by-edge and crop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_learner import observations
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


def shifts(toy, monkeypatch, **learner):
    """Offsets at which the frames of the demonstrations of a toy task are stored, record by record."""
    seen = []

    def spy(frames, offsets):
        seen.append(offsets.copy())
        return shift(frames, offsets)

    monkeypatch.setattr(observations, "shift", spy)
    trainer = toy.started(toy.spec(**learner))
    assert trainer._observations._cache.shape[0] == trainer.replay.capacity * len(seen[0])
    one, other = seen[::2], seen[1::2]
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)), (
        "alike for both cameras of a record"
    )
    return np.stack(one)


def test_a_single_view_is_shifted_at_random(toy, monkeypatch):
    """As any reader of "randomly shifted views" expects; it was the unshifted frame, no augmentation at all."""
    offsets = shifts(toy, monkeypatch, augmented_views=1, crop_padding=2)
    assert offsets.shape == (18, 1, 2)
    assert np.abs(offsets).max() == 2
    assert len({tuple(offset) for offset in offsets[:, 0]}) > 9, "drawn anew for each record"
    np.testing.assert_array_equal(offsets, shifts(toy, monkeypatch, augmented_views=1, crop_padding=2))


def test_of_several_views_the_first_is_unshifted_and_without_padding_there_is_one(toy, monkeypatch):
    several = shifts(toy, monkeypatch, augmented_views=3, crop_padding=2)
    assert several.shape == (18, 3, 2)
    assert not several[:, 0].any()
    assert several[:, 1:].any(axis=2).all()
    without = shifts(toy, monkeypatch, augmented_views=3, crop_padding=0)
    assert without.shape == (18, 1, 2)
    assert not without.any()
