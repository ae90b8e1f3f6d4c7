# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of arms, devices and the stop."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from hil_serl_actor.loop.stop_latch import StopLatch
from hil_serl_actor.senses.source_health import SourceHealth
from hil_serl_actor.wiring.reports import SILENT_ARM, SILENT_DEVICE, arm_status, device_status, stop_status

LEVELS = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warn", DiagnosticStatus.ERROR: "error"}


def level(status):
    return LEVELS[status.level]


def test_the_rate_is_that_since_it_was_last_asked_for():
    source = SourceHealth("arm_state", 0.0)
    for k in range(100):
        source.heard(0.02 * k)
    assert source.rate(2.0) == pytest.approx(50.0)
    assert source.rate(3.0) == 0.0
    assert source.rate(3.0) == 0.0, "asked twice at one time"


def test_a_source_counts_as_silent_only_after_the_grace_of_the_start():
    source = SourceHealth("arm_state", 10.0)
    assert source.silent(5.0) == 0.0
    assert source.silent(12.0) == 2.0


def test_an_arm_that_is_lost_or_faulty_is_an_error_with_a_remedy():
    source = SourceHealth("left/arm_state", 0.0)
    source.heard(1.0)
    status = arm_status("left", source, 1.5, "")
    assert (level(status), status.name, status.hardware_id) == ("ok", "actor/arm/left", "left/arm_state")
    status = arm_status("left", source, 1.6, "target is stale")
    assert level(status) == "error"
    assert "target is stale" in status.message
    assert "reset_fault" in status.message
    status = arm_status("", source, 1.0 + SILENT_ARM + 1, "")
    assert (level(status), status.name) == ("error", "actor/arm")
    assert "no state for 4 s" in status.message


def test_a_silent_device_warns_that_nobody_can_intervene():
    source = SourceHealth("spacenav/joy", 0.0)
    assert level(device_status("", source, 1.0)) == "ok"
    status = device_status("", source, SILENT_DEVICE + 1)
    assert (level(status), status.name) == ("warn", "actor/operator")
    assert "teleop-check" in status.message


def test_the_stop_is_an_error_until_it_is_cleared():
    latch = StopLatch()
    assert level(stop_status(latch)) == "ok"
    latch.engage("the service stop", False)
    assert level(stop_status(latch)) == "error"
    assert "clear_stop" in stop_status(latch).message
    latch.release()
    assert level(stop_status(latch)) == "ok"
