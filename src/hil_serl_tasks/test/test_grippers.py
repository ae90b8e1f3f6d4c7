# SPDX-License-Identifier: Apache-2.0
"""The shipped tasks wait for a hand as slow as a Franka hand."""

from __future__ import annotations

import pytest

from hil_serl_core.spec import load_task
from hil_serl_core.testing.hands import Bench
from hil_serl_tasks.finder import suite_folder

WITH_GRIPPER = [
    file
    for file in sorted(suite_folder().rglob("*.yaml"))
    if "common" not in file.parts and load_task(file).grippers
]


@pytest.mark.parametrize("file", WITH_GRIPPER, ids=lambda file: "/".join(file.parts[-2:]))
def test_every_shipped_task_fits_a_franka_hand(file):
    """Up to 1 s until it starts, 0.8 s for its stroke; its node finishes one goal before the next."""
    task = load_task(file)
    gripper = task.action.gripper
    assert gripper.travel_time >= 1.8
    bench = Bench(task, task.control.frequency, dead=1.0, queues=True, opening=gripper.open_position)
    close = {arm or "one": -1 for arm in task.arm_names}
    bench.play(0.5)
    bench.play(4.0, **close)
    told = set(bench.told[round(0.5 * task.control.frequency) :])
    assert told == {(gripper.close_position,) * task.grippers}
    assert bench.penalties == task.grippers
