# SPDX-License-Identifier: Apache-2.0
"""Writing a crop into a task file: only its characters change, so comments and layout stay."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hil_serl_core.spec import TaskFileError

Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropEdit:
    """A task file with another crop.

    Attributes:
        path: The file that lists the camera; a file that the task's own one extends, perhaps.
        line: Number of the line that changes, counted from 1.
        before, after: That line; ``after`` may be a line more.
        text: The whole new file.
    """

    path: Path
    line: int
    before: str
    after: str
    text: str

    def write(self) -> None:
        """Replace the file in one go.

        Raises:
            OSError: It cannot be written; it is as it was.
        """
        target = self.path.resolve()  # the file that an installed link points to
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_text(self.text, encoding="utf-8")
        os.chmod(temporary, target.stat().st_mode & 0o777)
        temporary.replace(target)


def defining_file(path: Path) -> Path:
    """The file that lists a task's cameras: its own, or the nearest one that it extends.

    Raises:
        TaskFileError: None of them does.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    while "cameras" not in content:
        if "extends" not in content:
            raise TaskFileError(f"{path} lists no cameras")
        path = path.parent / content["extends"]
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return path


def plan_crop(task_file: Path, camera: str, crop: Crop) -> CropEdit:
    """The edit that gives a camera its crop.

    Args:
        task_file: File of a task that can be loaded.
        camera: Name of the camera.
        crop: x, y, width, height [px].

    Raises:
        TaskFileError: The file has no such camera, or is written in a way that this cannot edit.
    """
    path = defining_file(task_file)
    text = path.read_text(encoding="utf-8")
    start, end, inserted = _place(_camera_node(path, text, camera), text, f"[{', '.join(map(str, crop))}]")
    new = text[:start] + inserted + text[end:]
    _check(path, text, new, camera, crop)
    first = text.rfind("\n", 0, start) + 1
    last, new_last = text.find("\n", end), new.find("\n", start + len(inserted.rstrip("\n")))
    return CropEdit(
        path,
        text.count("\n", 0, start) + 1,
        text[first : last if last >= 0 else None],
        new[first : new_last if new_last >= 0 else None],
        new,
    )


def _camera_node(path: Path, text: str, camera: str) -> yaml.MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value if root is not None else ():
        if key.value == "cameras":
            for item in value.value:
                if any(k.value == "name" and v.value == camera for k, v in item.value):
                    return item
    raise TaskFileError(f"{path} lists no camera '{camera}'")


def _place(node: yaml.MappingNode, text: str, crop: str) -> tuple[int, int, str]:
    """Where to cut, up to where, and what to put there."""
    values = {key.value: (key, value) for key, value in node.value}
    if "crop" in values:
        key, value = values["crop"]
        start, end = value.start_mark.index, _end(value)
        gap = " " if text[start - 1] == ":" else ""  # 'crop:' without a value
        return (key.end_mark.index + 1, end, f" {crop}") if start == end else (start, end, gap + crop)
    last_key, last = node.value[-1] if "source_height" not in values else values["source_height"]
    end = _end(last)
    if node.flow_style:
        return end, end, f", crop: {crop}"
    line_end = text.find("\n", end)
    if line_end < 0:
        return len(text), len(text), f"\n{' ' * last_key.start_mark.column}crop: {crop}\n"
    return line_end + 1, line_end + 1, f"{' ' * last_key.start_mark.column}crop: {crop}\n"


def _end(node: yaml.Node) -> int:
    """Where a value ends; that of a block list or mapping is where its last item does."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _check(path: Path, old: str, new: str, camera: str, crop: Crop) -> None:
    """The new file must say what the old one said, but for this crop."""
    expected: dict[str, Any] = yaml.safe_load(old)
    for entry in expected["cameras"]:
        if entry["name"] == camera:
            entry["crop"] = list(crop)
    try:
        same = yaml.safe_load(new) == expected
    except yaml.YAMLError:
        same = False
    if not same:
        raise TaskFileError(
            f"{path} is laid out in a way that cannot be edited; put this in by hand: crop: {list(crop)}"
        )
