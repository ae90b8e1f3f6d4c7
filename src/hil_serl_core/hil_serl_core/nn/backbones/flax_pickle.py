# SPDX-License-Identifier: Apache-2.0
"""Reads a tree of arrays from a Flax parameter pickle without giving the file a chance to run code.

A pickle names the callables that rebuild its objects. Here only those that rebuild numeric NumPy arrays (and
JAX's wrapper around them, which needs no JAX) are known; any other name is refused before it is looked up.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np


class UnsafePickleError(ValueError):
    """The file is not a plain tree of numeric arrays."""


def _dtype(name: Any, align: Any = False, copy: Any = True) -> np.dtype:
    """Stands in for ``numpy.dtype`` and builds numeric types only."""
    dtype = np.dtype(str(name))
    if dtype.kind not in "fiub":
        raise UnsafePickleError(f"arrays of type {dtype} are not weights")
    return dtype


def _reconstruct(cls: Any, shape: Any, kind: Any) -> np.ndarray:
    """Stands in for ``numpy._core.multiarray._reconstruct``: an empty array that the pickle then fills."""
    return np.ndarray.__new__(np.ndarray, (0,), dtype=np.int8)


def _frombuffer(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Stands in for ``numpy._core.numeric._frombuffer``, used by protocol 5."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for ``_codecs.encode``, which protocol 2 uses for bytes."""
    return text.encode("latin1")


def _jax_array(reconstruct: Any, arguments: Any, state: Any, _aval: Any) -> np.ndarray:
    """Stands in for ``jax._src.array._reconstruct_array``.

    JAX pickles an array as the NumPy array inside it.
    """
    if reconstruct is not _reconstruct:
        raise UnsafePickleError("a JAX array is not built from a NumPy array")
    array = _reconstruct(*arguments)
    array.__setstate__(state)
    return array


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("jax._src.array", "_reconstruct_array"): _jax_array,
    ("jax.interpreters.xla", "_reconstruct_array"): _jax_array,
    ("flax.core.frozen_dict", "FrozenDict"): dict,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"refused: the file asks for '{module}.{name}'; a weight file holds dicts and arrays only"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("refused: the file refers to objects outside itself")


def read_array_tree(path: Path) -> dict[str, Any]:
    """Nested dict of numeric NumPy arrays stored in a pickle.

    Raises:
        UnsafePickleError: The file asks for anything but dicts and numeric arrays, or is damaged.
        OSError: The file cannot be read.
    """
    try:
        tree = _ArrayUnpickler(io.BytesIO(path.read_bytes())).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise UnsafePickleError(
            f"{path}: not a readable pickle of arrays ({type(error).__name__}: {error})"
        ) from error
    _check_tree(tree, str(path), "")
    return tree


def _check_tree(node: Any, path: str, where: str) -> None:
    if isinstance(node, dict):
        for key, child in node.items():
            if not isinstance(key, str):
                raise UnsafePickleError(f"{path}: key {key!r} at '{where}' is not a name")
            _check_tree(child, path, f"{where}/{key}")
    elif not isinstance(node, np.ndarray) or node.dtype.kind not in "fiub":
        raise UnsafePickleError(f"{path}: '{where}' is {type(node).__name__}, not an array of numbers")
