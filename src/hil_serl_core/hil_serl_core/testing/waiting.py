# SPDX-License-Identifier: Apache-2.0
"""Waiting in tests, for those of all packages.

A machine that others load ten times over starts a node in a minute. Whatever is waited for has the same patience, which
only keeps a test from hanging for ever: no test says by it how fast something has to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 600.0
"""Seconds until what is waited for counts as never coming."""


FEW = 3
"""So many waits in vain show that something is broken: the later ones take a tenth, so that the suite comes to its end."""
_in_vain: list[str] = []


def pause() -> None:
    """What a test does between two looks when it has nothing to spin."""
    time.sleep(0.05)


def wait_for(
    condition: Callable[[], Any],
    what: str = "what the test waits for",
    meanwhile: Callable[[], object] = pause,
    says: Callable[[], object] = lambda: "",
) -> Any:
    """Wait until ``condition`` holds, and fail the test when it does not within PATIENCE.

    Args:
        condition: Looked at again and again.
        what: Its name for people.
        meanwhile: Called between two looks: spins an executor, publishes a message, or fails the test itself.
        says: What else to show on failure, such as the log of a process.

    Returns:
        The value of ``condition`` that held.
    """
    seconds = PATIENCE if len(_in_vain) < FEW else 0.1 * PATIENCE
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            _in_vain.append(what)
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}\n{says()}".strip())
        meanwhile()
    return value


def let_pass(seconds: float, meanwhile: Callable[[], object] = pause) -> None:
    """Let at least so much time pass; only for what must NOT happen meanwhile, or must go on in real time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        meanwhile()
