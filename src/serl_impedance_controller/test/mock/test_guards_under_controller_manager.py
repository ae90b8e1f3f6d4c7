# SPDX-License-Identifier: Apache-2.0
"""What the plugin refuses, limits and latches under controller_manager, with the mock arm."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import yaml

pytest.importorskip("controller_manager_msgs", reason="needs ros2_control")
pytest.importorskip("xacro", reason="needs xacro")
pytest.importorskip("domain_coordinator")

from control_process import CONTROLLER, control_process, mock_urdf, moved, parameters_file, position, speed
from geometry_msgs.msg import PoseStamped, Vector3, Wrench, WrenchStamped
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters

NO_STAMP, TOO_FAST, OSCILLATION, TWO_SENDERS, OUTSIDE = 10, 7, 8, 11, 6
LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])


@pytest.fixture
def started(tmp_path, request):
    """A controller manager with the mock arm and the active controller; indirect parameters change it."""
    parameters = parameters_file(tmp_path, **getattr(request, "param", {}))
    with control_process(mock_urdf(), parameters, tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert process.switch(start=[CONTROLLER]), process.log.read_text()
        yield process


class Push:
    """Sends a wrench with each state."""

    def __init__(self, process, **force):
        self._process = process
        self._message = WrenchStamped(wrench=Wrench(force=Vector3(**force)))
        self._message.header.frame_id = "tcp"
        self._publisher = process.node.create_publisher(WrenchStamped, "target_wrench", 1)
        process.wait_for(self._publisher.get_subscription_count, "the controller's ear")

    def spin(self, seconds):
        """States of so much of the arm's time."""
        states = []
        for _ in range(round(seconds / 0.02)):
            self._message.header.stamp = self._process.node.get_clock().now().to_msg()
            self._publisher.publish(self._message)
            states += self._process.spin(0.02)
        return states


def test_a_second_sender_of_targets_is_refused_and_both_are_named(started):
    here = started.spin(0.1)[-1].tcp_pose
    stranger = started.stranger("stranger")
    publisher = stranger.create_publisher(PoseStamped, "target_pose", 1)

    def send():
        target = PoseStamped(pose=moved(here, 0.005))
        target.header.frame_id = "base"
        target.header.stamp = stranger.get_clock().now().to_msg()
        publisher.publish(target)

    timer = stranger.create_timer(0.05, send)
    timer.cancel()
    assert started.spin(1.0, here)[-1].fault == 0
    timer.reset()
    for _ in range(20):
        state = started.spin(0.5, here)[-1]
        if state.fault:
            break
    assert state.fault == TWO_SENDERS
    assert "/cell/stranger" in state.fault_text
    assert "/cell/test" in state.fault_text
    started.wait_for(lambda: "two nodes send it" in started.log.read_text(), "the message")
    assert "reset_fault" in started.log.read_text()
    timer.cancel()
    assert started.reset_fault().success
    assert started.spin(1.5, here)[-1].fault == 0


@pytest.mark.parametrize("started", [{"pose_timeout": 5.0}], indirect=True, ids=["busy machine"])
def test_a_sender_that_takes_over_from_another_is_none_too_many(started):
    here = started.spin(0.1)[-1].tcp_pose
    stranger = started.stranger("cell")
    publisher = stranger.create_publisher(PoseStamped, "target_pose", 1)
    started.wait_for(publisher.get_subscription_count, "the controller's ear")
    for _ in range(4):
        assert started.spin(0.7, here)[-1].fault == 0
        for _ in range(35):
            target = PoseStamped(pose=here)
            target.header.frame_id = "base"
            target.header.stamp = stranger.get_clock().now().to_msg()
            publisher.publish(target)
            assert started.spin(0.02)[-1].fault == 0, started.states[-1].fault_text
    assert started.spin(0.7, here)[-1].fault == 0


@pytest.mark.parametrize("offset", [(0.35, 0, 0), (-0.35, 0, 0), (0, 0.35, 0), (0, 0, -0.35)])
def test_a_far_target_is_approached_within_the_limits_of_speed_and_joints(started, offset):
    start = started.spin(0.1)[-1]
    states = started.spin(3.0, moved(start.tcp_pose, *offset))
    assert max(speed(s) for s in states) < 0.55
    joints = np.array([s.joint_position for s in states])
    assert (joints - LOWER).min() > 0.05
    assert (UPPER - joints).min() > 0.05
    assert states[-1].fault == 0, states[-1].fault_text


def test_a_target_without_a_stamp_is_named_as_that(started):
    start = started.spin(0.1)[-1]
    publisher = started.node.create_publisher(PoseStamped, "target_pose", 1)
    started.wait_for(publisher.get_subscription_count, "the controller's ear")
    target = PoseStamped(pose=start.tcp_pose)
    target.header.frame_id = "base"
    publisher.publish(target)
    started.wait_for(lambda: started.states[-1].fault == NO_STAMP, "the fault")
    assert "header.stamp" in started.states[-1].fault_text


WRENCHES = {"mode": "wrench", "wrench_timeout": 5.0}


@pytest.mark.parametrize(
    "started", [{**WRENCHES, "workspace": [0.2, -0.1, 0.2, 0.6, 0.1, 0.7]}], indirect=True, ids=["box"]
)
def test_a_wrench_that_pushes_out_of_the_box_does_not_leave_it_far_and_latches_nothing(started):
    start = position(started.spin(0.1)[-1])
    assert np.all(start > [0.2, -0.1, 0.2])
    assert np.all(start < [0.6, 0.1, 0.7])
    states = Push(started, y=15.0).spin(4.0)
    assert abs(position(states[-1])[1]) > 0.08
    assert max(abs(position(s)[1]) for s in states) < 0.15
    assert states[-1].fault == 0, states[-1].fault_text


@pytest.mark.parametrize(
    "started", [{**WRENCHES, "workspace": [0.2, 0.3, 0.2, 0.6, 0.5, 0.7]}], indirect=True, ids=["elsewhere"]
)
def test_a_wrench_far_outside_the_box_latches(started):
    start = started.spin(0.1)[-1]
    states = Push(started, x=1.0).spin(0.5)
    assert states[-1].fault == OUTSIDE
    assert np.linalg.norm(position(states[-1]) - position(start)) < 5e-3


@pytest.mark.parametrize("started", [{**WRENCHES, "joint_speed": [0.4]}], indirect=True, ids=["slow"])
def test_a_wrench_pushes_no_joint_beyond_its_speed(started):
    started.spin(0.1)
    states = Push(started, x=12.0).spin(2.0)
    assert max(np.abs(s.joint_velocity).max() for s in states) < 0.5
    assert states[-1].fault == 0, states[-1].fault_text


STIFF = {"stiffness": [3000.0] * 3 + [250.0] * 3, "damping": [400.0] * 3 + [30.0] * 3}
UNSTABLE = {
    "manager": {"update_rate": 100},
    "delay": 0.02,
    "profiles": {"compliance": STIFF, "precision": STIFF},
}


def test_the_mocks_own_gains_are_not_warned_of(started):
    started.spin(0.1)
    assert "oscillate" not in started.log.read_text()


@pytest.mark.parametrize("started", [UNSTABLE], indirect=True, ids=["100 Hz"])
def test_an_arm_that_shakes_is_latched_and_held_softly(started):
    assert "'compliance'" in started.log.read_text()  # activation has warned
    start = started.spin(0.1)[-1]
    started.spin(0.5, moved(start.tcp_pose, 0.02))
    started.wait_for(lambda: started.states[-1].fault == OSCILLATION, "the fault")
    states = started.spin(4.0)
    assert np.abs(states[-1].joint_velocity).max() < 0.05
    assert "oscillates" in states[-1].fault_text


def test_unstable_gains_are_refused_with_their_figures_where_that_is_asked_for(tmp_path):
    parameters = parameters_file(tmp_path, **UNSTABLE, unstable_gains="refuse")
    with control_process(mock_urdf(), parameters, tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert not process.switch(start=[CONTROLLER])
        assert process.state_of() == "inactive"
        assert "Not activated (unstable_gains is 'refuse'): profile 'compliance'" in process.log.read_text()


def test_of_two_controllers_on_one_topic_the_second_is_refused_and_both_are_named(tmp_path):
    path = parameters_file(
        tmp_path, manager={"second": {"type": "serl_impedance_controller/CartesianController"}}
    )
    content = yaml.safe_load(path.read_text())
    content["/cell/second"] = copy.deepcopy(content[f"/cell/{CONTROLLER}"])  # parameter files know no aliases
    path.write_text(yaml.safe_dump(content))
    with control_process(mock_urdf(), path, tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert not process.load("second")
        text = process.log.read_text()
        assert "'/cell/second' and '/cell/cartesian_controller' would both follow '/cell/target_pose'" in text
        assert process.switch(start=[CONTROLLER]), process.log.read_text()
        assert process.spin(0.2)[-1].fault == 0


@pytest.mark.parametrize("arm", ["fr3", "fer"])
def test_shipped_files_of_real_arms_load_and_hold(tmp_path, arm):
    """Whole and unchanged, but for the hardware: manager's own parameters, limits, effort interfaces."""
    urdf = (
        mock_urdf(prefix=f"{arm}_")
        .replace(f"{arm}_base", f"{arm}_link0")
        .replace(f"{arm}_tcp", f"{arm}_hand_tcp")
    )
    with control_process(urdf, parameters_file(tmp_path, file=arm), tmp_path) as process:
        assert process.load(), process.log.read_text()
        assert process.switch(start=[CONTROLLER]), process.log.read_text()
        states = process.spin(1.0)
        assert (states[-1].header.frame_id, states[-1].tcp_frame) == (f"{arm}_link0", f"{arm}_hand_tcp")
        assert states[-1].fault == 0, states[-1].fault_text
        assert all(math.isfinite(v) for v in (states[-1].external_wrench.force.x, *states[-1].joint_effort))
        assert max(np.linalg.norm(position(s) - position(states[0])) for s in states) < 2e-3
        manager = process.call(GetParameters, "controller_manager/get_parameters", names=["overruns.manage"])
        assert manager.values[0].type == ParameterType.PARAMETER_BOOL
        assert not manager.values[0].bool_value
