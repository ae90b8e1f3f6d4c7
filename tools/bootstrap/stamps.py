# SPDX-License-Identifier: Apache-2.0
"""Which steps are done: a file per step, holding a hash of all the step depends on."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


class Stamps:
    """Stamps in one folder. A step counts as done only if it ended well with the same inputs.

    A `begun` file marks a step that was started and not finished: what is there is then not to be trusted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, step: str, key: str) -> bool:
        """Whether `step` last ended well with the inputs `key`."""
        try:
            return (self.folder / step).read_text() == key
        except OSError:
            return False

    def interrupted(self, step: str) -> bool:
        """Whether the last start of `step` did not end well."""
        return (self.folder / f"{step}.begun").exists()

    @contextlib.contextmanager
    def doing(self, step: str, key: str) -> Iterator[None]:
        """Marks `step` as begun, and as done once the body ends without an exception."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / step).unlink(missing_ok=True)
        (self.folder / f"{step}.begun").touch()
        yield
        temporary = self.folder / f"{step}.tmp"
        temporary.write_text(key)
        os.replace(temporary, self.folder / step)
        (self.folder / f"{step}.begun").unlink(missing_ok=True)


def hash_of(*parts: str | bytes | Path) -> str:
    """Hash of texts and of the contents of files, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        data = (
            part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        )
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
