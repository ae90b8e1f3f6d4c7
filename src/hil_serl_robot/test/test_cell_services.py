# SPDX-License-Identifier: Apache-2.0
"""Joint reset, recovery and profiles of the cell node, against controllers and drivers played by the test."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from rcl_interfaces.msg import ParameterValue, SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hil_serl_core.spec import load_task
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_robot.cell.controllers import needed
from hil_serl_robot.cell.waiting import CellError
from hil_serl_robot.cell_node import CellNode
from hil_serl_robot.testing.cell_world import World, displaced
from hil_serl_ros import names, qos

JOINTS = [f"joint_{k}" for k in range(1, 8)]
POSE = [0.0, -0.3, 0.0, -1.2, 0.0, 0.9, 0.4]


@pytest.fixture
def make_world(ram_file):
    """``make_world(cell parameters)``: an arm at its nominal pose and a cell node."""
    worlds = []

    def make(**parameters):
        own = {
            "task": ram_file,
            "stale": 1000.0,
            "joint_speed": 2.0,
            "joint_acceleration": 10.0,
            **parameters,
        }
        arguments = [part for name, value in own.items() for part in ("-p", f"cell:{name}:={value}")]
        rclpy.init(args=["--ros-args", *arguments])
        spec = load_task(ram_file)
        world = World(spec, {"": displaced(spec, by=(0.0, 0.0, 0.01))}, CellNode)
        worlds.append(world)
        for _ in range(3):
            world.play()
        return world

    yield make
    for world in worlds:
        world.close()
    rclpy.try_shutdown()


class PlayedManager:
    """A controller manager that does what it is told."""

    def __init__(self, node, active):
        srv = pytest.importorskip("controller_manager_msgs.srv")
        messages = pytest.importorskip("controller_manager_msgs.msg")
        self._state = messages.ControllerState
        self.active, self.hardware, self.refuses = set(active), [], ""
        self.joints = JOINTS
        node.create_service(GetParameters, "cartesian_controller/get_parameters", self._get)
        node.create_service(srv.SwitchController, "controller_manager/switch_controller", self._switch)
        node.create_service(srv.ListControllers, "controller_manager/list_controllers", self._list)
        node.create_service(
            srv.SetHardwareComponentState,
            "controller_manager/set_hardware_component_state",
            self._set_hardware,
        )

    def _switch(self, request, reply):
        assert request.strictness == request.STRICT
        if self.refuses in request.activate_controllers:
            reply.message = "a resource conflict"
            return reply
        self.active -= set(request.deactivate_controllers)
        self.active |= set(request.activate_controllers)
        reply.ok = True
        return reply

    def _get(self, request, reply):
        assert list(request.names) == ["joints"]
        reply.values = [ParameterValue(type=9, string_array_value=self.joints)]
        return reply

    def _list(self, request, reply):
        state = "active" if "cartesian_controller" in self.active else "inactive"
        reply.controller = [self._state(name="cartesian_controller", state=state)]
        return reply

    def _set_hardware(self, request, reply):
        self.hardware.append((request.name, request.target_state.label))
        reply.ok = True
        return reply


class PlayedTrajectory:
    """A joint trajectory controller; ``steps`` of its time until it ends, None: never."""

    def __init__(self, world, steps=3):
        control = pytest.importorskip("control_msgs.action")
        self._world, self._steps = world, steps
        self.goals, self.tolerances, self.cancelled = [], [], False
        self.server = ActionServer(
            world.node,
            control.FollowJointTrajectory,
            "joint_trajectory_controller/follow_joint_trajectory",
            self._execute,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )
        self._result = control.FollowJointTrajectory.Result
        self._ticks = rclpy.task.Future()
        world.node.create_timer(0.02, self._tick)

    def _tick(self):
        done, self._ticks = self._ticks, rclpy.task.Future()
        done.set_result(None)

    async def _execute(self, handle):
        self.goals.append(handle.request.trajectory)
        self.tolerances.append({joint.name: joint.position for joint in handle.request.path_tolerance})
        left = self._steps
        while left is None or left > 0:
            await self._ticks
            if handle.is_cancel_requested:
                self.cancelled = True
                handle.canceled()
                return self._result()
            left = None if left is None else left - 1
        self._world.arms[""].joints = np.array(handle.request.trajectory.points[-1].positions)
        handle.succeed()
        return self._result()


def test_joint_reset_borrows_the_arm_and_gives_it_back(make_world):
    world = make_world(joints=JOINTS, joint_position=POSE)
    manager, trajectory = PlayedManager(world.node, ["cartesian_controller"]), PlayedTrajectory(world)
    reply = world.call(Trigger, names.JOINT_RESET)
    assert reply.success, reply.message
    (goal,) = trajectory.goals
    assert goal.joint_names == JOINTS
    assert np.allclose(goal.points[-1].positions, POSE)
    assert trajectory.tolerances == [dict.fromkeys(JOINTS, 0.1)], "an arm that is blocked is not pressed on"
    assert not any(goal.points[-1].velocities)
    times = [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in goal.points]
    path = np.array([np.zeros(7), *(point.positions for point in goal.points)])
    assert np.abs(np.diff(path, axis=0) / np.diff([0.0, *times])[:, None]).max() <= 2.0 * 1.001
    assert manager.active == {"cartesian_controller"}


def test_a_stop_ends_the_joint_reset(make_world):
    world = make_world(joints=JOINTS, joint_position=POSE)
    manager, trajectory = PlayedManager(world.node, ["cartesian_controller"]), PlayedTrajectory(world, None)
    stopped = world.node.create_publisher(Bool, names.STOPPED, qos.STOPPED)
    future = world.start(Trigger, names.JOINT_RESET)
    world.until(lambda: trajectory.goals, "the trajectory")
    busy = world.call(ResetEpisode, names.RESET_EPISODE)
    assert "the joint reset is under way" in busy.message
    stopped.publish(Bool(data=True))
    world.until(future.done, "its end")
    assert not future.result().success
    assert "stopped" in future.result().message
    world.until(lambda: trajectory.cancelled, "the trajectory to be cancelled")
    assert manager.active == {"cartesian_controller"}
    assert "clear-stop" in world.call(Trigger, names.JOINT_RESET).message


def test_a_joint_reset_is_made_in_a_pause_and_ended_by_a_second_one(make_world):
    world = make_world(joints=JOINTS, joint_position=POSE)
    manager, trajectory = PlayedManager(world.node, ["cartesian_controller"]), PlayedTrajectory(world, None)
    actor = [
        world.node.create_publisher(Bool, name, profile)
        for name, profile in ((names.STOPPED, qos.STOPPED), (names.PAUSED, qos.PAUSED))
    ]
    world.until(lambda: all(topic.get_subscription_count() for topic in actor), "the cell's ears")
    actor[1].publish(Bool(data=True))
    world.until(lambda: "unpause" in world.call(ResetEpisode, names.RESET_EPISODE).message, "the pause")
    future = world.start(Trigger, names.JOINT_RESET)
    world.until(lambda: trajectory.goals, "the trajectory")
    actor[1].publish(Bool(data=True))
    world.until(future.done, "its end")
    assert not future.result().success
    assert "paused" in future.result().message
    world.until(lambda: trajectory.cancelled, "the trajectory to be cancelled")
    assert manager.active == {"cartesian_controller"}


def test_joints_in_another_order_than_the_arms_are_refused(make_world):
    world = make_world(joints=JOINTS[::-1], joint_position=POSE)
    manager, trajectory = PlayedManager(world.node, ["cartesian_controller"]), PlayedTrajectory(world)
    reply = world.call(Trigger, names.JOINT_RESET)
    assert not reply.success
    assert "in the controller's order" in reply.message
    assert not trajectory.goals
    assert manager.active == {"cartesian_controller"}


def test_a_refused_switch_is_explained(make_world):
    world = make_world(joints=JOINTS, joint_position=POSE)
    manager = PlayedManager(world.node, ["cartesian_controller"])
    manager.refuses = "joint_trajectory_controller"
    PlayedTrajectory(world)
    reply = world.call(Trigger, names.JOINT_RESET)
    assert not reply.success
    assert "did not switch from 'cartesian_controller' to 'joint_trajectory_controller'" in reply.message
    assert "a resource conflict" in reply.message
    assert manager.active == {"cartesian_controller"}


def test_a_franka_arm_is_recovered_in_order_and_only_on_request(make_world):
    franka = pytest.importorskip("franka_msgs.action")
    world = make_world(recovery="franka")
    manager, asked = PlayedManager(world.node, []), []

    def recover(handle):
        asked.append("error")
        handle.succeed()
        return franka.ErrorRecovery.Result()

    def reset_fault(_, reply):
        asked.append("fault")
        reply.success, reply.message = True, "fault cleared"
        return reply

    ActionServer(world.node, franka.ErrorRecovery, "action_server/error_recovery", recover)
    world.node.create_service(Trigger, names.RESET_FAULT, reset_fault)
    world.arms[""].fault = "a reflex"
    refused = world.call(ResetEpisode, names.RESET_EPISODE)
    assert "a reflex" in refused.message
    assert not asked
    reply = world.call(Trigger, names.RECOVER)
    assert reply.success, reply.message
    assert reply.message == "error cleared, hardware active, controller active, fault cleared"
    assert asked == ["error", "fault"]
    assert manager.hardware == [("FrankaHardwareInterface", "active")]
    assert manager.active == {"cartesian_controller"}


def test_recovery_without_a_controller_names_it(make_world):
    world = make_world()
    reply = world.call(Trigger, names.RECOVER)
    assert not reply.success
    assert "no service '/reset_fault'" in reply.message
    assert "is the controller 'cartesian_controller' active?" in reply.message


def test_profiles_are_switched_for_the_reset_and_back_even_when_it_fails(make_world):
    world = make_world(
        reset_profile="precision", episode_profile="compliance", time_limit=0.5, linear_speed=0.4
    )
    profiles = []

    def on_set(request, reply):
        profiles.append(request.parameters[0].value.string_value)
        known = profiles[-1] != "unknown"
        reply.results = [SetParametersResult(successful=known, reason="" if known else "no such profile")]
        return reply

    world.node.create_service(SetParameters, "cartesian_controller/set_parameters", on_set)
    world.arms[""].blocked = True
    assert not world.call(ResetEpisode, names.RESET_EPISODE).success
    assert profiles == ["precision", "compliance"]


def test_a_missing_package_is_named_with_its_remedy():
    with pytest.raises(
        CellError, match=r"the joint reset needs the package 'no_such_msgs'.*ros-jazzy-no-such-msgs"
    ):
        needed("no_such_msgs.action", "the joint reset")
