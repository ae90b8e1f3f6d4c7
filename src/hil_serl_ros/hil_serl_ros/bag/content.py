# SPDX-License-Identifier: Apache-2.0
"""Checksums of what serialized messages say.

CDR aligns numbers to their size, and serializers skip the bytes in between without writing them: they hold what was in
memory before. The same message serialized twice can therefore differ in bytes that mean nothing.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

from rosidl_parser.definition import (
    AbstractGenericString,
    AbstractSequence,
    AbstractType,
    Array,
    BasicType,
    NamespacedType,
)

from hil_serl_msgs.msg import Step
from hil_serl_ros.bag.definitions import message_class

_HEADER = 4
_SIZES = {
    **dict.fromkeys(("boolean", "octet", "char", "uint8", "int8"), 1),
    **dict.fromkeys(("uint16", "int16"), 2),
    **dict.fromkeys(("uint32", "int32", "float"), 4),
    **dict.fromkeys(("uint64", "int64", "double"), 8),
}


def content_checksum(data: bytes, kind: type = Step, start: int = 0) -> int:
    """CRC-32 of a serialized message without the bytes between its fields.

    Args:
        data: CDR, with its header of four bytes.
        kind: Its message class.
        start: Checksum that this one goes on from, as of ``zlib.crc32``.

    Returns:
        The same for the same content. For bytes that are no such message: their plain checksum.
    """
    try:
        walk = _Walk(data, start)
        walk.structure(kind)
    except (struct.error, _NotPlainError):
        return zlib.crc32(data, start)
    return walk.checksum


class _NotPlainError(Exception):
    """A type or a length that the walk does not know."""


@cache
def _fields(kind: type) -> tuple[AbstractType, ...]:
    return tuple(kind.SLOT_TYPES)  # type: ignore[attr-defined]


@cache
def _message(package: str, name: str) -> type:
    return message_class(f"{package}/msg/{name}")


class _Walk:
    """Goes over the fields of a message and takes their bytes."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = memoryview(data)
        self._at = _HEADER
        self.checksum = zlib.crc32(self._data[:_HEADER], start)
        if len(data) < _HEADER:
            raise struct.error("no header")
        self._length = struct.Struct("<I" if data[1] & 1 else ">I")

    def structure(self, kind: type) -> None:
        for field in _fields(kind):
            self._value(field)

    def _value(self, kind: AbstractType) -> None:
        if isinstance(kind, BasicType):
            self._take(_size(kind), 1)
        elif isinstance(kind, NamespacedType):
            self.structure(_message(kind.namespaces[0], kind.name))
        elif isinstance(kind, AbstractGenericString):
            self._take(1, self._count())
        elif isinstance(kind, AbstractSequence):
            self._elements(kind.value_type, self._count())
        elif isinstance(kind, Array):
            self._elements(kind.value_type, kind.size)
        else:
            raise _NotPlainError

    def _elements(self, kind: AbstractType, count: int) -> None:
        if isinstance(kind, BasicType):
            if count:
                self._take(_size(kind), count)
            return
        for _ in range(count):
            self._value(kind)

    def _count(self) -> int:
        at = self._aligned(4)
        self._take(4, 1)
        (count,) = self._length.unpack_from(self._data, at)
        return int(count)

    def _aligned(self, size: int) -> int:
        return self._at + -(self._at - _HEADER) % size

    def _take(self, size: int, count: int) -> None:
        begin = self._aligned(size)
        end = begin + size * count
        if end > len(self._data):
            raise _NotPlainError
        self.checksum = zlib.crc32(self._data[begin:end], self.checksum)
        self._at = end


def _size(kind: BasicType) -> int:
    try:
        return _SIZES[kind.typename]
    except KeyError:
        raise _NotPlainError from None
