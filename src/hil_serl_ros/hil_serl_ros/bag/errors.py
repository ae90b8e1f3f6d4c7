# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a bag; every message names the file and the remedy."""

from __future__ import annotations

from pathlib import Path


class BagError(Exception):
    """A bag cannot be used."""


class BagWriteError(BagError):
    """A record was not written. The file ends at the last good one; the caller may retry the same record."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"cannot write {path}: {cause.strerror or cause}; free space there (or raise the file size "
            "limit) and try again: everything written before is safe, this record is not written"
        )
        self.path = path
        self.errno = cause.errno


class BagInUseError(BagError):
    """Another process is writing the bag."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is being written by another process; stop that one first")
        self.path = path


class BagDamagedError(BagError):
    """Bytes inside a bag are not what a writer wrote (as opposed to a tail cut short, which is tolerated)."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(
            f"{path} is damaged at byte {offset}: {reason}; restore it from a copy, or read only what is "
            "before the damage (keep_before_damage)"
        )
        self.path = path
        self.offset = offset
        self.reason = reason
