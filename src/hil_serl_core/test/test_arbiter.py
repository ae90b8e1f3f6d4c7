# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.spec import InterventionSpec

SETTINGS = InterventionSpec(dead_band=0.1, release_steps=3, timeout=0.5)


def arbiter_of(spec, settings=SETTINGS):
    return InterventionArbiter(spec.model_copy(update={"intervention": settings}))


def push(stamp, x):
    return OperatorInput(stamp, np.array([x, 0, 0, 0, 0, 0.0]))


def run(spec, deflections):
    arbiter = arbiter_of(spec)
    return [arbiter.update(0.1 * i, {"": push(0.1 * i, x)}) for i, x in enumerate(deflections)]


def test_hand_off_leaves_the_policy_driving(spec):
    assert not any(a.active for a in run(spec, [0.0, 0.05, -0.1]))


def test_takeover_at_once_release_after_hysteresis(spec):
    active = [a.active for a in run(spec, [0, 0.5, 0, 0.5, 0, 0, 0, 0])]
    assert active == [False, True, True, True, True, True, False, False]


def test_after_the_release_the_arm_is_held_by_nobody(spec):
    results = run(spec, [0, 0.5, 0, 0, 0, 0])
    assert [r.holding for r in results] == [False, False, True, True, False, False]
    assert [r.driven for r in results] == [False, True, False, False, False, False]
    assert not any(r.action.any() for r in results if r.holding)


def test_a_device_that_fell_silent_before_the_clock_was_set_back_does_not_drive_on(spec):
    arbiter = arbiter_of(spec)
    assert arbiter.update(3600.0, {"": push(3600.0, 1.0)}).active
    late = arbiter.update(10.0, {"": push(3600.0, 1.0)})
    assert (late.stale, late.active) == (True, False)


def test_deflection_is_continuous_at_the_dead_band_and_full_at_the_stop(spec):
    actions = [a.action[0] for a in run(spec, [0.1 + 1e-6, 0.55, 1.0, -1.0])]
    assert actions == pytest.approx([0.0, 0.5, 1.0, -1.0], abs=1e-5)


def test_a_task_can_make_the_device_slower_each_kind_of_motion_by_itself(spec):
    slow = SETTINGS.model_copy(update={"translation_scale": 0.5, "rotation_scale": 0.2})
    action = arbiter_of(spec, slow).update(0.0, {"": OperatorInput(0.0, np.ones(6))}).action
    assert action[:6] == pytest.approx([0.5] * 3 + [0.2] * 3)


def test_a_silent_device_gives_control_back(spec):
    arbiter = arbiter_of(spec)
    assert arbiter.update(0.0, {"": push(0.0, 1.0)}).active
    assert arbiter.update(0.4, {"": push(0.0, 1.0)}).active
    late = arbiter.update(0.6, {"": push(0.0, 1.0)})
    assert late.stale
    assert not late.active
    assert not late.action.any()


def test_no_device_at_all(spec):
    result = arbiter_of(spec).update(0.0, {})
    assert result.stale
    assert not result.active


def test_axis_map_reverses_and_permutes(spec):
    settings = InterventionSpec(dead_band=0.0, axis_map=(-2, 1, 3, 4, 5, -6))
    device = OperatorInput(0.0, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    result = arbiter_of(spec, settings).update(0.0, {"": device})
    assert result.action == pytest.approx([-0.2, 0.1, 0.3, 0.4, 0.5, -0.6])


@pytest.mark.parametrize("axes", [np.zeros(3), np.array([np.nan] * 6)])
def test_malformed_input_is_refused(spec, axes):
    with pytest.raises(ValueError, match="6 finite axes"):
        arbiter_of(spec).update(0.0, {"": OperatorInput(0.0, axes)})


@given(deflections=st.lists(st.floats(-2, 2, allow_nan=False), min_size=1, max_size=60))
def test_properties_over_any_input(spec, deflections):
    quiet = 0
    for x, a in zip(deflections, run(spec, deflections), strict=True):
        assert np.abs(a.action).max() <= 1.0
        quiet = 0 if abs(x) > SETTINGS.dead_band + 1e-9 else quiet + 1
        if quiet == 0:
            assert a.active
            assert np.sign(a.action[0]) == np.sign(x)
        if quiet >= SETTINGS.release_steps:
            assert not a.active
            assert not a.action.any()


def test_one_of_two_hands_drives_and_the_other_arm_stands_still(two_arms):
    arbiter = InterventionArbiter(two_arms)
    result = arbiter.update(0.0, {"left": push(0.0, 0.0), "right": push(0.0, 1.0)})
    assert result.active
    assert result.action.tolist() == [0.0] * 6 + [1.0] + [0.0] * 5 + [0.0, 0.0]


def test_gripper_buttons_take_over_without_a_deflection(two_arms):
    arbiter = InterventionArbiter(two_arms)
    left = OperatorInput(0.0, np.zeros(6), (True, False))
    right = OperatorInput(0.0, np.zeros(6), (False, True))
    result = arbiter.update(0.0, {"left": left, "right": right})
    assert result.active
    assert result.input_norm == 1.0
    assert result.action[12:].tolist() == [-1.0, 1.0]
    both = OperatorInput(0.0, np.zeros(6), (True, True))
    assert InterventionArbiter(two_arms).update(0.0, {"left": both}).action[12] == 0.0


def test_a_lost_device_of_two_leaves_only_its_own_arm_still(two_arms):
    arbiter = InterventionArbiter(two_arms)
    result = arbiter.update(9.0, {"left": push(0.0, 1.0), "right": push(9.0, 0.5)})
    assert not result.stale
    assert not result.action[:6].any()
    assert result.action[6] > 0.0


def test_wrench_components_are_driven_by_the_axes_of_their_name(wrench_task):
    arbiter = InterventionArbiter(wrench_task)
    result = arbiter.update(0.0, {"": OperatorInput(0.0, np.array([1.0, 0.3, -1.0, 0.2, 0.5, 0.1]))})
    assert result.action == pytest.approx([1.0, -1.0, 0.5])  # x, z, pitch


def test_with_a_deadman_the_device_counts_only_while_it_is_held(spec):
    arbiter = arbiter_of(spec, SETTINGS.model_copy(update={"deadman_button": 2}))

    def drive(stamp, held):
        device = OperatorInput(stamp, np.array([1.0, 0, 0, 0, 0, 0]), (False, False, held))
        return arbiter.update(stamp, {"": device})

    results = [drive(0.1 * k, held) for k, held in enumerate([False, True, False, False, False])]
    assert [r.driven for r in results] == [False, True, False, False, False]
    assert [r.active for r in results] == [False, True, True, True, False], "as if the device were at rest"
    assert [r.action.any() for r in results] == [False, True, False, False, False]


def test_grippers_need_the_deadman_too(two_arms):
    settings = two_arms.intervention.model_copy(update={"deadman_button": 2})
    arbiter = InterventionArbiter(two_arms.model_copy(update={"intervention": settings}))
    loose = OperatorInput(0.0, np.zeros(6), (True, False, False))
    held = OperatorInput(0.0, np.zeros(6), (True, False, True))
    assert not arbiter.update(0.0, {"left": loose}).active
    assert arbiter.update(0.0, {"left": held}).action[12] == -1.0


@pytest.mark.parametrize("name", ["stop_button", "deadman_button"])
def test_a_safety_button_has_no_second_meaning(name):
    with pytest.raises(ValueError, match=f"{name} and close_button are both button 0"):
        InterventionSpec(**{name: 0})
    assert getattr(InterventionSpec(**{name: 0}, close_button=None), name) == 0
