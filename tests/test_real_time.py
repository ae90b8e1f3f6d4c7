# SPDX-License-Identifier: Apache-2.0
"""In real time the actor keeps its rate while the learner is busy, refuses bad weights, and names a dead cell."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from hil_serl_bringup.graph.robot_processes import Cell
from hil_serl_core.episode import Mode
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import wait_for
from hil_serl_msgs.msg import PolicyWeights, Step
from hil_serl_ros import names, qos

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture
def training(demonstrated, start_run, listener):
    """A training in real time; steps as an outsider hears them."""
    run = start_run(replace(demonstrated, speed="1.0"))
    for name in ("learner", "sim", "operator", "actor"):
        run.start(name)
    listener.steps = []
    listener.node.create_subscription(Step, names.STEP, listener.steps.append, qos.STEP)
    listener.wait(lambda: len(listener.steps) > 60, run, "60 steps")
    return run


def stamp(step):
    return step.header.stamp.sec + 1e-9 * step.header.stamp.nanosec


def test_actor_keeps_its_rate_beside_a_busy_learner_and_refuses_bad_weights(training, listener):
    updates = listener.status.updates
    start = len(listener.steps)
    listener.wait(lambda: len(listener.steps) >= start + 100, training, "100 more steps")
    assert listener.status.updates > updates, "the learner was not busy"
    steps = listener.steps[start:]
    gaps = np.array([stamp(b) - stamp(a) for a, b in itertools.pairwise(steps) if not b.is_first])
    assert np.median(gaps) == pytest.approx(0.1, abs=0.005)
    assert (gaps < 0.2).mean() > 0.95

    # Weights of another task, and damaged ones, change nothing.
    spec = load_task(training.request.task)
    publisher = listener.node.create_publisher(PolicyWeights, names.POLICY_WEIGHTS, qos.POLICY_WEIGHTS)
    for number, spec_hash in enumerate(("0123456789abcdef", spec.hash)):
        publisher.publish(
            PolicyWeights(version=10**6 + number, spec_hash=spec_hash, sha256="0" * 64, data=[1, 2, 3])
        )
        before = len(listener.steps)
        listener.wait(lambda count=before: len(listener.steps) >= count + 20, training, "steps go on")
    assert all(step.policy_version < 10**6 for step in listener.steps)
    log = training.log("actor")
    assert "were trained under task spec 0123456789abcdef" in log
    assert "are damaged" in log


def test_a_dead_cell_is_named(training):
    training.kill("sim")
    # In one line: an earlier one may tell of another silence, e.g. of an operator slow to start on a busy machine.
    told = re.compile(r"nothing heard for 3 s on .*arm_state.*camera/wrist_2/image_raw")
    wait_for(
        lambda: told.search(training.log("actor")), "its name", training.check, lambda: training.log("actor")
    )


def test_a_camera_that_was_never_there_is_named_in_lockstep_too(demonstrated, start_run):
    unplugged = {names.camera_image("wrist_2"): "camera/unplugged/image_raw"}
    run = start_run(
        replace(demonstrated, mode=Mode.RECORD_DEMOS, actor_id="other", cell=Cell(remappings=unplugged))
    )
    for name in ("sim", "operator", "actor"):
        run.start(name)
    told = "nothing heard for 3 s on camera/wrist_2/image_raw (nobody publishes /camera/unplugged/image_raw:"
    wait_for(lambda: told in run.log("actor"), "its name", run.check, lambda: run.log("actor"))
