# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_serl_ros.stamps import (
    seconds_to_ns,
    stamp_from_ns,
    stamp_from_seconds,
    stamp_to_ns,
    stamp_to_seconds,
)


@given(st.integers(0, (2**31 - 1) * 10**9 - 1))
def test_nanoseconds_survive(nanoseconds: int) -> None:
    assert stamp_to_ns(stamp_from_ns(nanoseconds)) == nanoseconds


@given(st.integers(0, 10**6))
def test_ticks_of_a_simulated_clock_survive_as_seconds(tick: int) -> None:
    seconds = tick * 0.1
    assert seconds_to_ns(seconds) == tick * 100_000_000
    assert seconds_to_ns(stamp_to_seconds(stamp_from_seconds(seconds))) == tick * 100_000_000


@given(st.floats(0, 2e9))
def test_seconds_are_stable_after_one_trip(seconds: float) -> None:
    once = stamp_to_seconds(stamp_from_seconds(seconds))
    assert stamp_to_seconds(stamp_from_seconds(once)) == once
    assert abs(once - seconds) <= 5e-7


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf"), 2.0**31])
def test_what_is_not_a_ros_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="stamp"):
        stamp_from_seconds(seconds)
