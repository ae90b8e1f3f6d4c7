# SPDX-License-Identifier: Apache-2.0
"""Features of stored records on the disk, so that a resume need not push every frame through the trunk again.

A file begins with a header: what the features depend on besides the record itself. Another header, and the file is begun
anew. Then come entries of one size: 16 bytes that identify the record by its content, its float16 features, a CRC-32. They
are only ever appended, each in one system call, so a killed process leaves whole entries and at most a part of one, which
is cut off. A damaged entry is found when it is read, and computed again. Everything here can be computed again: whatever
goes wrong with the file costs time, never a training.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FEATURE_FILE = "features.bin"
"""Name in the run folder."""
_MAGIC = b"HILSERLFEATURES1"
_KEY_BYTES, _CRC_BYTES = 16, 4
_DTYPE = np.dtype("<f2")
LEAST_FREE = 1 << 30
"""Bytes left to the step logs, which cannot be computed again; with less room nothing is added."""
_log = logging.getLogger(__name__)


def record_key(name: str, frames: Mapping[str, np.ndarray]) -> bytes:
    """16 bytes that name a record by its content.

    Args:
        name: What else the features depend on: whose record it is, and which.
        frames: Camera name to uint8 frame, in the task's order.
    """
    digest = hashlib.blake2b(name.encode() + b"\0", digest_size=_KEY_BYTES)
    for frame in frames.values():
        digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()


class FeatureFile:
    """Features by record key. One process at a time.

    Attributes:
        found, added: Entries that were read and that were appended.
    """

    def __init__(self, path: Path, description: Mapping[str, Any], size: int) -> None:
        """Opens the file, or begins it if it is missing or was made under another description.

        Args:
            path: The file; its folder is made if missing.
            description: What features depend on besides the record, as JSON values.
            size: Numbers of an entry.

        Raises:
            BlockingIOError: Another process has it open.
            OSError: It cannot be read or written.
        """
        self.path = path
        self.found = self.added = 0
        self._size = size
        self._entry = _KEY_BYTES + size * _DTYPE.itemsize + _CRC_BYTES
        self._offsets: dict[bytes, int] = {}
        self._full = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin(_header({**description, "size": size}))
        except OSError:
            self.close()
            raise

    def _begin(self, header: bytes) -> None:
        if os.pread(self._descriptor, len(header), 0) != header:
            if os.fstat(self._descriptor).st_size:
                _log.warning("%s was made with other networks or settings; it is begun anew", self.path)
            os.ftruncate(self._descriptor, 0)
            self._write(header, 0)
        whole = (os.fstat(self._descriptor).st_size - len(header)) // self._entry
        self._end = len(header) + whole * self._entry
        os.ftruncate(self._descriptor, self._end)
        for offset in range(len(header), self._end, self._entry):
            self._offsets[os.pread(self._descriptor, _KEY_BYTES, offset)] = offset

    def get(self, key: bytes) -> np.ndarray | None:
        """(size,) float16 features of a record; None if they are not there, or damaged."""
        offset = self._offsets.get(key)
        if offset is None:
            return None
        try:
            data = os.pread(self._descriptor, self._entry, offset)
        except OSError:
            data = b""
        body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        if len(data) < self._entry or body[:_KEY_BYTES] != key or _crc(body) != crc:
            del self._offsets[key]
            return None
        self.found += 1
        return np.frombuffer(body, _DTYPE, offset=_KEY_BYTES)

    def add(self, key: bytes, features: np.ndarray) -> None:
        """Appends (size,) float16 features. A disk that is full, or fails, ends the adding, with a warning."""
        if self._full:
            return
        body = key + np.ascontiguousarray(features, _DTYPE).tobytes()
        try:
            room = os.fstatvfs(self._descriptor)
            if room.f_bavail * room.f_frsize < LEAST_FREE:
                raise OSError(f"less than {LEAST_FREE / 1e9:.0f} GB are free, which the step log may need")
            self._write(body + _crc(body), self._end)
        except OSError as error:
            self._full = True
            _log.warning("features are no longer kept in %s: %s; a resume takes longer", self.path, error)
            return
        self._offsets[key] = self._end
        self._end += self._entry
        self.added += 1

    def _write(self, data: bytes, offset: int) -> None:
        written = 0
        while written < len(data):
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)

    def close(self) -> None:
        """Lets go of the file. Without effect on a closed one."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _header(description: Mapping[str, Any]) -> bytes:
    """Magic, length and canonical JSON of a description: equal headers mean that the features are the same."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":")).encode()
    return _MAGIC + len(text).to_bytes(4, "little") + text


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little")
