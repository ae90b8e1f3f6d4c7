# SPDX-License-Identifier: Apache-2.0
"""Reservation of ROS domains on one machine, so that no run hears, or moves the robot of, another.

A claim is a socket in Linux's abstract namespace. It needs no file, no permission and no home; every account sees it; it
belongs to the network namespace, as DDS traffic does; and the kernel drops it with its process, so that a crash leaves
nothing behind. Standard library only, because tests of packages without ROS ask here too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LAST_DOMAIN = 100  # higher ones collide with the ports Linux gives to clients
VARIABLE = "ROS_DOMAIN_ID"
EVERYTHING = "everything"
"""Claim of a test suite: nobody else may use the domain, under whatever names."""
GUEST = "_HIL_SERL_DOMAIN_GUEST"
"""Variable that lets the children of a suite use the domain which it holds."""
CLOCK = "clock"
"""Claim of a simulator: its `/clock` is heard in all namespaces."""

_PREFIX = "hil-serl/ros-domain"
_CHOOSING = "\0hil-serl/choosing-a-domain"
_LONGEST = 107  # bytes of a socket's address
_PATIENCE = 10.0  # s for others who are choosing
_COORDINATOR_PORT = 32768  # plus the domain: how ROS's own domain_coordinator keeps tests apart
_PEER = struct.Struct("3i")  # pid, uid, gid


class DomainBusyError(RuntimeError):
    """Another run on this machine uses the domain; the message says who, and what to do."""


@dataclass(frozen=True)
class Claim:
    """Something that a process on this machine holds.

    Attributes:
        domain: ROS domain.
        name: What: a role and its ROS namespace, such as ``actor /cell_1``.
    """

    domain: int
    name: str

    @property
    def address(self) -> str:
        """Address of its socket; a name that is too long ends in its hash."""
        address = f"\0{_PREFIX}/{self.domain}/{self.name}"
        if len(address.encode()) <= _LONGEST:
            return address
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        return f"{address.encode()[: _LONGEST - 17].decode(errors='ignore')}~{digest}"

    def holder(self) -> str:
        """Who holds it, for people: process, account and command line as far as this account may see them."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(self.address)
            peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            pid, uid, _ = _PEER.unpack(peer)
            return f"process {pid} of {_account(uid)}{_command(pid)}"
        return "a process that cannot be seen from here"


def role(name: str, namespace: str = "") -> str:
    """Claim of a role (actor, learner, cell) under a run's ROS namespace."""
    return f"{name} /{namespace.strip('/')}"


def claims_on_this_machine() -> list[Claim]:
    """All claims on this machine, of every account; empty where the kernel does not list them."""
    found = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines():
            _, separator, rest = line.partition(f"@{_PREFIX}/")
            domain, _, name = rest.partition("/")
            if separator and domain.isdigit():
                found.add(Claim(int(domain), name))
    return sorted(found, key=lambda claim: (claim.domain, claim.name))


def domain_asked_for() -> int | None:
    """ROS_DOMAIN_ID of this process's environment, None where it is not set.

    Raises:
        DomainBusyError: It is no domain, so that no node could start.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > 232:
        raise DomainBusyError(
            f"{VARIABLE}={text} is no ROS domain: export {VARIABLE}=N with N from 0 to 101, or unset {VARIABLE}"
        )
    return int(text)


class Reservation:
    """Claims of this process in one domain, until `release` or its end; a context manager."""

    def __init__(self, domain: int, names: Iterable[str]) -> None:
        """Take all of them, or none.

        Raises:
            DomainBusyError: Somebody else on this machine has one of them, or everything.
        """
        self.domain = domain
        self._sockets: list[socket.socket] = []
        self._claims = [Claim(domain, name) for name in sorted(set(names))]
        try:
            for claim in self._claims:
                self._take(claim)
            for other in self._others():
                if other.name == EVERYTHING and os.environ.get(GUEST) != str(domain):
                    raise _busy(other)
        except BaseException:
            self.release()
            raise

    def _take(self, claim: Claim) -> None:
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sockets.append(held)
        try:
            held.bind(claim.address)
            held.listen(8)  # the kernel answers who listens; nobody has to accept
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _busy(claim) from None
            raise

    def _others(self) -> list[Claim]:
        mine = {claim.address for claim in self._claims}
        there = claims_on_this_machine()
        return [claim for claim in there if claim.domain == self.domain and claim.address not in mine]

    def keep_out_coordinator(self) -> bool:
        """Hold the port by which ROS's domain_coordinator gives the domain to a test; False: a test has it."""
        port = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            port.bind(("", _COORDINATOR_PORT + self.domain))
        except OSError:
            port.close()
            return False
        self._sockets.append(port)
        return True

    def alone(self) -> bool:
        """Whether nobody else on this machine claims anything in the domain."""
        return not self._others()

    def release(self) -> None:
        """Give everything back; calls after the first do nothing."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def choose(names: Iterable[str], first: int = 0) -> Reservation:
    """Reserve the first domain in which nobody on this machine claims anything.

    Args:
        names: What to claim in it.
        first: Lowest domain to try.

    Raises:
        DomainBusyError: There is none.
    """
    names = list(names)
    with _one_at_a_time():
        taken = {claim.domain for claim in claims_on_this_machine()}
        for domain in range(first, LAST_DOMAIN + 1):
            if domain in taken:
                continue
            with contextlib.suppress(DomainBusyError):
                reservation = Reservation(domain, names)
                if reservation.alone() and reservation.keep_out_coordinator():
                    return reservation
                reservation.release()
    raise DomainBusyError(
        f"all ROS domains from {first} to {LAST_DOMAIN} are held by other runs on this machine"
    )


def reserve_for_tests() -> Reservation:
    """A domain of its own for a test suite and its children, put into the environment.

    Not domain 0, in which a launched run starts whose shell chose none.
    """
    reservation = choose([EVERYTHING], first=1)
    os.environ[VARIABLE] = os.environ[GUEST] = str(reservation.domain)
    return reservation


@contextlib.contextmanager
def hold_domain(names: Iterable[str], fixed: bool = False) -> Iterator[int]:
    """Hold a ROS domain: ROS_DOMAIN_ID if it is set, else the first that no other run on this machine holds.

    The number is put into os.environ for this process and its children.

    Args:
        names: What the run claims.
        fixed: Without ROS_DOMAIN_ID take domain 0, where nodes are that somebody else started.

    Yields:
        The domain id.

    Raises:
        DomainBusyError: ROS_DOMAIN_ID is set to what another run holds, or to no domain.
    """
    asked = domain_asked_for()
    domain = 0 if asked is None and fixed else asked
    with choose(names) if domain is None else Reservation(domain, names) as held:
        os.environ[VARIABLE] = str(held.domain)
        try:
            yield held.domain
        finally:
            if asked is None:
                os.environ.pop(VARIABLE, None)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two that choose at the same moment would see, and avoid, each other for ever."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as turn:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:  # then anyway: the claims themselves keep runs apart
            with contextlib.suppress(OSError):
                turn.bind(_CHOOSING)
                break
            time.sleep(0.02)
        yield


def _busy(claim: Claim) -> DomainBusyError:
    what = "a test suite" if claim.name == EVERYTHING else f"another run ({claim.name})"
    taken = {other.domain for other in claims_on_this_machine()}
    free = next((n for n in range(LAST_DOMAIN + 1) if n not in taken), None)
    choice = "" if free is None else f", for example: export {VARIABLE}={free}"
    return DomainBusyError(
        f"{what} on this machine uses {VARIABLE}={claim.domain}: {claim.holder()}. End it, or choose another domain{choice}"
    )


def _account(uid: int) -> str:
    try:
        return f"account {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"account {uid}"


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    text = " ".join(word for word in words if word)
    return f" ({text[:80]}{'...' if len(text) > 80 else ''})" if text else ""
