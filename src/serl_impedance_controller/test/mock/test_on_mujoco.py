# SPDX-License-Identifier: Apache-2.0
"""The plugin in closed loop with MuJoCo: under the controller manager of mujoco_ros2_control, contact included.

The tests share one arm and begin by bringing it back to its start. What they measure is in the results file.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("controller_manager_msgs", reason="needs ros2_control")
pytest.importorskip("xacro", reason="needs xacro")
pytest.importorskip("domain_coordinator")
pytest.importorskip("mujoco")

from ament_index_python import has_resource

if not has_resource("packages", "mujoco_ros2_control"):
    pytest.skip("needs mujoco_ros2_control", allow_module_level=True)

from control_msgs.msg import DynamicJointState
from control_process import CONTROLLER, control_process, moved, parameters_file, position, speed
from mujoco_arm import GAP, urdf_on_mujoco

WALL_FORCE = 2000.0 * 0.01  # [N] stiffness times clip of the controller's defaults
BROADCASTER = "joint_state_broadcaster"


def probe_force(message):
    """(3,) force between probe and hand along the tcp's axes [N]."""
    values = message.interface_values[message.joint_names.index("probe")]
    named = dict(zip(values.interface_names, values.values, strict=True))
    return np.array([named[f"force.{axis}"] for axis in "xyz"])


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """The arm in MuJoCo with the active controller; ``start`` is its first state, ``forces`` the probe's."""
    folder = tmp_path_factory.mktemp("mujoco")
    parameters = parameters_file(folder, sim_time=True)
    with control_process(urdf_on_mujoco(folder), parameters, folder, "mujoco_ros2_control") as running:
        running.forces = []
        running.node.create_subscription(
            DynamicJointState, "dynamic_joint_states", lambda m: running.forces.append(probe_force(m)), 10
        )
        assert running.load(BROADCASTER), running.log.read_text()
        assert running.load(CONTROLLER), running.log.read_text()
        assert running.switch(start=[BROADCASTER, CONTROLLER]), running.log.read_text()
        running.start = running.spin(0.1)[0]
        yield running


def bring_back(process):
    """Ends a fault and moves to the start; the last state."""
    if process.states[-1].fault:
        assert process.reset_fault().success
    return process.spin(2.0, process.start.tcp_pose)[-1]


def test_holds_where_it_was_activated(process, record_testsuite_property):
    states = process.spin(0.5)
    drift = max(np.linalg.norm(position(s) - position(process.start)) for s in states)
    record_testsuite_property("drift_mm", 1e3 * drift)
    assert drift < 1e-3
    assert all(s.fault == 0 for s in states)


def test_follows_a_target(process, record_testsuite_property):
    start, step = bring_back(process), np.array((0.03, -0.04, 0.03))
    states = process.spin(3.0, moved(process.start.tcp_pose, *step))
    error = np.linalg.norm(position(states[-1]) - position(process.start) - step)
    fastest = max(speed(s) for s in states)
    record_testsuite_property("error_mm", 1e3 * error)
    record_testsuite_property("top_speed_mm_s", 1e3 * fastest)
    assert np.linalg.norm(position(start) - position(process.start)) < 3e-3
    assert error < 3e-3
    assert fastest < 0.5
    assert speed(states[-1]) < 0.01
    assert states[-1].fault == 0


def test_pushes_with_stiffness_times_clip_however_far_the_target_is_behind_the_wall(
    process, record_testsuite_property
):
    bring_back(process)
    process.spin(2.0, moved(process.start.tcp_pose, z=-GAP - 0.002))  # the probe is laid on the block
    process.forces.clear()
    last = process.spin(2.0, moved(process.start.tcp_pose, z=-GAP - 0.05))[-1]
    forces = [float(np.linalg.norm(force)) for force in process.forces]
    settled = np.mean(forces[-len(forces) // 5 :])
    depth = position(process.start)[2] - position(last)[2]
    record_testsuite_property("settled_N", settled)
    record_testsuite_property("peak_N", max(forces))
    record_testsuite_property("estimated_N", last.external_wrench.force.z)
    record_testsuite_property("depth_mm", 1e3 * depth)
    assert abs(depth - GAP) < 2e-3  # it stands on the block
    assert 0.8 * WALL_FORCE < settled < 1.1 * WALL_FORCE
    assert max(forces) < 1.3 * WALL_FORCE
    assert last.fault == 0


def test_holds_and_latches_a_fault_when_targets_stop(process, record_testsuite_property):
    start = bring_back(process)
    process.spin(0.4, moved(start.tcp_pose, y=0.1))
    process.wait_for(lambda: process.states[-1].fault != 0, "the fault of a stale target")
    assert "target pose" in process.states[-1].fault_text
    held = process.spin(1.0)
    rest = np.linalg.norm(position(held[-1]) - position(held[len(held) // 2]))
    record_testsuite_property("after_fault_mm", 1e3 * rest)
    assert rest < 1e-3
    ignored = process.spin(0.5, start.tcp_pose)
    assert ignored[-1].fault != 0
    assert np.linalg.norm(position(ignored[-1]) - position(held[-1])) < 1e-3
    back = bring_back(process)
    assert back.fault == 0
    assert np.linalg.norm(position(back) - position(process.start)) < 3e-3
