# SPDX-License-Identifier: Apache-2.0
"""The cell node over the real middleware: reset motions, their ends, recovery; with the actor at the end."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from hil_serl_actor.actor_node import ActorNode
from hil_serl_core.reset import sample_start_poses
from hil_serl_core.spec import load_task
from hil_serl_msgs.msg import EpisodeSummary
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_robot.cell.reset_motion import distances
from hil_serl_robot.cell_node import CellNode
from hil_serl_robot.testing.cell_world import World, displaced
from hil_serl_ros import names, qos
from hil_serl_ros.geometry_messages import pose_stamped, pose_to_array
from hil_serl_ros.stamps import seconds_to_ns, stamp_to_seconds

TASK = """
extends: {base}
observation_timeout: {timeout}    # a busy machine is not what is tested here
reset: {{method: scripted, lift: 0.02}}
reward: {{kind: operator}}
"""
LIMITS = {"linear_speed": 0.4, "linear_acceleration": 4.0, "angular_speed": 2.0, "angular_acceleration": 20.0}
FAR = {"": (0.1, -0.08, 0.02)}


@pytest.fixture
def make_world(tmp_path):
    """``make_world(base task, start of each arm, actor=..., cell parameters)``."""
    worlds = []

    def make(base, poses, actor=False, timeout=1000.0, **parameters):
        file = tmp_path / "task.yaml"
        file.write_text(TASK.format(base=base, timeout=timeout))
        spec = load_task(file)
        settings = {"task": file, "run_dir": tmp_path / "run", "mode": "record_demos"}
        arguments = [part for name, value in settings.items() for part in ("-p", f"{name}:={value}")]
        own = {
            "settle": 0.0,
            "gripper_wait": 0.05,
            "leash": 0.3,
            "angular_leash": 2.0,
            **LIMITS,
            **parameters,
        }
        arguments += [part for name, value in own.items() for part in ("-p", f"cell:{name}:={value}")]
        rclpy.init(args=["--ros-args", *arguments])
        starts = {arm: displaced(spec, arm, by) for arm, by in poses.items()}
        world = World(spec, starts, CellNode, *([ActorNode] if actor else []))
        world.spec, world.starts, world.born = spec, starts, world.now
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()
    rclpy.try_shutdown()


def assert_nothing_jumps(arm, start, born):
    """The first target is no further from where the arm is than the speed allows since then; so are all later ones."""
    stamp, first, measured = arm.targets[0]
    assert np.array_equal(measured, start)
    assert distances(first, start)[0] <= LIMITS["linear_speed"] * (stamp - born)
    assert distances(first, start)[1] <= LIMITS["angular_speed"] * (stamp - born) + 1e-6
    speeds = arm.speeds()
    assert speeds[:, 0].max() <= 1.01 * LIMITS["linear_speed"]
    assert speeds[:, 1].max() <= 1.01 * LIMITS["angular_speed"]


def test_reset_goes_to_the_pose_of_the_seed_without_a_jump(make_world, ram_file):
    world = make_world(ram_file, FAR)
    reply = world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7))
    assert reply.success, reply.message
    goal = sample_start_poses(world.spec, 7)[""]
    assert distances(pose_to_array(reply.tcp_poses[0]), goal)[0] <= 0.01
    assert_nothing_jumps(world.arms[""], world.starts[""], world.born)
    heights = np.array([target[2] for _, target, _ in world.arms[""].targets])
    top = np.argmax(heights)
    raised = world.arms[""].targets[top][1]
    assert raised[2] == pytest.approx(world.starts[""][2] + 0.01, abs=2e-3), (
        "up to the box's top, 3 cm over nominal"
    )
    assert np.allclose(raised[:2], world.starts[""][:2], atol=5e-3), "straight up first"

    # The arm is held until somebody else commands it, and then left to him.
    held = len(world.arms[""].targets)
    world.until(lambda: len(world.arms[""].targets) > held + 5, "the hold")
    other = world.node.create_publisher(PoseStamped, names.TARGET_POSE, qos.TARGET)
    mine = pose_stamped(goal, seconds_to_ns(world.now), world.spec.base_frame)
    world.until(lambda: other.get_subscription_count() >= 2, "the other's readers")
    other.publish(mine)
    for _ in range(10):
        world.play()
    held = len(world.arms[""].targets)
    for _ in range(10):
        world.play()
    assert len(world.arms[""].targets) == held


def test_two_arms_move_together_and_grippers_open(make_world, handover_file):
    starts = {"left": (0.1, 0.1, 0.05), "right": (-0.05, 0.0, 0.1)}
    world = make_world(handover_file, starts)
    reply = world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=1, arm_only=True))
    assert reply.success, reply.message
    assert not reply.objects_reset, "it moves arms; nothing lays objects back"
    goals = sample_start_poses(world.spec, 1)
    for (name, arm), pose in zip(world.arms.items(), reply.tcp_poses, strict=True):
        assert distances(pose_to_array(pose), goals[name])[0] <= 0.01
        assert_nothing_jumps(arm, world.starts[name], world.born)
        assert set(arm.openings) == {1.0}, "the task's initial opening"


def check_hold(world, arm):
    """From now on every target is the same."""
    held = len(arm.targets)
    world.until(lambda: len(arm.targets) > held + 5, "the hold")
    assert all(np.allclose(target, arm.targets[held][1]) for _, target, _ in arm.targets[held:])


def test_stop_ends_the_motion_and_holds(make_world, ram_file):
    world = make_world(ram_file, FAR, linear_speed=0.05)
    stopped = world.node.create_publisher(Bool, names.STOPPED, qos.STOPPED)
    future = world.start(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7))
    arm = world.arms[""]
    world.until(lambda: len(arm.targets) > 20, "a motion")
    stopped.publish(Bool(data=True))
    world.until(future.done, "its end")
    assert not future.result().success
    assert "stopped" in future.result().message
    check_hold(world, arm)
    refused = world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7))
    assert not refused.success
    assert "clear-stop" in refused.message
    stopped.publish(Bool(data=False))
    assert world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7)).success


def test_pause_ends_the_actors_reset_and_unpause_begins_it_again_from_there(make_world, ram_file):
    world = make_world(ram_file, FAR, actor=True, linear_speed=0.03)
    arm, episodes = world.arms[""], []
    world.node.create_subscription(EpisodeSummary, names.EPISODE, episodes.append, qos.EPISODE)
    world.until(lambda: _travelled(arm) > 0.01, "a motion")
    reply = world.call(SetBool, names.PAUSE, SetBool.Request(data=True))
    assert "keep clear until it rests" in reply.message
    world.until(lambda: _rests(arm), "its end")
    check_hold(world, arm)
    refused = world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7))
    assert not refused.success
    assert "hil-serl unpause" in refused.message
    assert not episodes
    left, paused = arm.pose, len(arm.targets)
    world.call(SetBool, names.PAUSE, SetBool.Request(data=False))
    world.until(lambda: not _rests(arm), "the reset's second beginning")
    assert max(distances(target, left)[0] for _, target, _ in arm.targets[paused : paused + 3]) < 2e-3
    world.until(lambda: episodes, "the episode")
    begun, ended = arm.targets[paused][0], stamp_to_seconds(episodes[0].header.stamp)
    again = [(stamp, target) for stamp, target, _ in arm.targets[paused:] if stamp < ended]
    assert all(distances(target, left)[0] <= 0.03 * (stamp - begun) + 2e-3 for stamp, target in again)


def _travelled(arm):
    """Way of the targets so far [m]."""
    return distances(arm.targets[0][1], arm.targets[-1][1])[0] if arm.targets else 0.0


def _rests(arm):
    """The newest targets are one."""
    newest = [target for _, target, _ in arm.targets[-8:]]
    return all(np.array_equal(newest[0], target) for target in newest)


def test_the_motion_ends_with_the_actor_because_nobody_could_stop_it(make_world, ram_file):
    world = make_world(ram_file, FAR, linear_speed=0.02)
    stopped = world.node.create_publisher(Bool, names.STOPPED, qos.STOPPED)
    world.until(stopped.get_subscription_count, "the cell's ear")
    future = world.start(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=7))
    arm = world.arms[""]
    world.until(lambda: len(arm.targets) > 20, "a motion")
    world.node.destroy_publisher(stopped)
    world.until(future.done, "its end")
    assert not future.result().success
    assert "the actor has ended" in future.result().message
    check_hold(world, arm)


def test_silence_of_the_arm_ends_the_motion(make_world, ram_file):
    world = make_world(ram_file, FAR, linear_speed=0.02, stale=2.0)
    future = world.start(ResetEpisode, names.RESET_EPISODE)
    world.until(lambda: len(world.arms[""].targets) > 5, "a motion")
    busy = world.call(ResetEpisode, names.RESET_EPISODE)
    assert not busy.success
    assert "a reset is under way" in busy.message
    world.arms[""].silent = True
    world.until(future.done, "its end")
    assert not future.result().success
    assert "arm_state is" in future.result().message
    assert "hil-serl recover" in future.result().message


def test_a_blocked_arm_is_not_pressed_and_named(make_world, ram_file):
    world = make_world(ram_file, FAR, time_limit=1.5, leash=0.03)
    arm = world.arms[""]
    arm.blocked = True
    reply = world.call(ResetEpisode, names.RESET_EPISODE)
    assert not reply.success
    assert "is something in its way" in reply.message
    assert max(distances(target, arm.pose)[0] for _, target, _ in arm.targets) < 0.03 + 0.1 * 0.4


def test_a_second_commander_ends_the_motion(make_world, ram_file):
    world = make_world(ram_file, FAR, linear_speed=0.01)
    other = world.node.create_publisher(PoseStamped, names.TARGET_POSE, qos.TARGET)
    future = world.start(ResetEpisode, names.RESET_EPISODE)
    while not future.done():
        other.publish(pose_stamped(world.starts[""], seconds_to_ns(world.now), world.spec.base_frame))
        world.play()
    assert not future.result().success
    assert "another node publishes /target_pose" in future.result().message


def test_wrench_task_is_reset_by_pose(make_world, flip_file):
    world = make_world(flip_file, {"": (0.05, 0.0, 0.0)})
    modes = []

    def on_set(request, reply):
        modes.append({p.name: p.value.string_value for p in request.parameters})
        reply.results = [SetParametersResult(successful=True)]
        return reply

    world.node.create_service(SetParameters, "cartesian_controller/set_parameters", on_set)
    assert world.call(ResetEpisode, names.RESET_EPISODE, ResetEpisode.Request(seed=3)).success
    assert_nothing_jumps(world.arms[""], world.starts[""], world.born)
    assert not world.arms[""].wrenches
    assert modes == [{"mode": "impedance"}, {"mode": "wrench"}]


def test_actor_and_cell_start_without_a_jump_and_a_fault_waits_for_people(make_world, ram_file):
    # At rest at the goal before the actor begins to hold it where it is: the two publish milliseconds apart.
    world = make_world(ram_file, FAR, actor=True, settle=0.2, position_tolerance=0.0005)
    arm, episodes = world.arms[""], []
    world.node.create_subscription(EpisodeSummary, names.EPISODE, episodes.append, qos.EPISODE)
    world.until(lambda: episodes, "an episode")
    begun = stamp_to_seconds(episodes[0].header.stamp)
    world.until(lambda: arm.targets[-1][0] > begun + 0.3, "targets of the episode")
    assert_nothing_jumps(arm, world.starts[""], world.born)
    refused = world.call(Trigger, names.JOINT_RESET)
    assert not refused.success
    assert "no joint pose is configured" in refused.message

    asked = []
    world.node.create_service(Trigger, names.RESET_FAULT, lambda _, reply: _clear(arm, asked, reply))
    arm.fault = "a target was stale"
    world.until(lambda: not episodes[-1].started, "the end of the episode")
    for _ in range(20):
        world.play()
    assert not asked, "nothing recovers by itself"
    targets = len(arm.targets)
    reply = world.call(Trigger, names.RECOVER)
    assert reply.success, reply.message
    assert "unpause" in reply.message
    assert asked
    started = len([e for e in episodes if e.started])
    world.until(lambda: len(arm.targets) > targets + 5, "the actor's hold")
    assert len([e for e in episodes if e.started]) == started, "paused until a person goes on"
    assert world.call(SetBool, names.PAUSE, SetBool.Request(data=False)).success
    world.until(lambda: len([e for e in episodes if e.started]) > started, "the next episode")


def _clear(arm, asked, reply):
    asked.append(True)
    arm.fault = ""
    reply.success, reply.message = True, "cleared"
    return reply
