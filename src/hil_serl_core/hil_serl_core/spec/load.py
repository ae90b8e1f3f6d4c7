# SPDX-License-Identifier: Apache-2.0
"""Reading task files, with errors that name the key, the allowed range and the nearest valid name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hil_serl_core.spec.model import TaskSpec


class TaskFileError(ValueError):
    """A task file that cannot be used; the message names file, key and remedy."""


def list_tasks(folders: Iterable[Path]) -> dict[str, Path]:
    """Task name (file stem) to file, over all ``*.yaml`` in ``folders``; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def load_task(task: str | Path, folders: Iterable[Path] = ()) -> TaskSpec:
    """Load a task by file path or by name.

    A file may start from another one: ``extends: ../other.yaml``, relative to itself; see ``merge``.

    Args:
        task: Path of a YAML file, or the name of a task in ``folders``.
        folders: Where named tasks are looked for.

    Raises:
        TaskFileError: No such task, not YAML, a file it extends is missing or extends it in turn, or a key that is
            unknown, missing or out of range.
    """
    path = Path(task)
    if path.suffix not in (".yaml", ".yml"):
        tasks = list_tasks(folders)
        if str(task) not in tasks:
            near = difflib.get_close_matches(str(task), tasks, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else f"known tasks: {', '.join(tasks) or 'none'}"
            raise TaskFileError(f"no task named '{task}'; {hint}")
        path = tasks[str(task)]
    content, files = _read(path, ())
    return task_from_dict(content, source=", which extends ".join(str(file) for file in files))


def _read(path: Path, below: tuple[Path, ...]) -> tuple[dict[str, Any], list[Path]]:
    """Content of a task file merged over that of the file it extends.

    Args:
        path: The file.
        below: Files that extend it, directly or not, the first asked for first.

    Returns:
        The merged settings without ``extends``, and the files they came from.
    """
    if path.resolve() in (file.resolve() for file in below):
        chain = " extends ".join(str(file) for file in (*below, path))
        raise TaskFileError(f"task files extend each other in a circle: {chain}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"cannot read task file {path}: {error.strerror}"
        raise TaskFileError(f"{reason} ({below[-1]} extends it)" if below else reason) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TaskFileError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise TaskFileError(f"{path} must hold a mapping of task settings, not {type(content).__name__}")
    if "extends" not in content:
        return content, [path]
    base = content.pop("extends")
    if not isinstance(base, str):
        raise TaskFileError(
            f"{path}: 'extends' = {base!r} must be the path of a task file, relative to this one"
        )
    inherited, files = _read(path.parent / base, (*below, path))
    return merge(inherited, content), [path, *files]


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``: mappings are merged key by key, all else (lists too) is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merge(old, value)
        merged[key] = value
    return merged


def task_from_dict(content: Mapping[str, Any], source: str = "task") -> TaskSpec:
    """Validate ``content`` into a TaskSpec.

    Raises:
        TaskFileError: Lists every key that is unknown (with the nearest valid one), missing or out of range.
    """
    try:
        return TaskSpec.model_validate(content)
    except ValidationError as error:
        lines = [f"{source} cannot be used:"]
        lines += [f"  {_explain(entry)}" for entry in error.errors()]
        raise TaskFileError("\n".join(lines)) from error


def task_to_yaml(spec: TaskSpec) -> str:
    """YAML text that loads to an equal spec (kept in each run folder)."""
    return yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, width=120)


def _explain(entry: Any) -> str:
    location = [str(part) for part in entry["loc"]]
    key = ".".join(location)
    if entry["type"] == "extra_forbidden":
        valid = _valid_keys(entry["loc"][:-1])
        near = difflib.get_close_matches(location[-1], valid, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"valid keys here: {', '.join(valid)}"
        return f"unknown key '{key}'; {hint}"
    if entry["type"] == "missing":
        return f"key '{key}' is missing"
    message = str(entry["msg"]).removeprefix("Value error, ")
    if not key:
        return message
    if isinstance(entry["input"], Mapping):  # of a whole section, too long to show
        return f"'{key}': {message}"
    return f"'{key}' = {entry['input']!r}: {message}"


def _valid_keys(location: tuple[Any, ...]) -> list[str]:
    model: Any = TaskSpec
    named = False  # the next part is the key of a mapping, such as an arm's name
    for part in location:
        if isinstance(part, int) or named:
            named = False
            continue
        field = (
            model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        )
        if field is None:
            return []
        model, named = _model_in(field.annotation), _has_mapping(field.annotation)
    return list(model.model_fields) if model is not None else []


def _has_mapping(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict or any(
        typing.get_origin(argument) is dict for argument in typing.get_args(annotation)
    )


def _model_in(annotation: Any) -> Any:
    """The pydantic model inside ``Model``, ``Model | None``, ``tuple[Model, ...]`` or ``dict[str, Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, dict, typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            found = _model_in(argument)
            if found is not None:
                return found
    return None
