# SPDX-License-Identifier: Apache-2.0
"""kill -9 of actor and learner during training: the bags and the learner's ledger agree, every step counts once."""

from __future__ import annotations

import random
import time

import pytest
from std_srvs.srv import SetBool

from hil_serl_ros import names
from hil_serl_ros.bag import read_steps

pytestmark = [pytest.mark.integration]


def test_killed_actor_and_learner_lose_nothing_and_count_nothing_twice(demonstrated, start_run, listener):
    bags = demonstrated.run_dir / "bags" / "train" / "actor_0"
    run = start_run(demonstrated)
    for name in ("learner", "sim", "operator", "actor"):
        run.start(name)

    def transitions():
        return listener.status.environment_steps if listener.status is not None else 0

    def go_on(more):
        listener.status = None
        listener.wait(lambda: listener.status is not None, run, "a status of the learner")
        target = transitions() + more
        listener.wait(lambda: transitions() >= target, run, f"{target} transitions at the learner")

    moments = random.Random(0)
    go_on(150)
    for victim in ("actor", "learner", "actor", "learner"):
        time.sleep(moments.uniform(0.0, 1.5))
        run.kill(victim)
        if moments.random() < 0.5:
            time.sleep(moments.uniform(0.0, 2.0))
        run.start(victim, resume=True)
        go_on(60)

    # Stand still, so that both sides can be counted.
    listener.call(SetBool, names.PAUSE, SetBool.Request(data=True), run)
    in_bags = []

    def settled():
        in_bags[:] = list(read_steps(bags))
        ack = next((a for a in listener.status.acks if a.actor_id == "actor_0"), None)
        return ack is not None and ack.acknowledged == in_bags[-1].sequence

    listener.wait(settled, run, "the learner to acknowledge the last step")
    ack = next(a for a in listener.status.acks if a.actor_id == "actor_0")
    assert [step.sequence for step in in_bags] == list(range(len(in_bags)))
    assert ack.records == len(in_bags)
    assert ack.rejected == 0
    assert listener.status.environment_steps == sum(step.action is not None for step in in_bags)
    starts = [step for step in in_bags if step.is_first]
    assert [step.episode for step in starts] == list(range(len(starts))), "a cut episode is never continued"
    # One bag per start that made steps; the actor was started three times and always made some at first.
    assert 1 < len({path.name for path in bags.iterdir()}) <= 3
