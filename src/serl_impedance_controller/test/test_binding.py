# SPDX-License-Identifier: Apache-2.0
"""The binding: parity with a numpy derivation of eq. (7), bad input refused, faults seen from Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

law = pytest.importorskip("serl_impedance_controller")

NO_LIMIT = 1000.0  # Nm: torque rate and limit out of the way of the equation
NO_SPEED_LIMIT = {"pose_linear_speed": np.inf, "pose_angular_speed": np.inf}


def random_arm(rng: np.random.Generator) -> dict:
    """A full-rank arm sample; keys are the arguments of ``Controller.update`` but the time."""
    root = rng.normal(size=(7, 7))
    pose = np.concatenate([rng.uniform(-0.5, 0.5, 3), Rotation.random(rng=rng).as_quat()])
    return {
        "q": rng.uniform(-1, 1, 7),
        "dq": rng.uniform(-0.5, 0.5, 7),
        "pose": pose,
        "jacobian": rng.normal(size=(6, 7)),
        "bias": rng.uniform(-5, 5, 7),
        "mass_matrix": root @ root.T / 7 + np.eye(7),
    }


def expected_torque(
    arm: dict, config, target, target_twist, wrench, posture
) -> tuple[np.ndarray, np.ndarray]:
    """Joint torque (7,) and limited error (6,), written from the equations and not from the C++."""
    jacobian, mass = arm["jacobian"], arm["mass_matrix"]
    rotation = Rotation.from_quat(arm["pose"][3:])
    axes = rotation.as_matrix() if config.gain_frame == law.GainFrame.TCP else np.eye(3)
    to_gain = np.kron(np.eye(2), axes.T)
    error = np.concatenate(
        [arm["pose"][:3] - target[:3], (rotation * Rotation.from_quat(target[3:]).inv()).as_rotvec()]
    )
    limited = np.clip(to_gain @ error, -config.clip_neg, config.clip_pos)

    minv = np.linalg.inv(mass) if mass is not None else np.eye(7)
    inertia = np.linalg.inv(jacobian @ minv @ jacobian.T)
    damping = config.damping
    if config.damping_kind == law.DampingKind.RATIO and mass is not None:
        shown = 1.0 / np.diag(to_gain @ jacobian @ minv @ jacobian.T @ to_gain.T)
        damping = 2 * config.damping_ratio * np.sqrt(config.stiffness * shown)
        damping = np.minimum(damping, [2000.0] * 3 + [200.0] * 3)
    velocity = to_gain @ jacobian @ arm["dq"]
    if config.damped_velocity == law.DampedVelocity.RELATIVE:
        wanted = to_gain @ target_twist
        velocity = velocity - np.clip(velocity, np.minimum(wanted, 0), np.maximum(wanted, 0))
    reach = config.frequency * (config.clip_pos + config.clip_neg)
    force = to_gain.T @ (-config.stiffness * limited - damping * np.clip(velocity, -reach, reach))
    force = force + np.kron(np.eye(2), rotation.as_matrix()) @ np.clip(
        wrench, -config.wrench_limit, config.wrench_limit
    )
    pull = config.nullspace_stiffness * (posture - arm["q"]) - config.nullspace_damping * arm["dq"]
    null = pull - jacobian.T @ (inertia @ jacobian @ minv @ pull)
    return jacobian.T @ force + null + arm["bias"], limited


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    frame=st.sampled_from([law.GainFrame.BASE, law.GainFrame.TCP]),
    kind=st.sampled_from([law.DampingKind.FIXED, law.DampingKind.RATIO]),
    damped=st.sampled_from([law.DampedVelocity.MEASURED, law.DampedVelocity.RELATIVE]),
    smoothing=st.floats(0.01, 1.0),
    with_mass=st.booleans(),
    distance=st.sampled_from([0.001, 0.05, 0.5]),
)
def test_update_is_equation_7(seed, frame, kind, damped, smoothing, with_mass, distance):
    rng = np.random.default_rng(seed)
    arm = random_arm(rng)
    if not with_mass:
        arm["mass_matrix"] = None
    controller = law.Controller()
    controller.set(
        gain_frame=frame,
        damping_kind=kind,
        damped_velocity=damped,
        smoothing=smoothing,
        stiffness=rng.uniform([100] * 3 + [5] * 3, [4000] * 3 + [300] * 3),
        damping=rng.uniform(0, [200] * 3 + [20] * 3),
        damping_ratio=rng.uniform(0, 2, 6),
        clip_pos=rng.uniform(1e-4, [0.02] * 3 + [0.1] * 3),
        clip_neg=rng.uniform(1e-4, [0.02] * 3 + [0.1] * 3),
        nullspace_stiffness=rng.uniform(0, 10, 7),
        nullspace_damping=rng.uniform(0, 2, 7),
        torque_rate=NO_LIMIT,
        torque_limit=NO_LIMIT,
        **NO_SPEED_LIMIT,
    )
    posture = rng.uniform(-1, 1, 7)
    controller.set_nullspace_posture(posture)
    start = Rotation.from_quat(arm["pose"][3:])
    step = Rotation.from_rotvec(distance * rng.normal(size=3))
    target = np.concatenate([arm["pose"][:3] + distance * rng.normal(size=3), (step * start).as_quat()])
    wrench = rng.uniform(-30, 30, 6)

    still = dict(arm, dq=np.zeros(7))
    controller.update(*still.values(), 0.0)  # takes the measured pose as reference
    controller.set_target_pose(target, 0.0)
    controller.set_target_wrench(wrench, 0.0)
    torque = controller.update(*arm.values(), 0.001)

    share = smoothing * step.as_rotvec()
    position = arm["pose"][:3] + smoothing * (target[:3] - arm["pose"][:3])
    smoothed = np.concatenate([position, (Rotation.from_rotvec(share) * start).as_quat()])
    twist = 1000.0 * np.concatenate([smoothed[:3] - arm["pose"][:3], share])
    expected, limited = expected_torque(arm, controller.config, smoothed, twist, wrench, posture)
    state = controller.state()
    assert not controller.fault
    np.testing.assert_allclose(state.limited_error, limited, atol=1e-9)
    np.testing.assert_allclose(state.smoothed[:3], smoothed[:3], atol=1e-12)
    if np.abs(expected).max() < NO_LIMIT:
        np.testing.assert_allclose(torque, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(torque, state.torque)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_limited_reference_is_a_clip_away_from_the_arm(seed):
    rng = np.random.default_rng(seed)
    arm = random_arm(rng)
    controller = law.Controller()
    clip_pos, clip_neg = [0.0075, 0.0016, 0.0055, 0.02, 0.05, 0.01], [0.002] * 3 + [0.03] * 3
    controller.set(smoothing=1.0, clip_pos=clip_pos, clip_neg=clip_neg, **NO_SPEED_LIMIT)
    controller.update(*arm.values(), 0.0)
    target = np.concatenate([arm["pose"][:3] + rng.choice([-1, 1], 3), arm["pose"][3:]])
    controller.set_target_pose(target, 0.0)
    controller.update(*arm.values(), 0.001)
    state = controller.state()
    ahead = state.limited[:3] - arm["pose"][:3]
    expected = np.where(target[:3] > arm["pose"][:3], clip_neg[:3], -np.array(clip_pos[:3]))
    np.testing.assert_allclose(ahead, expected, atol=1e-12)
    np.testing.assert_allclose(state.commanded, target, atol=1e-12)


@pytest.fixture
def arm():
    return random_arm(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "bad", "shape"),
    [
        ("q", np.zeros(6), r"\(7,\), got \(6,\)"),
        ("dq", np.zeros((7, 1)), r"\(7,\), got \(7, 1\)"),
        ("pose", np.zeros((4, 4)), r"\(7,\), got \(4, 4\)"),
        ("jacobian", np.zeros((7, 6)), r"\(6, 7\), got \(7, 6\)"),
        ("bias", np.zeros(0), r"\(7,\), got \(0,\)"),
        ("mass_matrix", np.zeros(49), r"\(7, 7\), got \(49,\)"),
    ],
)
def test_wrong_shape_names_the_argument(arm, name, bad, shape):
    controller = law.Controller()
    with pytest.raises(ValueError, match=f"{name}: expected shape {shape}"):
        controller.update(**dict(arm, **{name: bad}), time=0.0)
    assert not controller.state().active


@pytest.mark.parametrize("name", ["q", "dq", "pose", "jacobian", "bias", "mass_matrix"])
@pytest.mark.parametrize("convert", [lambda a: a.astype("f4"), lambda a: a.astype(int), lambda a: a.tolist()])
def test_wrong_type_names_the_argument(arm, name, convert):
    with pytest.raises(TypeError, match=f"{name}: expected .*float64"):
        law.Controller().update(**dict(arm, **{name: convert(arm[name])}), time=0.0)


def test_none_is_refused_except_for_the_mass_matrix(arm):
    law.Controller().update(**dict(arm, mass_matrix=None), time=0.0)
    with pytest.raises(TypeError, match="jacobian"):
        law.Controller().update(**dict(arm, jacobian=None), time=0.0)


def test_any_strides_give_the_same_torque(arm):
    first, second = law.Controller(), law.Controller()
    wide = np.zeros((12, 9))
    jacobian = wide[::2, :7]
    jacobian[:] = arm["jacobian"]
    mass, q = np.asfortranarray(arm["mass_matrix"]), arm["q"][::-1].copy()[::-1]
    other = dict(arm, jacobian=jacobian, mass_matrix=mass, q=q)
    assert not jacobian.flags.c_contiguous
    np.testing.assert_array_equal(first.update(**arm, time=0.0), second.update(**other, time=0.0))


def test_result_is_owned_by_the_caller(arm):
    controller = law.Controller()
    first = controller.update(**arm, time=0.0)
    kept = first.copy()
    controller.update(**dict(arm, bias=arm["bias"] + 1.0), time=0.001)
    np.testing.assert_array_equal(first, kept)


def test_settings_are_checked_and_all_or_nothing():
    controller = law.Controller()
    with pytest.raises(ValueError, match=r"stiffness\[2\] = -5 is outside \[0, 10000\]"):
        controller.set(smoothing=0.5, stiffness=[1, 2, -5, 1, 1, 1])
    assert controller.config.smoothing == 0.005
    with pytest.raises(AttributeError, match="stifness"):
        controller.set(stifness=100.0)
    with pytest.raises(ValueError, match="clip_pos: expected shape"):
        controller.set(clip_pos=[0.1, 0.1])
    with pytest.raises(ValueError, match="torque_rate"):
        controller.set(torque_rate=np.nan)
    controller.set(stiffness=1000.0, clip_pos=0.004)
    np.testing.assert_array_equal(controller.config.stiffness, np.full(6, 1000.0))

    config = controller.config
    config.damping = [10, 20, 30, 1, 2, 3]
    # A copy: nothing changes until it is configured.
    np.testing.assert_array_equal(controller.config.damping, [89.0] * 3 + [7.0] * 3)
    controller.configure(config)
    np.testing.assert_array_equal(controller.config.damping, [10, 20, 30, 1, 2, 3])
    config.pose_timeout = -1.0
    with pytest.raises(ValueError, match="pose_timeout"):
        config.validate()


def test_faults_are_seen_and_reset(arm):
    controller = law.Controller(base_frame="panda_link0")
    controller.update(**arm, time=0.0)
    controller.set_target_pose(arm["pose"], 0.01, frame_id="panda_link0")
    controller.update(**arm, time=0.01)
    assert not controller.fault
    assert controller.fault.code == law.FaultCode.NONE

    controller.update(**arm, time=1.01)
    assert controller.fault.code == law.FaultCode.STALE_TARGET
    assert "target pose" in controller.fault.text
    assert controller.fault.value == pytest.approx(1.0)
    assert controller.state().holding

    controller.set_target_pose(arm["pose"], 1.0)
    controller.update(**arm, time=1.0)
    assert controller.fault
    controller.reset_fault()
    controller.set_target_pose(arm["pose"], 1.0, frame_id="")
    assert controller.fault.code == law.FaultCode.BAD_FRAME

    controller.reset_fault()
    torque = controller.update(**dict(arm, dq=np.full(7, np.nan)), time=1.001)
    assert np.isfinite(torque).all()
    assert controller.fault.input == "joint velocities"


def test_wrench_mode(arm):
    controller = law.Controller()
    controller.set(torque_rate=NO_LIMIT, torque_limit=NO_LIMIT)
    controller.set(nullspace_damping=0.0, nullspace_stiffness=0.0)
    controller.mode = law.Mode.WRENCH
    controller.update(**dict(arm, dq=np.zeros(7)), time=0.0)
    assert controller.state().holding
    wrench = np.array([30.0, -4.0, 2.0, 0.5, -9.0, 0.1])
    controller.set_target_wrench(wrench, 0.0)
    torque = controller.update(**arm, time=0.001)
    limited = np.clip(wrench, -controller.config.wrench_limit, controller.config.wrench_limit)
    axes = np.kron(np.eye(2), Rotation.from_quat(arm["pose"][3:]).as_matrix())
    np.testing.assert_allclose(torque, arm["jacobian"].T @ axes @ limited + arm["bias"], atol=1e-9)
    assert not controller.state().holding


def test_wrench_mode_has_a_speed_limit(arm):
    controller = law.Controller()
    assert (controller.config.wrench_linear_speed, controller.config.wrench_angular_speed) == (2.0, 8.0)
    controller.mode = law.Mode.WRENCH
    controller.set_target_wrench(np.zeros(6), 0.0)
    speed = np.linalg.norm(arm["jacobian"][:3] @ arm["dq"])
    for limit, fault in ((speed, law.FaultCode.NONE), (speed / 1.3, law.FaultCode.TOO_FAST)):
        controller.set(wrench_linear_speed=limit, wrench_angular_speed=20.0)
        controller.update(**arm, time=0.001)
        assert controller.fault.code == fault
    with pytest.raises(ValueError, match=r"wrench_linear_speed.*0\.2"):
        controller.set(wrench_linear_speed=0.0)


def test_force_bound_is_the_papers(arm):
    controller = law.Controller()
    controller.set(stiffness=[2000] * 3 + [150] * 3, damping=[89] * 3 + [7] * 3, clip_pos=0.01, clip_neg=0.01)
    controller.update(**arm, time=0.0)
    expected = controller.config.stiffness * 0.01 + 2 * controller.config.damping * 0.01 * 1000.0
    np.testing.assert_allclose(controller.force_bound(), expected)


def test_a_stamp_of_zero_and_a_nonsense_measurement_are_named(arm):
    controller = law.Controller()
    controller.update(**arm, time=100.0)
    controller.set_target_pose(arm["pose"], 0.0)
    controller.update(**arm, time=100.001)
    assert controller.fault.code == law.FaultCode.NO_STAMP
    assert "stamp is zero" in controller.fault.text
    controller.reset_fault()
    controller.update(**dict(arm, dq=np.full(7, 1e6)), time=100.002)
    assert (controller.fault.code, controller.fault.value) == (law.FaultCode.IMPLAUSIBLE, 1e6)


def test_what_is_no_number_is_called_that():
    with pytest.raises(ValueError, match=r"clip_pos\[0\] is not a number; it must be within"):
        law.Controller().set(clip_pos=-np.nan)


def test_the_workspace_and_the_guards_are_settings():
    controller = law.Controller()
    turn = Rotation.from_rotvec([np.pi, 0, 0]).as_quat()
    controller.set(workspace_orientation=turn, workspace_max_rotation=1.2, joint_low=-2.9, joint_speed=2.0)
    np.testing.assert_array_equal(controller.config.workspace_orientation, turn)
    np.testing.assert_array_equal(controller.config.joint_low, np.full(7, -2.9))
    with pytest.raises(ValueError, match="workspace_orientation"):
        controller.set(workspace_orientation=2 * turn)
    with pytest.raises(ValueError, match=r"joint_high\[0\] = -3 is outside"):
        controller.set(joint_high=-3.0)


def test_stability_is_told_with_its_figures(arm):
    controller = law.Controller()
    argument = {key: arm[key] for key in ("pose", "jacobian", "mass_matrix")}
    assert controller.stability(**argument).stable
    controller.set(delay=0.0)
    assert controller.stability(**argument).text(1000.0) == ""
    controller.set(frequency=100.0, delay=0.03, nullspace_damping=50.0)
    check = controller.stability(**argument)
    assert not check.stable
    assert check.radius > 1.0 > check.bearable
    assert "oscillate at 100 Hz with a delay of 30 ms" in check.text(100.0)
