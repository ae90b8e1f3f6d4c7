# SPDX-License-Identifier: Apache-2.0
"""Other actors under the same names, whose targets would reach this actor's arm."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

_LEASE = 25.0  # s; the middleware forgets a process that was killed after 20
_FAST_DDS = (0x01, 0x0F)  # vendor in the first bytes of its identifiers; then host (2 bytes) and process (2)
_REMEDY = (
    "the arm would follow the targets of both. End one of them, or give each run a ROS_DOMAIN_ID or a namespace of "
    "its own"
)
_PREFIX = 12  # bytes that all endpoints of one process share


class Graph(Protocol):
    """What is asked of a node."""

    def get_publishers_info_by_topic(self, topic_name: str) -> Iterable[object]:
        """Publishers of a topic, see rclpy."""

    def resolve_topic_name(self, topic: str) -> str:
        """A topic's full name, see rclpy."""


class Namesakes:
    """Looks for publishers of a topic that is this actor's own.

    Args:
        node: The actor's node.
        topic: A topic that it publishes and nobody else should.
        pid: Its process.
        proc: Where the kernel lists processes.
    """

    def __init__(self, node: Graph, topic: str, pid: int | None = None, proc: Path = Path("/proc")) -> None:
        self._node, self._topic = node, node.resolve_topic_name(topic)
        self._pid, self._proc = os.getpid() if pid is None else pid, proc
        self._since: dict[bytes, float] = {}

    def look(self, now: float | None = None) -> str:
        """A warning that says who is there, empty if nobody is.

        Args:
            now: Time of a steady clock [s].
        """
        now = time.monotonic() if now is None else now
        there = {bytes(info.endpoint_gid)[:_PREFIX] for info in self._publishers()}
        mine = next((prefix for prefix in sorted(there) if self._process(prefix) == self._pid & 0xFFFF), None)
        if mine is None:  # another middleware, or not yet discovered by itself
            return self._unnamed(len(there)) if len(there) > 1 else ""
        self._since = {prefix: self._since.get(prefix, now) for prefix in there if prefix != mine}
        found = []
        for prefix, since in sorted(self._since.items()):
            if prefix[:4] != mine[:4]:
                if now - since > _LEASE:
                    found.append("on another machine")
            elif pids := self._alive(self._process(prefix)):
                found.append(f"process {' or '.join(map(str, pids))} on this machine")
        if not found:
            return ""
        return f"another actor publishes {self._topic}: {', '.join(found)}; {_REMEDY}"

    def _unnamed(self, count: int) -> str:
        return f"{count} actors publish {self._topic}; {_REMEDY}"

    def _publishers(self) -> list:
        return list(self._node.get_publishers_info_by_topic(self._topic))

    @staticmethod
    def _process(prefix: bytes) -> int:
        """Lowest 16 bits of the process's id, -1 where the middleware does not say."""
        return int.from_bytes(prefix[4:6], "little") if tuple(prefix[:2]) == _FAST_DDS else -1

    def _alive(self, low: int) -> list[int]:
        """Python processes on this machine with these lowest 16 bits; a killed one is heard of for a while."""
        found = []
        for entry in self._proc.glob("[0-9]*"):
            if int(entry.name) & 0xFFFF != low:
                continue
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"actor" in words or b"python" in words:
                found.append(int(entry.name))
        return sorted(found)
