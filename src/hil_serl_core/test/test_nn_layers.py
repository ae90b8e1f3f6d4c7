# SPDX-License-Identifier: Apache-2.0
"""Layers, heads, actor and critics against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from hil_serl_core.nn.actor import GaussianActor, squashed_log_prob
from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.nn.encoder import (
    LearnedSpatialPooling,
    NetworkConfig,
    ObservationEncoder,
    PooledCameraHead,
)
from hil_serl_core.nn.grasp_critic import GraspCritic
from hil_serl_core.nn.layers import Dense, DenseNormTanh, EnsembleDense, lecun_normal_, tanh, xavier_uniform_


def dense_norm_tanh(x, weight, bias, gain, offset):
    y = x @ weight + bias
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
    return np.tanh(y * gain + offset)


def arrays(module):
    return {name: tensor.detach().double().numpy() for name, tensor in module.state_dict().items()}


def randomise(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)


def test_tanh_is_tanh():
    x = torch.linspace(-20.0, 20.0, 4001)
    np.testing.assert_allclose(tanh(x).numpy(), np.tanh(x.double().numpy()), atol=3e-7)
    x = x.double().requires_grad_(True)
    assert torch.autograd.gradcheck(tanh, (x[1990:2010],))


def test_dense_norm_tanh_equals_numpy():
    torch.manual_seed(0)
    layer = DenseNormTanh(5, 7)
    randomise(layer)
    x, p = torch.randn(4, 5), arrays(layer)
    expected = dense_norm_tanh(
        x.double().numpy(), p["dense.weight"], p["dense.bias"], p["norm.weight"], p["norm.bias"]
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-5)


def test_learned_pooling_equals_the_sum_it_stands_for():
    torch.manual_seed(0)
    pooling = LearnedSpatialPooling(2, 3, 4, blocks=5)
    x = torch.randn(6, 2, 3, 4)
    kernel, features = pooling.kernel.detach().numpy(), x.numpy()
    expected = np.zeros((6, 4, 5))
    for h in range(2):
        for w in range(3):
            expected += features[:, h, w, :, None] * kernel[h, w]
    np.testing.assert_allclose(pooling(x).detach().numpy(), expected.reshape(6, 20), atol=1e-5)


def test_pooled_head_drops_only_with_a_generator_and_keeps_the_mean():
    torch.manual_seed(0)
    head = PooledCameraHead((2, 2, 3), 8)
    x = torch.randn(3, 12)
    torch.testing.assert_close(head(x), head(x), rtol=0, atol=0)
    seen = []
    head.bottleneck.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    head(x)
    for seed in range(300):
        head(x, torch.Generator().manual_seed(seed))
    clean, dropped = seen[0], torch.stack(seen[1:])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    kept = dropped[0] != 0
    torch.testing.assert_close(dropped[0][kept], (clean / 0.9)[kept])


def test_critic_ensemble_equals_separate_critics():
    torch.manual_seed(0)
    critic = CriticEnsemble(6, 2, (8, 9), members=3)
    randomise(critic)
    z, a, p = torch.randn(5, 6), torch.randn(5, 2), arrays(critic)
    x = np.concatenate([z.double().numpy(), a.double().numpy()], 1)
    for e in range(3):
        y = x
        for i in range(2):
            y = dense_norm_tanh(
                y,
                p[f"layers.{i}.weight"][e],
                p[f"layers.{i}.bias"][e],
                p[f"norms.{i}.weight"][e],
                p[f"norms.{i}.bias"][e],
            )
        expected = (y @ p["output.weight"][e] + p["output.bias"][e])[:, 0]
        np.testing.assert_allclose(critic(z, a)[e].detach().numpy(), expected, atol=1e-4)
    torch.testing.assert_close(critic.evaluate(critic.project(z), a), critic(z, a), rtol=0, atol=0)


def test_a_shared_output_layer_by_hand():
    """Two critics with hidden features h_e = tanh(n) of their own and one output layer w, b."""
    critic = CriticEnsemble(1, 1, (2,), members=2, shared_output=True)
    with torch.no_grad():
        # Observation 1, action 0: the first layer gives (3, 1) to one member and (1, 3) to the other; LayerNorm makes
        # (1, -1) and (-1, 1) of them, tanh t = 0.76159416 times that.
        critic.layers[0].weight.zero_()
        critic.layers[0].weight[:, 0] = torch.tensor([[3.0, 1.0], [1.0, 3.0]])
        critic.layers[0].bias.zero_()
        critic.output.weight.copy_(torch.tensor([[2.0], [0.5]]))
        critic.output.bias.fill_(0.25)
    q = critic(torch.ones(1, 1), torch.zeros(1, 1))
    t = math.tanh(1.0)
    assert q.shape == (2, 1)
    # t (2 - 0.5) + 0.25 and t (-2 + 0.5) + 0.25
    assert q[:, 0].tolist() == pytest.approx([1.5 * t + 0.25, -1.5 * t + 0.25], abs=1e-5)
    # Loss (q_1 + 3 q_2): both members pull at the one layer. dw = (t - 3 t, -t + 3 t), db = 1 + 3.
    (q[0] + 3.0 * q[1]).sum().backward()
    assert critic.output.weight.grad[:, 0].tolist() == pytest.approx([-2.0 * t, 2.0 * t], abs=1e-5)
    assert critic.output.bias.grad.tolist() == [4.0]


def test_critics_with_a_shared_output_equal_separate_ones_with_the_same_output():
    torch.manual_seed(0)
    shared, separate = (CriticEnsemble(6, 2, (8, 9), 3, shared_output=share) for share in (True, False))
    randomise(shared)
    state = shared.state_dict()
    state |= {name: state[name].expand(3, *state[name].shape) for name in ("output.weight",)}
    state["output.bias"] = shared.output.bias.detach().expand(3, 1, 1)
    separate.load_state_dict(state)
    z, a = torch.randn(5, 6), torch.randn(5, 2)
    torch.testing.assert_close(shared(z, a), separate(z, a))
    shared(z, a).square().sum().backward()
    separate(z, a).square().sum().backward()
    torch.testing.assert_close(shared.output.weight.grad, separate.output.weight.grad.sum(0))
    torch.testing.assert_close(shared.layers[1].weight.grad, separate.layers[1].weight.grad)


def test_log_prob_is_the_density_of_the_squashed_action():
    mean, std, noise = torch.tensor([[0.3, -0.4]]), torch.tensor([[0.5, 0.2]]), torch.tensor([[0.7, -1.1]])
    u = (mean + std * noise).double().numpy()
    expected = (stats.norm.logpdf(u, mean, std) - np.log(1.0 - np.tanh(u) ** 2)).sum()
    assert squashed_log_prob(mean + std * noise, std, noise).item() == pytest.approx(expected, abs=1e-5)


def test_log_prob_stays_finite_far_out():
    u = torch.tensor([[60.0, -60.0]], requires_grad=True)
    value = squashed_log_prob(u, torch.ones(1, 2), torch.zeros(1, 2))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(u.grad).all()


def test_std_is_clipped_and_mode_is_tanh_of_mean():
    torch.manual_seed(0)
    actor = GaussianActor(4, (8,), 2)
    z = torch.randn(3, 4)
    with torch.no_grad():
        for bias, expected in ((100.0, 5.0), (-100.0, 1e-5)):
            actor.log_std.bias.fill_(bias)
            assert actor(z)[1].unique().tolist() == pytest.approx([expected])
    torch.testing.assert_close(actor.mode(z), torch.tanh(actor(z)[0]))
    action, _ = actor.sample(z, torch.zeros(3, 2))
    torch.testing.assert_close(action, actor.mode(z))


@pytest.mark.parametrize(("inputs", "outputs"), [(300, 200), (64, 512)])
def test_initialisers(inputs, outputs):
    torch.manual_seed(0)
    dense = Dense(inputs, outputs)
    limit = math.sqrt(6.0 / (inputs + outputs))
    assert dense.weight.abs().max().item() <= limit
    assert dense.weight.std().item() == pytest.approx(limit / math.sqrt(3.0), rel=0.03)
    assert not dense.bias.any()
    ensemble = EnsembleDense(2, inputs, outputs)
    assert ensemble.weight.abs().max().item() <= limit
    assert not torch.equal(ensemble.weight[0], ensemble.weight[1])
    lecun = lecun_normal_(torch.empty(inputs, outputs), inputs)
    assert lecun.std().item() == pytest.approx(1.0 / math.sqrt(inputs), rel=0.03)
    assert xavier_uniform_(torch.empty(3, 3), inputs, outputs).abs().max().item() <= limit


def test_encoder_concatenates_cameras_in_order_then_state():
    torch.manual_seed(0)
    shapes = {"one": (2, 2, 3), "two": (1, 2, 3)}
    encoder = ObservationEncoder(NetworkConfig(shapes, 5, 2, camera_embedding=7, state_embedding=4))
    features, state = torch.randn(3, 18), torch.randn(3, 5)
    z = encoder(features, state)
    assert z.shape == (3, 18)
    torch.testing.assert_close(z[:, :7], encoder.heads["one"](features[:, :12]))
    torch.testing.assert_close(z[:, 7:14], encoder.heads["two"](features[:, 12:]))
    torch.testing.assert_close(z[:, 14:], encoder.state(state))


def test_unknown_camera_head_is_named():
    with pytest.raises(ValueError, match="dense"):
        ObservationEncoder(NetworkConfig({"one": (1, 1, 1)}, 1, 1, camera_head="conv"))


def test_grasp_critic_equals_numpy_with_a_linear_last_hidden_layer():
    torch.manual_seed(0)
    critic = GraspCritic(5, (7, 6), 9)
    randomise(critic)
    x, p = torch.randn(4, 5), arrays(critic)
    hidden = dense_norm_tanh(
        x.double().numpy(),
        p["mlp.0.dense.weight"],
        p["mlp.0.dense.bias"],
        p["mlp.0.norm.weight"],
        p["mlp.0.norm.bias"],
    )
    linear = hidden @ p["mlp.1.weight"] + p["mlp.1.bias"]
    expected = linear @ p["output.weight"] + p["output.bias"]
    np.testing.assert_allclose(critic(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
