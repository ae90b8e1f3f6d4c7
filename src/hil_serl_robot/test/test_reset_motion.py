# SPDX-License-Identifier: Apache-2.0
"""Motion of the targets, its supervision, and the way in joint space; without ROS."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import nominal_pose
from hil_serl_robot.cell.joint_path import joint_path
from hil_serl_robot.cell.mover import Mover
from hil_serl_robot.cell.reset_motion import MotionLimits, ResetMotion, StraightLine, TimeScaling, distances
from hil_serl_robot.cell.reset_run import Ended, ResetLimits, ResetRun

LIMITS = MotionLimits(leash=10.0, angular_leash=10.0)


def random_pose(rng):
    """(7,) pose within 40 cm and 2.6 rad of the origin."""
    return geometry.make_pose(rng.uniform(-0.4, 0.4, 3), Rotation.from_rotvec(rng.uniform(-1.5, 1.5, 3)))


def follow(motion, measured, period):
    """(n, 7) targets of one arm that follows exactly."""
    path = [motion.targets[""]]
    while not motion.finished:
        path.append(motion.advance(period, {"": path[-1]})[""])
    return np.array(path)


@pytest.mark.parametrize("lift", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_starts_where_measured_and_keeps_its_speed(seed, lift):
    rng = np.random.default_rng(seed)
    start, goal, period = random_pose(rng), random_pose(rng), 0.1
    path = follow(ResetMotion({"": start}, {"": goal}, LIMITS, lift=lift), start, period)
    assert np.array_equal(path[0], start)
    assert np.allclose(path[-1][:3], goal[:3])
    assert distances(path[-1], goal)[1] < 1e-6
    steps = np.array([distances(a, b) for a, b in itertools.pairwise(path)]) / period
    assert steps[:, 0].max() <= LIMITS.linear_speed * 1.001
    assert steps[:, 1].max() <= LIMITS.angular_speed * 1.001


@pytest.mark.parametrize("seed", range(5))
def test_a_line_keeps_both_accelerations(seed):
    rng = np.random.default_rng(seed)
    line = StraightLine(random_pose(rng), random_pose(rng), LIMITS)
    scaling = TimeScaling(line.speed, line.acceleration)
    times = np.linspace(0.0, scaling.duration, 200)
    path, step = np.array([line.at(scaling.at(t)) for t in times]), times[1]
    linear = np.diff(path[:, :3], n=2, axis=0) / step**2
    turned = np.array([distances(path[0], pose)[1] for pose in path])
    assert np.linalg.norm(linear, axis=1).max() <= LIMITS.linear_acceleration * 1.01
    assert np.abs(np.diff(turned, n=2)).max() / step**2 <= LIMITS.angular_acceleration * 1.01


def test_rises_first_but_not_through_the_ceiling():
    start, goal = np.array([0.5, 0, 0.1, 1.0, 0, 0, 0]), np.array([0.6, 0, 0.1, 1.0, 0, 0, 0])
    path = follow(ResetMotion({"": start}, {"": goal}, LIMITS, {"": 0.13}, lift=0.1), start, 0.02)
    top = int(np.argmax(path[:, 2]))
    assert path[top, 2] == pytest.approx(0.13)
    assert np.allclose(path[:top, 0], 0.5)
    above = start + np.array([0, 0, 0.2, 0, 0, 0, 0])
    path = follow(ResetMotion({"": above}, {"": goal}, LIMITS, {"": 0.13}, lift=0.1), above, 0.02)
    assert path[:, 2].max() == pytest.approx(0.3), "an arm above the ceiling stays at its height"


def test_arms_arrive_together():
    far = np.array([0.4, 0, 0, 0, 0, 0, 1.0])
    near = np.array([0.1, 0, 0, 0, 0, 0, 1.0])
    home = np.array([0.0, 0, 0, 0, 0, 0, 1.0])
    motion = ResetMotion({"left": far, "right": near}, {"left": home, "right": home}, LIMITS)
    while not motion.finished:
        targets = motion.advance(0.02, motion.targets)
        assert targets["left"][0] == pytest.approx(4 * targets["right"][0], abs=1e-9)


def test_waits_for_an_arm_that_hangs_behind():
    start, goal = np.array([0.0, 0, 0, 0, 0, 0, 1.0]), np.array([0.5, 0, 0, 0, 0, 0, 1.0])
    motion = ResetMotion({"": start}, {"": goal}, MotionLimits(leash=0.03))
    for _ in range(200):
        target = motion.advance(0.02, {"": start})[""]
    assert 0.03 < target[0] <= 0.03 + 0.02 * 0.1
    assert motion.waits_for({"": start}) == [""]
    motion.advance(0.02, {"": target})
    assert motion.targets[""][0] > target[0], "it goes on when the arm has come"


def test_no_way_takes_no_time():
    still = np.array([0.5, 0, 0.1, 1.0, 0, 0, 0])
    motion = ResetMotion({"": still}, {"": still}, LIMITS)
    assert motion.duration == 0.0
    assert np.array_equal(motion.advance(0.02, {"": still})[""], still)
    assert motion.finished


def test_time_scaling_is_smooth_to_the_end():
    scaling = TimeScaling(0.5, 2.0)
    times = np.linspace(0, scaling.duration, 1001)
    shares = np.array([scaling.at(t) for t in times])
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    speeds = np.diff(shares) / np.diff(times)
    assert speeds.max() <= 0.5 + 1e-9
    assert np.abs(np.diff(speeds)).max() / (times[1] - times[0]) <= 2.0 + 1e-6
    middle = 0.5 * (times[1:] + times[:-1])
    assert np.allclose(speeds, [scaling.speed_at(t) for t in middle], atol=1e-3)


def test_joint_path_keeps_speed_and_ends_at_rest_at_the_goal():
    start, goal = np.zeros(7), np.array([0.0, -0.8, 0.1, -2.3, 0.0, 1.6, 0.8])
    points = joint_path(start, goal, 0.3, 0.5)
    times = np.array([0.0, *(p.time for p in points)])
    path = np.array([start, *(p.position for p in points)])
    assert (np.diff(times) > 0).all()
    assert np.abs(np.diff(path, axis=0) / np.diff(times)[:, None]).max() <= 0.3 * 1.001
    assert np.array_equal(points[-1].position, goal)
    assert not points[-1].velocity.any()
    assert len(joint_path(goal, goal, 0.3, 0.5)) == 1
    with pytest.raises(ValueError, match="not possible"):
        joint_path(np.zeros(6), goal, 0.3, 0.5)
    with pytest.raises(ValueError, match="not possible"):
        joint_path(np.full(7, math.nan), goal, 0.3, 0.5)


# ------------------------------------------------------------ supervision


@pytest.fixture
def run(spec, arm_sample):
    """``run(offset [m], **limits)``: a reset of the RAM task from there to its nominal pose, begun at 0 s."""

    def make(x=0.1, **limits):
        goal = nominal_pose(spec.arm(""))
        start = goal + np.array([x, 0, 0, 0, 0, 0, 0])
        own = ResetLimits(LIMITS, **limits)
        return ResetRun(spec, {"": goal}, {"": arm_sample(0.0, tcp_pose=start)}, own, 0.0), start

    return make


def test_run_follows_to_success(run, arm_sample):
    reset, pose = run()
    result, now = {"": pose}, 0.0
    while not isinstance(result, Ended):
        now += 0.02
        assert now < 60
        result_ = reset.step(now, {"": arm_sample(now, tcp_pose=pose)})
        if not isinstance(result_, Ended):
            pose = result_[""]
        result = result_
    assert result.success
    assert now > reset.duration


def test_a_pause_of_the_process_makes_no_jump(run, arm_sample):
    reset, pose = run(0.4)
    for now in np.arange(0.02, 2.0, 0.02):
        pose = reset.step(now, {"": arm_sample(now, tcp_pose=pose)})[""]
    after = reset.step(7.0, {"": arm_sample(7.0, tcp_pose=pose)})[""]
    assert distances(pose, after)[0] <= 0.1 * LIMITS.linear_speed * 1.001


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"halt": "stopped by a person"}, "stopped by a person"),
        ({"intruder": "/target_pose"}, "another node publishes /target_pose"),
        ({"age": 1.0}, "arm_state is 1.00 s old"),
        ({"age": -1.0}, "arm_state is stamped 1.00 s in the future"),
        ({"fault": 3, "fault_text": "bad frame"}, "in a fault (bad frame); look what caused it"),
        ({"missing": True}, "nothing heard on arm_state"),
    ],
)
def test_what_ends_a_run_at_once(run, arm_sample, changes, reason):
    reset, pose = run()
    keep = {key: changes.pop(key) for key in ("halt", "intruder") if key in changes}
    age, missing = changes.pop("age", 0.0), changes.pop("missing", False)
    arm = None if missing else arm_sample(5.0 - age, tcp_pose=pose, **changes)
    ended = reset.step(5.0, {"": arm}, **keep)
    assert isinstance(ended, Ended)
    assert not ended.success
    assert reason in ended.reason


def test_time_limit_says_how_far_it_is_and_why(run, arm_sample):
    reset, pose = run(time_limit=2.0)
    reset.step(1.0, {"": arm_sample(1.0, tcp_pose=pose)})
    ended = reset.step(3.0, {"": arm_sample(3.0, tcp_pose=pose)})
    assert "100 mm" in ended.reason
    assert "is the controller active" in ended.reason


def test_mover_leaves_the_arm_to_others_and_holds_nothing_it_cannot_see(spec, arm_sample):
    sent = []
    limits = ResetLimits(LIMITS, stale=3.0)
    mover = Mover(spec, limits, lambda commands, now: sent.append((now, commands)), int)
    with pytest.raises(ValueError, match="no tcp pose in 'base'"):
        mover.put_arm("", arm_sample(0.0, frame="table"))
    mover.put_arm("", arm_sample(0.0))
    mover.hold_here(1.0)
    mover.hear_target("target_pose", 1, 1.0)
    mover.tick(2.0)
    assert [now for now, _ in sent] == [1.0, 2.0], "its own target is not somebody else's"
    mover.hear_target("target_pose", 77, 2.0)
    mover.tick(3.0)
    assert len(sent) == 2

    ended = []
    mover.put_arm("", arm_sample(4.0))
    mover.start({"": nominal_pose(spec.arm(""))}, 4.0, ended.append)
    sent.clear()
    mover.tick(9.0)  # the state is 5 s old
    assert not ended[0].success
    mover.tick(9.1)
    assert not sent


@pytest.mark.parametrize("lost", ["silent", "fault"])
def test_a_hold_ends_with_the_arm_that_it_is_for(spec, arm_sample, lost):
    """An arm that its controller left meanwhile may come back elsewhere: nothing may pull it to where it was."""
    sent = []
    mover = Mover(spec, ResetLimits(LIMITS), lambda commands, now: sent.append(now), int)
    mover.put_arm("", arm_sample(1.0))
    mover.hold_here(1.0)
    if lost == "fault":
        mover.put_arm("", arm_sample(1.9, fault=2))
    mover.tick(2.0)
    mover.put_arm("", arm_sample(2.1))
    mover.tick(2.1)
    assert sent == [1.0]


def test_the_actors_last_target_is_nobody_elses_however_late_it_comes(spec, arm_sample):
    ended = []
    mover = Mover(spec, ResetLimits(LIMITS, stale=9.0), lambda commands, now: None, round)
    goal = {"": nominal_pose(spec.arm(""))}
    goal[""][0] += 0.2
    mover.put_arm("", arm_sample(10.0))
    mover.start(goal, 10.0, ended.append)
    mover.hear_target("target_pose", 9, 12.0)  # stamped before the motion began
    mover.tick(12.0)
    assert not ended
    mover.hear_target("target_pose", 11, 12.1)
    mover.tick(12.1)
    assert "another node publishes target_pose" in ended[0].reason


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_motion_ends_where_the_clock_is_set_and_says_so(spec, arm_sample, step):
    ended, sent = [], []
    mover = Mover(spec, ResetLimits(LIMITS), lambda commands, now: sent.append(now), int)
    goal = {"": nominal_pose(spec.arm(""))}
    goal[""][0] += 0.2
    mover.put_arm("", arm_sample(5000.0))
    mover.start(goal, 5000.0, ended.append)
    mover.clock_was_set("the clock was set")
    assert ended == [Ended(False, "the clock was set on the way")]
    now = 5000.0 + step
    assert "nothing heard" in mover.unusable(now), "a state from before is dropped, not called old"
    mover.put_arm("", arm_sample(now))
    mover.start(goal, now, ended.append)
    mover.tick(now + 0.1)
    assert len(ended) == 1
    assert sent[-1] == now + 0.1
