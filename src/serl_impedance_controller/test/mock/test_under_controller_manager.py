# SPDX-License-Identifier: Apache-2.0
"""The plugin as its users have it: under controller_manager, with the mock arm and with GenericSystem."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("controller_manager_msgs", reason="needs ros2_control")
pytest.importorskip("xacro", reason="needs xacro")
pytest.importorskip("domain_coordinator")

from control_process import CONTROLLER, control_process, mock_urdf, moved, parameters_file, position, speed
from geometry_msgs.msg import Vector3, Wrench, WrenchStamped


@pytest.fixture
def started(tmp_path, request):
    """A controller manager with the mock arm and the active controller; indirect parameters change it."""
    changes = getattr(request, "param", {})
    urdf = mock_urdf(**changes.get("urdf", {}))
    parameters = parameters_file(tmp_path, **changes.get("controller", {}))
    with control_process(urdf, parameters, tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert process.switch(start=[CONTROLLER]), process.log.read_text()
        yield process


WITHOUT_COMPENSATION = {
    "urdf": {"gravity_compensation": "false"},
    "controller": {"gravity_compensation": True},
}


@pytest.mark.parametrize("started", [{}, WITHOUT_COMPENSATION], indirect=True, ids=["arm", "controller"])
def test_holds_where_it_was_activated_whoever_balances_the_weight(started):
    states = started.spin(1.0)
    assert max(np.linalg.norm(position(s) - position(states[0])) for s in states) < 1e-3
    assert all(s.fault == 0 for s in states)
    assert (states[0].header.frame_id, states[0].tcp_frame) == ("base", "tcp")
    assert len(states[0].joint_position) == 7


@pytest.mark.parametrize("started", [{}, WITHOUT_COMPENSATION], indirect=True, ids=["arm", "controller"])
def test_follows_a_target(started):
    start = started.spin(0.1)[-1]
    goal = moved(start.tcp_pose, 0.04, -0.03, 0.03)
    states = started.spin(3.0, goal)
    wanted = position(start) + np.array((0.04, -0.03, 0.03))
    assert np.linalg.norm(position(states[-1]) - wanted) < 3e-3
    assert speed(states[-1]) < 0.01
    assert max(speed(s) for s in states) < 0.5
    assert states[-1].fault == 0


def test_does_not_jump_at_its_first_target_wherever_that_is(started):
    start = started.spin(0.1)[-1]
    states = started.spin(1.0, moved(start.tcp_pose, 0.3, 0.3, -0.2))
    # The spring's push is bounded by clip and stiffness, so that the arm drifts towards it slowly.
    steps = [np.linalg.norm(position(b) - position(a)) for a, b in itertools.pairwise(states)]
    assert max(speed(s) for s in states) < 0.5
    assert max(steps) < 0.02
    assert np.linalg.norm(position(states[2]) - position(start)) < 5e-3


def test_a_target_sent_before_activation_does_not_move_it(tmp_path):
    with control_process(mock_urdf(), parameters_file(tmp_path), tmp_path) as process:
        assert process.load()
        assert process.switch(start=[CONTROLLER])
        start = process.spin(0.1)[-1]
        assert process.switch(stop=[CONTROLLER])
        process.send(moved(start.tcp_pose, 0.2))
        assert process.switch(start=[CONTROLLER])
        states = process.spin(0.5)
        assert max(np.linalg.norm(position(s) - position(start)) for s in states) < 2e-3
        assert states[-1].fault == 0


def test_holds_and_latches_a_fault_when_targets_stop(started):
    start = started.spin(0.1)[-1]
    started.spin(0.5, moved(start.tcp_pose, 0.1))
    started.wait_for(lambda: started.states[-1].fault != 0, "the fault of a stale target")
    assert "target pose" in started.states[-1].fault_text
    held = started.spin(1.0)
    assert np.linalg.norm(position(held[-1]) - position(held[len(held) // 2])) < 1e-3
    ignored = started.spin(0.5, moved(start.tcp_pose, -0.1))
    assert ignored[-1].fault != 0
    assert np.linalg.norm(position(ignored[-1]) - position(held[-1])) < 1e-3
    response = started.reset_fault()
    assert response.success, response.message
    started.wait_for(lambda: started.states[-1].fault == 0, "the end of the fault")
    goal = moved(started.states[-1].tcp_pose, 0.0, 0.03)
    states = started.spin(2.5, goal)
    assert states[-1].fault == 0
    assert abs(states[-1].tcp_pose.position.y - goal.position.y) < 3e-3


def test_a_bad_target_latches_a_fault_too(started):
    start = started.spin(0.1)[-1]
    started.send(moved(start.tcp_pose, 0.01), frame="camera")
    started.wait_for(lambda: started.states[-1].fault != 0, "the fault of a foreign frame")
    assert started.reset_fault().success
    started.wait_for(lambda: started.states[-1].fault == 0, "the end of the fault")
    started.send(moved(start.tcp_pose, float("nan")))
    started.wait_for(lambda: started.states[-1].fault != 0, "the fault of a target that is no number")
    assert np.linalg.norm(position(started.states[-1]) - position(start)) < 2e-3


PATIENT_WRENCHES = {"controller": {"mode": "wrench", "wrench_timeout": 5.0, "pose_timeout": 5.0}}


@pytest.mark.parametrize("started", [PATIENT_WRENCHES], indirect=True, ids=["wrench"])
def test_in_wrench_mode_a_pose_brakes_the_arm_and_holds_it(started):
    push = WrenchStamped(wrench=Wrench(force=Vector3(x=10.0)))
    push.header.frame_id = "tcp"
    wrenches = started.node.create_publisher(WrenchStamped, "target_wrench", 1)
    started.wait_for(wrenches.get_subscription_count, "the controller's ear")
    while (state := started.spin(0.02)[-1]) and speed(state) < 0.1:
        assert state.fault == 0, state.fault_text
        push.header.stamp = started.node.get_clock().now().to_msg()
        wrenches.publish(push)
    states = started.spin(2.0, state.tcp_pose)
    assert speed(states[-1]) < 0.01
    assert np.linalg.norm(position(states[-1]) - position(state)) < 5e-3
    assert states[-1].fault == 0


def test_a_released_arm_is_braked(started):
    start = started.spin(0.1)[-1]
    started.spin(0.5, moved(start.tcp_pose, 0.1))
    moving = started.states[-1]
    assert started.switch(stop=[CONTROLLER])
    assert started.state_of() == "inactive"
    assert started.switch(start=[CONTROLLER])
    states = started.spin(0.3)
    assert np.linalg.norm(position(states[-1]) - position(moving)) < 0.03
    assert speed(states[-1]) < 5e-3


def test_loads_activates_and_switches_with_generic_system(tmp_path):
    urdf = mock_urdf(hardware="mock_components/GenericSystem")
    with control_process(urdf, parameters_file(tmp_path), tmp_path) as process:
        assert process.load(), process.log.read_text()
        for _ in range(3):
            assert process.switch(start=[CONTROLLER]), process.log.read_text()
            assert process.state_of() == "active"
            states = process.spin(0.2)
            assert np.allclose(
                states[-1].joint_position, [0, -np.pi / 4, 0, -3 * np.pi / 4, 0, np.pi / 2, np.pi / 4]
            )
            assert np.all(np.isfinite(states[-1].joint_effort))
            assert process.switch(stop=[CONTROLLER])
            assert process.state_of() == "inactive"


def test_a_joint_that_the_arm_has_not_is_named(tmp_path):
    parameters = parameters_file(tmp_path, joints=["joint1", "joint2", "joint3", "joint4", "joint5", "elbow"])
    with control_process(mock_urdf(), parameters, tmp_path) as process:
        assert not process.load() or not process.switch(start=[CONTROLLER])
        assert "elbow" in process.log.read_text()


def test_a_start_outside_the_limits_is_named(tmp_path):
    urdf = mock_urdf().replace('lower="-3.0718"', 'lower="-1.0"')
    with control_process(urdf, parameters_file(tmp_path), tmp_path) as process:
        process.wait_for(lambda: "initial_value" in process.log.read_text(), "the message")
        assert "joint4" in process.log.read_text()
