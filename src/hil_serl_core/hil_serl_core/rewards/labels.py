# SPDX-License-Identifier: Apache-2.0
"""Labels of recorded steps: a text file beside the bags, one JSON object per line.

``{"actor_id": "actor_0", "sequence": 17, "label": "success"}`` names the class of the state that this record shows; of
several lines about one record the last one counts, so that a correction is appended, never edited in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hil_serl_core.episode import Outcome
from hil_serl_core.rewards.errors import RewardError
from hil_serl_core.spec.rewards import ClassifierSpec

LABELS_FILE = "labels.jsonl"
"""Name of the file, in the folder ``bags/<mode>/<actor_id>`` of a run."""


class LabelError(RewardError):
    """A label file that cannot be used; the message names the line."""


@dataclass(frozen=True)
class Label:
    """Class of one record.

    Attributes:
        actor_id: Actor of the record.
        sequence: Its sequence number.
        label: Class name, e.g. ``success``.
    """

    actor_id: str
    sequence: int
    label: str


def label_of(outcome: Outcome, section: ClassifierSpec | None) -> str:
    """Class of a state that a person or the simulator has judged.

    Success is ``success``; a lost state is the first of the failure classes, if the task has any; anything else is the
    first of the remaining classes.
    """
    if outcome.success:
        return "success"
    if section is None:
        return "failure"
    if outcome.failure and section.failure_classes:
        return section.failure_classes[0]
    ordinary = [name for name in section.classes if name != "success" and name not in section.failure_classes]
    return (ordinary or list(section.failure_classes))[0]


class LabelWriter:
    """Appends labels to a file; each line is with the system when :meth:`write` returns."""

    def __init__(self, path: Path) -> None:
        """Opens for appending, completing a line that a killed process left half written.

        Args:
            path: File; its folder is made if missing.

        Raises:
            OSError: The file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
        self._file: TextIO = path.open("a", encoding="utf-8")
        if torn:
            self._file.write("\n")

    def write(self, actor_id: str, sequence: int, label: str) -> None:
        """Append one label."""
        line = json.dumps({"actor_id": actor_id, "sequence": sequence, "label": label})
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_labels(path: Path) -> dict[tuple[str, int], str]:
    """Labels of one file by (actor_id, sequence).

    A last line without its end was cut off by a crash and is left out.

    Raises:
        LabelError: A whole line is not a label.
        OSError: The file cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    found: dict[tuple[str, int], str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label = _parse(line)
        except (ValueError, KeyError, TypeError) as error:
            if _cut_off(lines, number):
                continue
            raise LabelError(
                f"{path}, line {number} is no label ({error}); expected "
                '{"actor_id": "actor_0", "sequence": 17, "label": "success"}'
            ) from error
        found[label.actor_id, label.sequence] = label.label
    return found


def _cut_off(lines: list[str], number: int) -> bool:
    """A line that a killed writer left: it does not close its brace."""
    return not lines[number - 1].rstrip().endswith("}")


def _parse(line: str) -> Label:
    entry = json.loads(line)
    if not isinstance(entry["actor_id"], str) or not isinstance(entry["label"], str):
        raise TypeError("actor_id and label must be texts")
    if isinstance(entry["sequence"], bool) or not isinstance(entry["sequence"], int):
        raise TypeError("sequence must be a whole number")
    return Label(entry["actor_id"], entry["sequence"], entry["label"])


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Append many labels."""
    writer = LabelWriter(path)
    try:
        for label in labels:
            writer.write(label.actor_id, label.sequence, label.label)
    finally:
        writer.close()
