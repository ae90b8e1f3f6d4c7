# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.spec import InterventionSpec

SPEC = InterventionSpec(dead_band=0.1, release_steps=3, timeout=0.5)


def push(stamp, x):
    return OperatorInput(stamp, np.array([x, 0, 0, 0, 0, 0.0]))


def run(deflections):
    arbiter = InterventionArbiter(SPEC)
    return [arbiter.update(0.1 * i, push(0.1 * i, x)) for i, x in enumerate(deflections)]


def test_hand_off_leaves_the_policy_driving():
    assert not any(a.active for a in run([0.0, 0.05, -0.1]))


def test_takeover_at_once_release_after_hysteresis():
    active = [a.active for a in run([0, 0.5, 0, 0.5, 0, 0, 0, 0])]
    assert active == [False, True, True, True, True, True, False, False]


def test_deflection_is_continuous_at_the_dead_band_and_full_at_the_stop():
    actions = [a.action[0] for a in run([0.1 + 1e-6, 0.55, 1.0, -1.0])]
    assert actions == pytest.approx([0.0, 0.5, 1.0, -1.0], abs=1e-5)


def test_a_silent_device_gives_control_back():
    arbiter = InterventionArbiter(SPEC)
    assert arbiter.update(0.0, push(0.0, 1.0)).active
    assert arbiter.update(0.4, push(0.0, 1.0)).active
    late = arbiter.update(0.6, push(0.0, 1.0))
    assert late.stale
    assert not late.active
    assert not late.action.any()


def test_no_device_at_all():
    result = InterventionArbiter(SPEC).update(0.0, None)
    assert result.stale
    assert not result.active


def test_axis_map_reverses_and_permutes():
    spec = InterventionSpec(dead_band=0.0, axis_map=(-2, 1, 3, 4, 5, -6))
    result = InterventionArbiter(spec).update(
        0.0, OperatorInput(0.0, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    )
    assert result.action == pytest.approx([-0.2, 0.1, 0.3, 0.4, 0.5, -0.6])


@pytest.mark.parametrize("axes", [np.zeros(3), np.array([np.nan] * 6)])
def test_malformed_input_is_refused(axes):
    with pytest.raises(ValueError, match="6 finite axes"):
        InterventionArbiter(SPEC).update(0.0, OperatorInput(0.0, axes))


@given(st.lists(st.floats(-2, 2, allow_nan=False), min_size=1, max_size=60))
def test_properties_over_any_input(deflections):
    quiet = 0
    for x, a in zip(deflections, run(deflections), strict=True):
        assert np.abs(a.action).max() <= 1.0
        quiet = 0 if abs(x) > SPEC.dead_band + 1e-9 else quiet + 1
        if quiet == 0:
            assert a.active
            assert np.sign(a.action[0]) == np.sign(x)
        if quiet >= SPEC.release_steps:
            assert not a.active
            assert not a.action.any()
