# SPDX-License-Identifier: Apache-2.0
"""One ROS domain, one run: whatever the account, the temporary folder and the way it was started."""

import functools
import os
import shutil
import socket
import subprocess
import sys

import pytest

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros import domain
from hil_serl_ros.domain import (
    CLOCK,
    EVERYTHING,
    GUEST,
    Claim,
    DomainBusyError,
    Reservation,
    hold_domain,
    role,
)

ACTOR = role("actor")
# Runs and other test processes choose from the lowest one on. Here it is from a higher one on, which none of them takes
# between two lines of a test.
FIRST = 40 + os.getpid() % 50
HOLD = f"""
import functools, sys
from hil_serl_ros import domain
from hil_serl_ros.domain import hold_domain, role
domain.choose = functools.partial(domain.choose, first={FIRST})
with hold_domain([role("actor")]) as number:
    print(number, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    """As in a terminal: no domain chosen, and no child of this suite."""
    monkeypatch.delenv("ROS_DOMAIN_ID")
    monkeypatch.delenv(GUEST)
    monkeypatch.setattr(domain, "choose", functools.partial(domain.choose, first=FIRST))


def holder(*prefix, **variables):
    """Another process that holds a domain; its number."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [*prefix, sys.executable, "-c", HOLD]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/", text=True
    )
    return process, int(process.stdout.readline())


def end(process):
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_two_runs_get_two_domains():
    with hold_domain([ACTOR]) as first:
        assert os.environ.pop("ROS_DOMAIN_ID") == str(first)
        with hold_domain([ACTOR]) as second:
            assert second != first
    assert "ROS_DOMAIN_ID" not in os.environ


def test_a_domain_asked_for_and_in_use_is_refused_and_says_who_uses_it(monkeypatch):
    with hold_domain([ACTOR]) as number:
        assert os.environ["ROS_DOMAIN_ID"] == str(number)
        wanted = rf"actor /\) on this machine uses ROS_DOMAIN_ID={number}: process {os.getpid()} .*export ROS_DOMAIN_ID=\d"
        with pytest.raises(DomainBusyError, match=wanted), hold_domain([ACTOR]):
            pass


def test_a_killed_run_frees_its_domain(monkeypatch):
    process, number = holder()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    with pytest.raises(DomainBusyError), hold_domain([ACTOR]):
        pass
    process.kill()
    process.communicate()
    with hold_domain([ACTOR]) as mine:
        assert mine == number


def test_a_child_does_not_keep_the_domain_of_a_run_that_has_ended():
    with hold_domain([ACTOR]) as number:
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with Reservation(number, [ACTOR]):
            pass
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be somebody else"
)
def test_another_account_with_a_temporary_folder_of_its_own_gets_another_domain(tmp_path):
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with hold_domain([ACTOR]) as mine:
        os.environ.pop("ROS_DOMAIN_ID")
        process, number = holder(*other, TMPDIR="/nonexistent", HOME="/nonexistent")
        try:
            assert number != mine
            with pytest.raises(DomainBusyError, match=f"process {process.pid} of account nobody"):
                Reservation(number, [ACTOR])
        finally:
            end(process)
        process, refused = (
            None,
            subprocess.run(
                [*other, sys.executable, "-c", HOLD],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ROS_DOMAIN_ID": str(mine)},
                cwd="/",
                input="",
                capture_output=True,
                text=True,
            ),
        )
        assert f"process {os.getpid()} of account root" in refused.stderr


def test_other_names_share_a_domain_and_a_second_simulator_does_not():
    with hold_domain([role("actor", "cell_1"), CLOCK]) as number:
        with Reservation(number, [role("actor", "cell_2"), role("learner")]):
            pass
        with pytest.raises(DomainBusyError, match="clock"):
            Reservation(number, [role("actor", "cell_2"), CLOCK])
        with Reservation(number, [role("actor", "cell_2")]):  # nothing was kept of what was refused
            pass


def test_whoever_chooses_avoids_every_name(monkeypatch):
    """Also of a launched run, which is in the domain of its terminal and in a namespace of its own."""
    with hold_domain([]) as free:
        pass
    with Reservation(free, [role("actor", "launched")]), hold_domain([ACTOR]) as chosen:
        assert chosen != free


def test_a_cell_that_runs_already_is_looked_for_where_it_is():
    with hold_domain([role("actor", f"of_an_external_cell_{os.getpid()}")], fixed=True) as number:
        assert number == 0


def test_a_suite_has_its_domain_to_itself_and_its_children(monkeypatch):
    with domain.choose([EVERYTHING]) as suite:
        assert suite.domain > 0
        with pytest.raises(DomainBusyError, match="test suite"):
            Reservation(suite.domain, [ACTOR])
        monkeypatch.setenv(GUEST, str(suite.domain))
        with Reservation(suite.domain, [ACTOR]):
            pass


def test_a_test_that_ros_gave_a_domain_is_avoided():
    """domain_coordinator, by which ROS's tests choose, holds a port."""
    with hold_domain([]) as free:
        pass
    with socket.socket() as port:
        port.bind(("", 32768 + free))
        with hold_domain([ACTOR]) as number:
            assert number != free


def test_and_it_avoids_ours():
    coordinator = pytest.importorskip("domain_coordinator")
    with domain.choose([ACTOR]) as ours:
        tried = iter([ours.domain, ours.domain, *range(ours.domain + 1, 101)])
        with coordinator.domain_id(lambda: next(tried)) as theirs:
            assert theirs != ours.domain


@pytest.mark.parametrize("text", ["my robot", "-1", "233", "1.5", "٣"])
def test_what_is_no_domain_is_named(monkeypatch, text):
    monkeypatch.setenv("ROS_DOMAIN_ID", text)
    with (
        pytest.raises(DomainBusyError, match=f"ROS_DOMAIN_ID={text} is no ROS domain.*unset ROS_DOMAIN_ID"),
        hold_domain([]),
    ):
        pass


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    with hold_domain([]) as number:
        assert os.environ["ROS_DOMAIN_ID"] == str(number)


def test_long_namespaces_are_told_apart():
    one, other = (role("actor", "a_long_name/" * 20 + end) for end in ("left", "right"))
    assert len(Claim(5, one).address) <= 107
    with hold_domain([one]) as number, Reservation(number, [other]), pytest.raises(DomainBusyError):
        Reservation(number, [one])
