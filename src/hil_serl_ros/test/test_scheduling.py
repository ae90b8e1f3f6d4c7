# SPDX-License-Identifier: Apache-2.0
"""Priorities that are asked for and granted, or not; nothing here needs special rights."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros.scheduling import VARIABLE, Scheduling, SchedulingError, schedule, schedule_by


class Strict:
    """A system that refuses what it is told to refuse."""

    def __init__(self, *refuses):
        self.refuses, self.set = refuses, {}

    def _take(self, what, value):
        if what in self.refuses:
            raise PermissionError(1, "Operation not permitted")
        self.set[what] = value

    def nice(self, nice):
        self._take("nice", nice)

    def realtime(self, priority):
        self._take("realtime", priority)

    def cpus(self, cpus):
        self._take("cpus", cpus)

    def granted(self):
        return f"nice {self.set.get('nice', 0)}"


@pytest.mark.parametrize(
    "wanted",
    [
        Scheduling(),
        Scheduling(nice=-10),
        Scheduling(nice=10, cpus=(2, 3)),
        Scheduling(realtime=20, nice=-5, cpus=(1,)),
    ],
)
def test_a_wish_travels_as_text(wanted):
    assert Scheduling.from_text(wanted.text) == wanted


@pytest.mark.parametrize("text", ["nice", "nice=high", "fast=1", "cpus=1;2"])
def test_a_text_that_cannot_be_read_is_named(text):
    with pytest.raises(SchedulingError, match=VARIABLE):
        Scheduling.from_text(text)


def test_what_is_granted_is_said():
    system = Strict()
    granted = schedule(Scheduling(nice=-10, realtime=20, cpus=(2, 3)), system)
    assert system.set == {"nice": -10, "realtime": 20, "cpus": (2, 3)}
    assert granted.text == "scheduled with nice -10"


def test_what_is_refused_is_said_and_the_rest_is_asked_for_all_the_same():
    system = Strict("nice", "realtime")
    granted = schedule(Scheduling(nice=-10, realtime=20, cpus=(2, 3)), system)
    assert system.set == {"cpus": (2, 3)}
    assert granted.refused == (
        "nice -10 (Operation not permitted)",
        "SCHED_FIFO 20 (Operation not permitted)",
    )
    assert granted.text.startswith(
        "scheduled with nice 0; not granted: nice -10 (Operation not permitted); SCHED_FIFO 20"
    )
    assert "docs/safety.md" in granted.text


def test_nothing_is_touched_where_nothing_is_asked_for():
    system = Strict("nice", "realtime", "cpus")
    assert schedule_by({}, system) is None
    assert schedule_by({VARIABLE: ""}, system) is None


NODE = """
import sys
from rclpy.node import Node
from hil_serl_ros.node_main import run_node

class Brief(Node):
    def __init__(self):
        super().__init__("brief")
        self.create_timer(0.05, self.end)
    def end(self):
        import os, threading
        found = []
        thread = threading.Thread(target=lambda: found.append(os.getpriority(os.PRIO_PROCESS, 0)))
        thread.start()
        thread.join()
        print("threads inherit", found[0], flush=True)
        raise SystemExit(0)

sys.exit(run_node(Brief))
"""


def run_brief(scheduling):
    environment = {**os.environ, VARIABLE: scheduling}
    return subprocess.run(
        [sys.executable, "-c", NODE], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


def test_a_node_is_scheduled_as_its_environment_says_with_all_its_threads_and_logs_it():
    own = os.getpriority(os.PRIO_PROCESS, 0)
    if own >= 19:
        pytest.skip("this process is the last already")
    done = run_brief(f"nice={own + 1}")
    assert done.returncode == 0, done.stderr
    assert f"threads inherit {own + 1}" in done.stdout
    assert f"scheduled with nice {own + 1}" in done.stdout + done.stderr


def test_a_node_starts_though_the_system_refuses():
    done = run_brief("cpus=4095")  # there is none of this number
    assert done.returncode == 0, done.stderr
    assert "not granted: CPUs (4095,)" in done.stdout + done.stderr


def test_a_wish_that_cannot_be_read_is_a_users_error():
    done = run_brief("nice=high")
    assert done.returncode == 2
    assert f"error: {VARIABLE}: 'nice=high' needs whole numbers" in done.stderr
