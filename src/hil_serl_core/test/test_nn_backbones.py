# SPDX-License-Identifier: Apache-2.0
"""Backbones: layouts of the public weight files, refusal of everything else, SAME padding, folding."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from hil_serl_core.nn.backbones import BackboneError, EfficientNetLite0, ResNet10, create_backbone
from hil_serl_core.nn.backbones.base import same_conv, same_padding
from hil_serl_core.nn.backbones.flax_pickle import UnsafePickleError, read_array_tree

STAGES = [(64, 64), (64, 128), (128, 256), (256, 512)]


def flax_tree(seed=0):
    """Arrays under the names and axes of ``resnet10_params.pkl``."""
    rng = np.random.default_rng(seed)

    def conv(k, a, b):
        return {"kernel": rng.normal(0, 0.05, (k, k, a, b)).astype(np.float32)}

    def norm(c):
        return {
            "scale": rng.normal(1, 0.1, c).astype(np.float32),
            "bias": rng.normal(0, 0.1, c).astype(np.float32),
        }

    tree = {"conv_init": conv(7, 3, 64), "norm_init": norm(64)}
    for index, (a, b) in enumerate(STAGES):
        block = {
            "Conv_0": conv(3, a, b),
            "Conv_1": conv(3, b, b),
            "MyGroupNorm_0": norm(b),
            "MyGroupNorm_1": norm(b),
        }
        if a != b:
            block |= {"conv_proj": conv(1, a, b), "norm_proj": norm(b)}
        tree[f"ResNetBlock_{index}"] = block
    tree["output_head"] = {
        "Dense_0": {"kernel": np.zeros((512, 10), np.float32), "bias": np.zeros(10, np.float32)}
    }
    return tree


def hub_state(tree, wrapped):
    """The same arrays under the names of the PyTorch copy; some revisions wrap convolutions and norms."""
    conv_name, norm_name = ("conv.weight", "group_norm.") if wrapped else ("weight", "")

    def conv(node):
        return torch.from_numpy(node["kernel"]).permute(3, 2, 0, 1).contiguous()

    state = {"embedder.0.weight": conv(tree["conv_init"])}

    def norm(prefix, node):
        state[f"{prefix}.{norm_name}weight"] = torch.from_numpy(node["scale"])
        state[f"{prefix}.{norm_name}bias"] = torch.from_numpy(node["bias"])

    norm("embedder.1", tree["norm_init"])
    for index in range(4):
        block, prefix = tree[f"ResNetBlock_{index}"], f"encoder.stages.{index}"
        for i in (0, 1):
            state[f"{prefix}.conv{i + 1}.{conv_name}"] = conv(block[f"Conv_{i}"])
            norm(f"{prefix}.norm{i + 1}", block[f"MyGroupNorm_{i}"])
        if "conv_proj" in block:
            state[f"{prefix}.shortcut.0.{conv_name}"] = conv(block["conv_proj"])
            norm(f"{prefix}.shortcut.1", block["norm_proj"])
    return state


class FakeJaxArray:
    """Pickles exactly as a JAX array does.

    ``jax._src.array._reconstruct_array(numpy's reducer, state, aval)``.
    """

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        function, arguments, state = self.array.__reduce__()
        return _reconstruct_array, (function, arguments, state, {"weak_type": False})


def _reconstruct_array(*_):
    raise AssertionError("the reader must not call this")


_reconstruct_array.__module__, _reconstruct_array.__qualname__ = "jax._src.array", "_reconstruct_array"


def jax_pickle(tree, path, monkeypatch):
    import sys
    import types

    module = types.ModuleType("jax._src.array")
    module._reconstruct_array = _reconstruct_array
    for name, value in (
        ("jax", types.ModuleType("jax")),
        ("jax._src", types.ModuleType("jax._src")),
        (module.__name__, module),
    ):
        monkeypatch.setitem(sys.modules, name, value)

    def wrap(node):
        return {k: wrap(v) for k, v in node.items()} if isinstance(node, dict) else FakeJaxArray(node)

    path.write_bytes(pickle.dumps(wrap(tree)))
    monkeypatch.undo()


@pytest.fixture(scope="module")
def reference():
    """ResNet-10 by torch.nn, independent of our module."""
    tree = flax_tree()

    def conv(node):
        return torch.from_numpy(node["kernel"]).permute(3, 2, 0, 1)

    def norm(x, node):
        return functional.group_norm(
            x, 4, torch.from_numpy(node["scale"]), torch.from_numpy(node["bias"]), 1e-5
        )

    def run(images):
        x = (
            images.permute(0, 3, 1, 2) / 255.0 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        ) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        x = functional.relu(
            norm(functional.conv2d(x, conv(tree["conv_init"]), stride=2, padding=3), tree["norm_init"])
        )
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        for index in range(4):
            block, stride = tree[f"ResNetBlock_{index}"], 1 if index == 0 else 2
            padded = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
            y = functional.relu(
                norm(functional.conv2d(padded, conv(block["Conv_0"]), stride=stride), block["MyGroupNorm_0"])
            )
            y = norm(functional.conv2d(y, conv(block["Conv_1"]), padding=1), block["MyGroupNorm_1"])
            if "conv_proj" in block:
                x = norm(functional.conv2d(x, conv(block["conv_proj"]), stride=stride), block["norm_proj"])
            x = functional.relu(x + y)
        return x

    return tree, run


@pytest.fixture(scope="module")
def images():
    return torch.randint(
        0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_flax_pickle_of_numpy_arrays(reference, images, tmp_path, protocol):
    tree, run = reference
    path = tmp_path / "resnet10_params.pkl"
    path.write_bytes(pickle.dumps(tree, protocol=protocol))
    torch.testing.assert_close(
        create_backbone("resnet10", 32, path)(images), run(images), atol=1e-4, rtol=1e-4
    )


def test_flax_pickle_of_jax_arrays(reference, images, tmp_path, monkeypatch):
    tree, run = reference
    path = tmp_path / "resnet10_params.pkl"
    jax_pickle(tree, path, monkeypatch)
    assert b"jax._src.array" in path.read_bytes()
    torch.testing.assert_close(
        create_backbone("resnet10", 32, path)(images), run(images), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_hub_layout(reference, images, tmp_path, wrapped, suffix):
    tree, run = reference
    path = tmp_path / f"model{suffix}"
    state = hub_state(tree, wrapped)
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    torch.testing.assert_close(
        create_backbone("resnet10", 32, path)(images), run(images), atol=1e-4, rtol=1e-4
    )


def test_resnet10_size_and_strides(tmp_path):
    assert sum(b.numel() for b in ResNet10(32).buffers()) == 4_905_792  # parameters of the trunk
    path = tmp_path / "p.pkl"
    path.write_bytes(pickle.dumps(flax_tree()))
    image = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    for stride, channels in ((8, 128), (16, 256), (32, 512)):
        backbone = create_backbone("resnet10", stride, path)
        assert backbone(image).shape == (1, channels, 128 // stride, 128 // stride)
        assert (backbone.channels, backbone.output_size(128)) == (channels, 128 // stride)


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/hil_serl_bomb",)


@pytest.mark.parametrize(
    "content",
    [
        {"conv_init": _Bomb()},
        {"conv_init": print},
        {"a": np.array([_Bomb()], dtype=object)},
        [1, 2],
        {"a": "text"},
    ],
)
def test_pickles_of_anything_but_arrays_are_refused(tmp_path, content):
    path = tmp_path / "resnet10_params.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UnsafePickleError, match=path.name):
        read_array_tree(path)
    with pytest.raises(BackboneError):
        create_backbone("resnet10", 32, path)
    assert not os.path.exists("/tmp/hil_serl_bomb")


def test_every_cut_of_a_pickle_is_refused_cleanly(tmp_path):
    data = pickle.dumps({"a": np.arange(3.0)})
    path = tmp_path / "p.pkl"
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(UnsafePickleError):
            read_array_tree(path)


def test_unusable_weight_files_are_named(tmp_path):
    with pytest.raises(BackboneError, match="backbone_weights"):
        create_backbone("resnet10", 32)
    with pytest.raises(BackboneError, match=r"missing\.pkl"):
        create_backbone("resnet10", 32, tmp_path / "missing.pkl")
    tree = flax_tree()
    del tree["ResNetBlock_2"]
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(tree))
    with pytest.raises(BackboneError, match="ResNetBlock_2"):
        create_backbone("resnet10", 32, tmp_path / "p.pkl")
    tree = flax_tree()
    tree["conv_init"]["kernel"] = tree["conv_init"]["kernel"][:5]
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(tree))
    with pytest.raises(BackboneError, match=r"'stem' has shape"):
        create_backbone("resnet10", 32, tmp_path / "p.pkl")
    with pytest.raises(BackboneError, match="unknown backbone"):
        create_backbone("vgg", 8)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "e.pth")
    with pytest.raises(BackboneError, match="_conv_stem"):
        create_backbone("efficientnet_lite0", 8, tmp_path / "e.pth")
    torch.save({"a": _Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(BackboneError, match=r"bomb\.pth"):
        create_backbone("efficientnet_lite0", 8, tmp_path / "bomb.pth")
    assert not os.path.exists("/tmp/hil_serl_bomb")


# First three channels at location (1, 1) for the picture below, by an independent implementation of Lite0
# (separate batch norms, padding computed per call) on the same weight file.
LITE0 = {
    8: (40, [-2.190335, -7.090602, -16.928846]),
    16: (112, [3.981440, -2.060558, -0.469224]),
    32: (320, [2.108509, -2.734065, -2.141369]),
}


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_efficientnet_lite0_from_its_package(stride):
    channels, expected = LITE0[stride]
    backbone = create_backbone("efficientnet_lite0", stride)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    picture = torch.stack([x * 4, y * 4, (x * y) % 256], -1).to(torch.uint8)
    maps = backbone(torch.stack([picture, picture.flip(0)]))
    assert maps.shape == (2, channels, 64 // stride, 64 // stride)
    np.testing.assert_allclose(maps[0, :3, 1, 1].numpy(), expected, atol=1e-3)
    assert not list(backbone.parameters())


def test_folding_equals_convolution_and_batch_norm():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 32, 3, stride=2, bias=False)
    norm = nn.BatchNorm2d(32, eps=1e-3)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    backbone = EfficientNetLite0(8)
    from hil_serl_core.nn.backbones.efficientnet_lite import _load_folded

    tensors = {"c.weight": conv.weight.detach(), **{f"n.{k}": v for k, v in norm.state_dict().items()}}
    _load_folded(backbone.stem, tensors, "c", "n", "test")
    x = torch.randn(2, 3, 10, 10)
    expected = functional.relu6(norm.eval()(conv(functional.pad(x, (0, 1, 0, 1)))))
    torch.testing.assert_close(backbone.stem(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (64, 3, 2, (0, 1)),
        (64, 5, 2, (1, 2)),
        (7, 3, 2, (1, 1)),
        (8, 3, 1, (1, 1)),
        (8, 1, 2, (0, 0)),
        (8, 5, 1, (2, 2)),
    ],
)
def test_same_padding(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected
    out = same_conv(torch.zeros(1, 2, size, size), torch.zeros(3, 2, kernel, kernel), None, stride)
    assert out.shape[-1] == -(-size // stride)
