# SPDX-License-Identifier: Apache-2.0
"""Keep two runs on one machine apart: each holds one ROS domain while it lives."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

LAST_DOMAIN = 100  # higher ones collide with the ports Linux gives to clients


class DomainBusyError(RuntimeError):
    """The domain a person asked for is in use by another run."""


@contextlib.contextmanager
def hold_domain(folder: Path | None = None) -> Iterator[int]:
    """Hold a ROS domain: ROS_DOMAIN_ID if it is set, else the first that no other run on this machine holds.

    The number is put into os.environ for this process and its children. The kernel drops the lock with the
    process, so a crash leaves nothing behind.

    Args:
        folder: Where the lock files are, default the system's temporary folder.

    Yields:
        The domain id.

    Raises:
        DomainBusyError: ROS_DOMAIN_ID is set and another run holds it.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"hil-serl-{getpass.getuser()}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = os.environ.get("ROS_DOMAIN_ID")
    for domain in [int(asked)] if asked else range(LAST_DOMAIN + 1):
        with (folder / f"domain-{domain}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            try:
                yield domain
            finally:
                if asked is None:
                    os.environ.pop("ROS_DOMAIN_ID", None)
            return
    raise DomainBusyError(
        f"another run on this machine uses ROS_DOMAIN_ID={asked}; end it, choose another number, "
        "or unset the variable"
        if asked
        else f"all ROS domains from 0 to {LAST_DOMAIN} are held by other runs"
    )
