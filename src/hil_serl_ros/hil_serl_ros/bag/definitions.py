# SPDX-License-Identifier: Apache-2.0
"""Message definitions as bags carry them: full ros2msg text and type hash, from the installed packages."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from hil_serl_ros.bag.errors import BagError

_MESSAGE_NAME = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")
_DELIMITER = "=" * 80
_FIELD_TYPE = re.compile(r"^\s*([a-zA-Z][a-zA-Z0-9_/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[a-zA-Z]", re.MULTILINE)
_PRIMITIVES = frozenset(
    {
        "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32",
        "int64", "uint64", "string", "wstring",
    }
)  # fmt: skip


def type_name(message_class: type) -> str:
    """ROS name of a generated message class, e.g. ``hil_serl_msgs/msg/Step``."""
    package, kind, _ = message_class.__module__.split(".", 2)
    return f"{package}/{kind}/{message_class.__name__}"


def message_class(name: str) -> type:
    """Generated class of a ROS message name, e.g. ``sensor_msgs/msg/Image``.

    Raises:
        BagError: Not such a name, or its package is not installed.
    """
    match = _MESSAGE_NAME.fullmatch(name)
    if match is None:
        raise BagError(f"{name!r} is not the name of a message type")
    try:
        found: type = getattr(import_module(f"{match[1]}.msg"), match[2])
    except (ImportError, AttributeError) as error:
        raise BagError(f"{name} is not installed; source its workspace") from error
    return found


def _definition_file(name: str, suffix: str) -> Path:
    package, *_, short = name.split("/")
    try:
        return Path(get_package_share_directory(package)) / "msg" / f"{short}{suffix}"
    except PackageNotFoundError as error:
        raise BagError(f"no definition of {name}: install {package!r} or source its workspace") from error


def _dependencies(text: str, package: str) -> list[str]:
    names = {name for name in _FIELD_TYPE.findall(text) if name not in _PRIMITIVES}
    return sorted(name if "/" in name else f"{package}/{name}" for name in names)


@lru_cache(maxsize=64)
def full_text(name: str) -> str:
    """Definition of a type followed by those of all types it uses, in the layout of rosbag2.

    Args:
        name: e.g. ``hil_serl_msgs/msg/Step``.

    Raises:
        BagError: The type's package or definition is not installed.
    """
    seen: set[str] = set()

    def expand(current: str) -> str:
        path = _definition_file(current, ".msg")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise BagError(f"no definition of {current}: {path} cannot be read ({error.strerror})") from error
        for dependency in _dependencies(text, current.split("/")[0]):
            if dependency not in seen:
                seen.add(dependency)
                text += f"\n{_DELIMITER}\nMSG: {dependency}\n{expand(dependency)}"
        return text

    return expand(name)


@lru_cache(maxsize=64)
def type_hash(name: str) -> str:
    """RIHS01 hash of an installed type; empty where the installation does not carry it."""
    try:
        description = json.loads(_definition_file(name, ".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    for entry in description.get("type_hashes", []):
        if entry.get("type_name") == name:
            return entry.get("hash_string", "")
    return ""


def same_definition(text: str, other: str, name: str) -> bool:
    """Whether two full texts of a type define the same fields and constants.

    Tools that convert bags write texts anew: without comments and default values, with types in another order or by
    their short names.
    """
    return _fields(text, name) == _fields(other, name)


def _fields(text: str, name: str) -> dict[str, list[str]]:
    """Type to its fields and constants, of a full text."""
    found: dict[str, list[str]] = {}
    for number, part in enumerate(re.split(r"^=+$", text, flags=re.MULTILINE)):
        lines = [" ".join(line.split("#")[0].split()) for line in part.splitlines()]
        lines = [re.sub(r" ?= ?", "=", line) for line in lines if line]
        current = name if number == 0 else lines.pop(0).removeprefix("MSG: ")
        current = current.replace("/msg/", "/")
        found[current] = [_qualified(line, current.split("/")[0]) for line in lines]
    return found


def _qualified(line: str, package: str) -> str:
    """A field without its default, or a constant, with the package of its type, if that is no primitive one."""
    kind, _, rest = line.partition(" ")
    rest = rest if "=" in rest.split(" ")[0] else rest.split(" ")[0]
    base = re.split(r"[\[<]", kind)[0]
    if base not in _PRIMITIVES and "/" not in base:
        kind = f"{package}/{kind}"
    return f"{kind.replace('/msg/', '/')} {rest}"
