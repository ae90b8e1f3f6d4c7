# SPDX-License-Identifier: Apache-2.0
"""Typed node parameters with bounds: read once at the start, read-only afterwards, refused clearly."""

from __future__ import annotations

import array
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node


class ParameterError(ValueError):
    """A parameter of a node is missing or not acceptable; names node, parameter, value and remedy."""


class Parameters:
    """Declares and reads the parameters of one node.

    Every reader takes ``default``; None makes the parameter a required one. All raise ParameterError.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def string(
        self, name: str, default: str | None = None, *, choices: Sequence[str] = (), description: str = ""
    ) -> str:
        """A string, one of ``choices`` if there are any."""
        value = self._read(name, default, description)
        if not isinstance(value, str):
            # On a command line `actor_id:=7` arrives as a number.
            value = str(value)
        if choices and value not in choices:
            nearest = difflib.get_close_matches(value, choices, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise self._error(name, value, f"one of {', '.join(choices)}{hint}")
        if default is None and not value:
            raise self._error(name, value, "a non-empty string")
        return value

    def path(
        self, name: str, default: str | None = None, *, must_exist: bool = False, description: str = ""
    ) -> Path:
        """A path with ``~`` expanded."""
        path = Path(self.string(name, default, description=description)).expanduser()
        if must_exist and not path.exists():
            raise self._error(name, str(path), "an existing path")
        return path

    def integer(
        self,
        name: str,
        default: int | None = None,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        description: str = "",
    ) -> int:
        """A whole number within [minimum, maximum]."""
        value = self._read(name, default, description)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._error(name, value, f"a whole number{_bounds(minimum, maximum)}")
        return int(self._within(name, value, minimum, maximum, "a whole number"))

    def number(
        self,
        name: str,
        default: float | None = None,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        description: str = "",
    ) -> float:
        """A number within [minimum, maximum]; whole numbers are accepted, NaN is not."""
        value = self._read(name, default, description)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise self._error(name, value, f"a number{_bounds(minimum, maximum)}")
        return float(self._within(name, value, minimum, maximum, "a number"))

    def boolean(self, name: str, default: bool | None = None, *, description: str = "") -> bool:
        """True or false."""
        value = self._read(name, default, description)
        if not isinstance(value, bool):
            raise self._error(name, value, "true or false")
        return value

    def numbers(
        self, name: str, default: Sequence[float] | None = None, *, description: str = ""
    ) -> list[float]:
        """A list of finite numbers; whole numbers are accepted."""
        values = self._list(name, default, description)
        if any(
            isinstance(v, bool) or not isinstance(v, (int, float)) or not math.isfinite(v) for v in values
        ):
            raise self._error(name, values, "a list of finite numbers")
        return [float(value) for value in values]

    def strings(self, name: str, default: Sequence[str] | None = None, *, description: str = "") -> list[str]:
        """A list of strings."""
        values = self._list(name, default, description)
        if not all(isinstance(value, str) and value for value in values):
            raise self._error(name, values, "a list of non-empty strings")
        return values

    def _list(self, name: str, default: Sequence[Any] | None, description: str) -> list[Any]:
        # An empty list has no type in ROS: it arrives as bytes.
        value = self._read(name, None if default is None else list(default), description)
        if isinstance(value, str) or not isinstance(value, (Sequence, array.array)):
            raise self._error(name, value, "a list, such as [a, b]")
        return list(value)

    def _read(self, name: str, default: Any, description: str) -> Any:
        # Types are judged here and not by rclpy, for messages a user can act on.
        descriptor = ParameterDescriptor(description=description, read_only=True, dynamic_typing=True)
        value = self._node.declare_parameter(name, default, descriptor).value
        if value is None:
            raise ParameterError(
                f"{self._node.get_fully_qualified_name()}: parameter '{name}' is required; "
                f"give it with --ros-args -p {name}:=VALUE"
            )
        return value

    def _within(self, name: str, value: float, low: float | None, high: float | None, kind: str) -> float:
        if (low is not None and value < low) or (high is not None and value > high):
            raise self._error(name, value, f"{kind}{_bounds(low, high)}")
        return value

    def _error(self, name: str, value: Any, expected: str) -> ParameterError:
        node = self._node.get_fully_qualified_name()
        return ParameterError(f"{node}: parameter '{name}' is {value!r}, expected {expected}")


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""
