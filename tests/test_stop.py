# SPDX-License-Identifier: Apache-2.0
"""The latched stop over real topics: simulator and actor in real time, a stop from outside, a late listener, the clear."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Bool

from hil_serl_bringup.graph.build import GraphRequest
from hil_serl_cli.commands.stop import call_trigger
from hil_serl_core.episode import Mode
from hil_serl_core.testing.waiting import PATIENCE, let_pass
from hil_serl_msgs.msg import ArmState, EpisodeSummary
from hil_serl_ros import names, qos
from hil_serl_ros.bag import read_steps
from hil_serl_ros.geometry_messages import pose_to_array

pytestmark = [pytest.mark.integration]


@pytest.fixture
def cell(easy_task, tmp_path, start_run, listener):
    """A demonstration being driven in real time; targets, poses and episodes as an outsider hears them."""
    run = start_run(GraphRequest(str(easy_task), Mode.RECORD_DEMOS, tmp_path, seed=3, speed="1.0"))
    listener.targets, listener.poses, listener.episodes, listener.stopped = [], [], [], []
    node = listener.node
    node.create_subscription(
        PoseStamped, names.TARGET_POSE, lambda m: listener.targets.append(pose_to_array(m.pose)), qos.TARGET
    )
    node.create_subscription(
        ArmState, names.ARM_STATE, lambda m: listener.poses.append(pose_to_array(m.tcp_pose)), qos.ARM_STATE
    )
    node.create_subscription(EpisodeSummary, names.EPISODE, listener.episodes.append, qos.EPISODE)
    for name in ("sim", "operator", "actor"):
        run.start(name)
    listener.wait(lambda: any(e.started for e in listener.episodes), run, "an episode")
    count = len(listener.targets)
    listener.wait(lambda: len(listener.targets) > count + 10, run, "ten targets of the episode")
    return run


def stop_where_nothing_else_works():
    """`hil-serl stop` without a home, a log folder or a temporary one, with settings left over; its answer."""
    nowhere = dict.fromkeys(("HOME", "ROS_LOG_DIR", "TMPDIR"), "/proc/nowhere")
    left_over = {"RMW_IMPLEMENTATION": "rmw_of_another_workspace", "PYTHONIOENCODING": "ascii:strict"}
    for _ in range(10):  # typed again where a busy machine did not find the actor in time
        done = subprocess.run(
            [sys.executable, "-m", "hil_serl_cli.cli", "stop"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **nowhere, **left_over},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stop_holds_the_arm_and_ends_the_episode_until_it_is_cleared(cell, listener, tmp_path):
    text = stop_where_nothing_else_works()
    assert "the service stop" in text
    assert "clear_stop" in text
    # Who listens only now hears it too.
    listener.node.create_subscription(
        Bool, names.STOPPED, lambda m: listener.stopped.append(m.data), qos.STOPPED
    )
    listener.wait(lambda: listener.stopped == [True], cell, "the latched state")
    ended = [e for e in listener.episodes if not e.started]
    assert (ended[-1].success, ended[-1].truncated, ended[-1].aborted) == (False, True, True)
    assert ended[-1].reason == "stopped: the service stop"

    def spin():
        listener.executor.spin_once(timeout_sec=0.05)

    def at_rest():
        targets, poses = np.array(listener.targets[-5:]), np.array(listener.poses[-5:])
        return np.ptp(targets, axis=0).max() < 1e-9 and np.ptp(poses[:, :3], axis=0).max() < 1e-4

    let_pass(1.0, spin)  # messages of before the stop, and the arm's last millimetres
    listener.wait(at_rest, cell, "the end of the motion")
    episodes, targets, poses = len(listener.episodes), len(listener.targets), len(listener.poses)
    let_pass(2.0, spin)
    # A controller that hears nothing would call its target stale.
    listener.wait(lambda: len(listener.targets) > targets + 5, cell, "targets of the hold")
    held = np.array(listener.targets[targets:])
    assert np.ptp(held, axis=0).max() < 1e-9
    still = np.array(listener.poses[poses:])
    assert np.ptp(still[:, :3], axis=0).max() < 1e-3
    assert np.linalg.norm(still[-1, :3] - held[-1, :3]) < 0.01
    assert len(listener.episodes) == episodes, "nothing begins"

    done, text = call_trigger(names.CLEAR_STOP, patience=PATIENCE)
    assert done, text
    listener.wait(lambda: listener.stopped[-1] is False, cell, "the cleared state")
    listener.wait(lambda: len(listener.episodes) > episodes, cell, "the next episode")
    assert listener.episodes[-1].started
    assert not call_trigger(names.CLEAR_STOP, patience=PATIENCE)[0]
    assert "stopped: the service stop" in cell.log("actor")

    cell.stop()
    kept = list(read_steps(tmp_path / "bags", keep_before_damage=True))
    assert sum(step.episode == ended[-1].episode for step in kept) == ended[-1].steps
    assert [step.sequence for step in kept] == list(range(len(kept)))
