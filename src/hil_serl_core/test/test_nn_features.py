# SPDX-License-Identifier: Apache-2.0
"""Principal components against NumPy, layout of the flat features, checks of frames and state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hil_serl_core.nn.backbones.base import Backbone
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.nn.observation import StateLayout


class Blocks(Backbone):
    """Stand-in trunk: mean of each 4 px block through a fixed linear map to 6 channels."""

    name, mean, std, channels, stride = "blocks", (0.0,) * 3, (255.0,) * 3, 6, 4

    def __init__(self):
        super().__init__()
        self.register_buffer("map", torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))

    def trunk(self, x):
        return nn.functional.conv2d(nn.functional.avg_pool2d(x, 4), self.map[:, :, None, None])


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return {
        name: torch.from_numpy(rng.integers(0, 256, (20, size, size, 3), dtype=np.uint8))
        for name, size in (("a", 16), ("b", 8), ("c", 16))
    }


def extractor(channels=3):
    return FeatureExtractor(Blocks(), {"a": 16, "b": 8, "c": 16}, channels)


def test_fit_whitens(frames):
    features = extractor()
    assert not features.fitted
    features.fit(frames.values())
    assert features.fitted
    flat = features(frames)
    assert flat.shape == (20, features.size) == (20, (16 + 4 + 16) * 3)
    samples = flat.reshape(-1, 3).double().numpy()
    np.testing.assert_allclose(samples.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(np.cov(samples.T, bias=True), np.eye(3), atol=1e-2)


def test_components_are_those_of_numpy(frames):
    features = extractor()
    features.fit(frames.values())
    maps = (
        torch.cat([features.backbone(f).permute(0, 2, 3, 1).reshape(-1, 6) for f in frames.values()])
        .double()
        .numpy()
    )
    values, vectors = np.linalg.eigh(np.cov(maps.T, bias=True))
    expected = np.abs((vectors / np.sqrt(np.maximum(values, 1e-12)))[:, ::-1][:, :3])
    np.testing.assert_allclose(np.abs(features.pca_components.numpy()), expected, rtol=1e-2, atol=1e-3)


def test_order_is_camera_row_column_channel(frames):
    features = extractor(None)
    flat = features(frames)
    one = features.backbone(frames["b"])
    start = 16 * 6
    block = flat[:, start : start + 4 * 6].reshape(20, 2, 2, 6)
    torch.testing.assert_close(block, one.permute(0, 2, 3, 1))
    assert features.fitted
    assert features.trainable_state() == {}


def test_fit_errors(frames):
    with pytest.raises(ValueError, match="demonstrations"):
        extractor().fit([])
    with pytest.raises(ValueError, match="constant"):
        extractor().fit([torch.full((4, 16, 16, 3), 7, dtype=torch.uint8)])
    with pytest.raises(ValueError, match="pca_channels"):
        extractor(7)


def test_frames_are_checked():
    features = extractor()
    good = {name: np.zeros((size, size, 3), np.uint8) for name, size in features.image_sizes.items()}
    features.check(good)
    for change in ({"a": np.zeros((8, 16, 3), np.uint8)}, {"a": np.zeros((16, 16, 3), np.float32)}):
        with pytest.raises(ValueError, match="camera 'a'"):
            features.check({**good, **change})
    with pytest.raises(ValueError, match="'b' is missing"):
        features.check({name: frame for name, frame in good.items() if name != "b"})


def test_state_is_scaled_in_order_and_checked(spec):
    layout = StateLayout(spec)
    state = {part: np.full(size, 2.0, np.float32) for part, size in spec.state_sizes.items()}
    flat = layout.flatten(state)
    assert flat.dtype == np.float32
    for part, where in layout.slices.items():
        np.testing.assert_allclose(flat[where], 2.0 / spec.learner.state_scale[part], rtol=1e-6)
    first = spec.state[0]
    for value, text in (
        (np.full_like(state[first], np.nan), "not finite"),
        (np.zeros(2, np.float32), "shape"),
    ):
        with pytest.raises(ValueError, match=text):
            layout.flatten({**state, first: value})
    with pytest.raises(ValueError, match="missing"):
        layout.flatten({})
