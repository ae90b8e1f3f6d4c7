# SPDX-License-Identifier: Apache-2.0
"""References of task and robot file, written from the models that check them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hil_serl_bringup.graph.robot_model import Robot
from hil_serl_core.spec import TaskSpec

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by `hil-serl schema --output docs/task_schema.md` from the models; do not edit. -->
# The task file

One YAML file describes one task. Unknown keys, missing keys and values out of range are refused by name, with the nearest
valid key. Every key without a default is required. [add_your_own_task.md](add_your_own_task.md) walks through an example.

`extends: OTHER.yaml` (a path relative to the file itself) starts from another file: mappings are merged key by key, lists
and values are replaced, and `null` takes a section away. `tasks/NAME.yaml` is the real cell's file,
`tasks/sim/NAME.yaml` the twin's.
"""

_ROBOT_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by `hil-serl schema --of robot --output docs/robot_file.md` from the models; do not edit. -->
# The robot file

One YAML file describes one cell: what has to run so that arms, grippers and cameras speak the suite's topics.
`--robot NAME` and `robot:=NAME` look in the folder `robots` where you are, then in `config/robots` of the suite, whose
files are the examples; a path works too. Unknown keys are refused by name. Nothing but what a run needs is started: of
the cameras those that the task names, the gripper's adapter where the task moves it.
"""

_SYMBOLS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
_WORDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
}


def reference(of: Literal["task", "robot"] = "task") -> str:
    """The reference of a kind of file as Markdown: one section a model, in the order of first use."""
    first: type[BaseModel] = Robot if of == "robot" else TaskSpec
    sections = [_section(model, path) for model, path in _models(first)]
    return (_ROBOT_HEAD if of == "robot" else _HEAD) + "\n" + "\n".join(sections)


def _models(first: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    """Every model once, with the dotted key it is first used under; breadth first."""
    waiting, seen = [(first, "")], set()
    while waiting:
        model, path = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        yield model, path
        for name, field in model.model_fields.items():
            for inner in _inner_models(field.annotation):
                waiting.append((inner, f"{path}.{name}" if path else name))


def _inner_models(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _inner_models(argument)]


def _section(model: type[BaseModel], path: str) -> str:
    title = f"`{path}`" if path else "Top level"
    summary = (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    lines = [f"## {title}", "", " ".join(summary.split()), "", "| key | value | default | meaning |"]
    lines.append("|---|---|---|---|")
    lines += [_row(name, field) for name, field in model.model_fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    kind = type_text(field.annotation) + _limits(field.metadata)
    meaning = " ".join((field.description or "").split())
    cells = (f"`{name}`", kind, _default(field), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_text(annotation: Any) -> str:
    """A type in words, e.g. ``[number, number, number]`` or ``twist or wrench``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0]) + _limits(arguments[1:])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin in (tuple, list):
        if arguments[-1] is Ellipsis or origin is list:
            return f"list of {type_text(arguments[0])}"
        return "[" + ", ".join(type_text(argument) for argument in arguments) + "]"
    if origin is dict:
        return f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if annotation is JsonValue:
        return "value, list or mapping"
    return _WORDS[annotation]


def _limits(metadata: Any) -> str:
    found = []
    for item in metadata:
        # Annotated limits sit in a FieldInfo of their own.
        inner = item.metadata if isinstance(item, FieldInfo) else [item]
        for limit in inner:
            found += [f"{sign} {getattr(limit, key):g}" for key, sign in _SYMBOLS if hasattr(limit, key)]
    return f" {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "see its section"
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    """A default as YAML would have it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value) or "''"
