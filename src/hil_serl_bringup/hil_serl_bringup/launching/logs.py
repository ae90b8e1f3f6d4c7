# SPDX-License-Identifier: Apache-2.0
"""Logs of launched processes: ``<process>.log`` in the run folder, as ``hil-serl`` writes them. Tested without `launch`."""

from __future__ import annotations

import time
from pathlib import Path


class ProcessLog:
    """Appends what one process prints to a file; a restarted process and a resumed run go on with it.

    Args:
        path: The file.
        title: What its first line of each start says besides the time.
    """

    def __init__(self, path: Path, title: str) -> None:
        self._path, self._title = path, title

    def start(self, *_: object) -> None:
        """The process begins."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {self._title}\n".encode())

    def write(self, text: bytes) -> None:
        """Some of its output."""
        with self._path.open("ab") as file:  # opened each time: what was printed is there whatever comes next
            file.write(text)
