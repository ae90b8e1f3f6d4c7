# SPDX-License-Identifier: Apache-2.0
"""Reads lists, dicts, numbers, texts and numeric NumPy arrays out of a pickle file without unpickling it.

The suite unpickles nothing, because a pickle is a program: it may name any callable of any installed module and have it
called. HIL-SERL's original release keeps its demonstrations in pickles all the same, and people have hours of them. So
this module does not run that program. It takes the file apart with :func:`pickletools.genops`, which only decodes bytes
into (opcode, argument), and gives a meaning to the few opcodes that plain data needs:

* containers, numbers, texts, bytes and the memo are built here, as values of these types and no others;
* ``GLOBAL`` and ``STACK_GLOBAL`` import nothing. They yield a token if the name is one of the four that NumPy uses to store
  arrays (``_reconstruct``, ``scalar``, ``ndarray``, ``dtype``), and end the reading if it is any other;
* ``REDUCE`` and ``BUILD`` call nothing that the file chose. They fill arrays here, of boolean, integer and floating types
  alone, after shape, type and number of bytes were seen to agree;
* every other opcode (objects, persistent ids, extensions, protocols below 3) ends the reading.

No callable of the file's choosing is ever looked up, and what is built is no larger than the file, so the worst that a
hostile file can do is to be refused. A restricted ``pickle.Unpickler`` would be shorter, but it still runs the program, and
would have to be right about everything the callables on its list can be made to do.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_datasets.errors import DatasetError


class UnsafePickleError(DatasetError):
    """The file holds something other than plain data and numeric arrays, or is damaged."""


class _Name:
    """Token of a name that the file asked for."""

    def __init__(self, what: str) -> None:
        self.what = what


class _Type:
    """A ``numpy.dtype`` under construction; its byte order comes later than its other users may."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype


_NAMES = {
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy", "dtype"): _Name("dtype"),
    **{(f"numpy.{c}.multiarray", "_reconstruct"): _Name("_reconstruct") for c in ("core", "_core")},
    **{(f"numpy.{c}.multiarray", "scalar"): _Name("scalar") for c in ("core", "_core")},
}
_MARK = object()
_NUMERIC = re.compile(r"b1|[iu][1248]|f[248]")
_LITERALS = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
        "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
    }
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_LEAST_PROTOCOL = 3  # before it bytes are stored as a call of a text encoder


def read_plain_pickle(path: Path) -> Any:
    """The value stored in a pickle: nested lists, tuples, dicts with text keys, numbers, texts, bytes, arrays.

    Args:
        path: Written with protocol 3 or 4, as Python 3.0 ... 3.13 do by default.

    Raises:
        UnsafePickleError: The file asks for anything else, which is named, or is no whole pickle.
        OSError: It cannot be read.
    """
    machine = _Machine()
    with path.open("rb") as file:
        try:
            for opcode, argument, position in pickletools.genops(file):
                try:
                    machine.step(opcode.name, argument)
                except UnsafePickleError as error:
                    raise UnsafePickleError(f"{path} is refused at byte {position}: {error}") from None
            if file.read(1):
                raise UnsafePickleError(f"{path} is refused: something follows behind its end")
            return machine.result()
        except UnsafePickleError:
            raise
        except (ValueError, IndexError, TypeError, KeyError, UnicodeError, OverflowError) as error:
            raise UnsafePickleError(f"{path} is no whole pickle of plain data: {error}") from error


class _Machine:
    """Stack and memo of the few opcodes that plain data needs."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = {
            "PROTO": self._protocol,
            "FRAME": lambda _: None,
            "STOP": lambda _: None,
            "MARK": lambda _: self._stack.append(_MARK),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "TUPLE": lambda _: self._stack.append(tuple(self._above_mark())),
            "APPEND": lambda _: self._append([self._stack.pop()]),
            "APPENDS": lambda _: self._append(self._above_mark()),
            "SETITEM": lambda _: self._set([self._stack.pop(-2), self._stack.pop()]),
            "SETITEMS": lambda _: self._set(self._above_mark()),
            "MEMOIZE": lambda _: self._memo.update({len(self._memo): self._stack[-1]}),
            "BINPUT": lambda index: self._memo.update({index: self._stack[-1]}),
            "LONG_BINPUT": lambda index: self._memo.update({index: self._stack[-1]}),
            "BINGET": lambda index: self._stack.append(self._memo[index]),
            "LONG_BINGET": lambda index: self._stack.append(self._memo[index]),
            "GLOBAL": lambda text: self._name(*text.split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(self._stack.pop(-2), self._stack.pop()),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
        }

    def step(self, name: str, argument: Any) -> None:
        """Take one opcode."""
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = self._stack[len(self._stack) - count :]
            del self._stack[len(self._stack) - count :]
            if len(items) != count:
                raise UnsafePickleError("a tuple of more items than there are")
            self._stack.append(tuple(items))
        elif name in self._actions:
            self._actions[name](argument)
        else:
            raise UnsafePickleError(f"it uses the pickle operation {name}, which plain data does not need")

    def result(self) -> Any:
        """The one value that is left."""
        if len(self._stack) != 1:
            raise UnsafePickleError(f"{len(self._stack)} values are left at its end, expected one")
        return self._stack[0]

    @staticmethod
    def _protocol(version: int) -> None:
        if version < _LEAST_PROTOCOL:
            raise UnsafePickleError(
                f"it is of pickle protocol {version}; write it again with pickle.dump(..., protocol=4)"
            )

    def _above_mark(self) -> list[Any]:
        start = len(self._stack)
        while self._stack[start - 1] is not _MARK:
            start -= 1
            if start <= 0:
                raise UnsafePickleError("a group of items without a begin")
        items = self._stack[start:]
        del self._stack[start - 1 :]
        return items

    def _append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise UnsafePickleError(f"items are appended to a {_kind(self._stack[-1])}")
        self._stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise UnsafePickleError(f"items are set in a {_kind(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):
                raise UnsafePickleError(f"a dict has a {_kind(key)} as a key; only texts are taken")
            target[key] = value

    def _name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in _NAMES:
            raise UnsafePickleError(
                f"it asks for '{module}.{name}'; demonstrations hold lists, dicts, numbers, texts and numeric arrays only"
            )
        self._stack.append(_NAMES[module, name])

    def _reduce(self) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise UnsafePickleError(f"it calls a {_kind(called)}")
        if called.what == "_reconstruct" and len(arguments) == 3 and _is_name(arguments[0], "ndarray"):
            # Filled in place by BUILD, so that everything that refers to it sees it filled.
            self._stack.append(np.zeros(0, np.int8))
        elif called.what == "dtype" and arguments and isinstance(arguments[0], str):
            self._stack.append(_Type(_numeric(arguments[0])))
        elif called.what == "scalar" and len(arguments) == 2 and isinstance(arguments[0], _Type):
            self._stack.append(_filled((), arguments[0].dtype, arguments[1])[()])
        else:
            raise UnsafePickleError(f"it calls numpy's {called.what} in a way that makes no numeric array")

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _Type):
            target.dtype = _with_order(target.dtype, state)
        elif type(target) is np.ndarray:
            _fill(target, state)
        else:
            raise UnsafePickleError(f"it sets the state of a {_kind(target)}")


def _is_name(value: Any, what: str) -> bool:
    return isinstance(value, _Name) and value.what == what


def _kind(value: Any) -> str:
    return f"name numpy.{value.what}" if isinstance(value, _Name) else type(value).__name__.strip("_")


def _numeric(code: str) -> np.dtype:
    if _NUMERIC.fullmatch(code) is None:
        what = "an array of objects" if code.startswith("O") else f"an array of type '{code}'"
        raise UnsafePickleError(f"it holds {what}; only numbers are taken")
    return np.dtype(code)


def _with_order(dtype: np.dtype, state: Any) -> np.dtype:
    """Byte order of a dtype; state is (version, order, subarray, names, fields, size, alignment, flags)."""
    plain = isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")
    if not plain or any(part is not None for part in state[2:5]):
        raise UnsafePickleError("it holds an array of records; only numbers are taken")
    return dtype.newbyteorder(state[1])


def _check(shape: Any, dtype: np.dtype, data: Any) -> None:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise UnsafePickleError(f"it holds an array of shape {shape!r}")
    if not isinstance(data, bytes) or len(data) != math.prod(shape) * dtype.itemsize:
        have = f"{len(data)} bytes" if isinstance(data, bytes) else f"a {_kind(data)}"
        raise UnsafePickleError(f"it holds {have} as the data of an array {shape} of {dtype}")


def _filled(shape: tuple[int, ...], dtype: np.dtype, data: Any) -> np.ndarray:
    _check(shape, dtype, data)
    return np.frombuffer(data, dtype).reshape(shape)


def _fill(array: np.ndarray, state: Any) -> None:
    """Set an array to (version, shape, dtype, is_fortran, data)."""
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Type):
        raise UnsafePickleError("it sets the state of an array to something that is none")
    _, shape, kind, fortran, data = state
    _check(shape, kind.dtype, data)
    checked: Any = (1, shape, kind.dtype, bool(fortran), data)
    array.__setstate__(checked)
