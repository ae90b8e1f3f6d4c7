# SPDX-License-Identifier: Apache-2.0
"""Label files survive crashes and corrections."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil_serl_core.episode import Outcome
from hil_serl_core.rewards.labels import Label, LabelError, LabelWriter, label_of, read_labels, write_labels
from hil_serl_core.spec.rewards import ClassifierSpec


def test_last_label_of_a_record_counts(tmp_path: Path) -> None:
    path = tmp_path / "bags" / "labels.jsonl"
    write_labels(path, [Label("a", 0, "other"), Label("a", 1, "success"), Label("b", 1, "other")])
    write_labels(path, [Label("a", 1, "other")])
    assert read_labels(path) == {("a", 0): "other", ("a", 1): "other", ("b", 1): "other"}


def test_line_cut_by_a_crash_is_left_out_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    write_labels(path, [Label("a", 0, "other")])
    with path.open("a") as file:
        file.write('{"actor_id": "a", "seq')
    assert read_labels(path) == {("a", 0): "other"}
    writer = LabelWriter(path)
    writer.write("a", 2, "success")
    writer.close()
    assert read_labels(path) == {("a", 0): "other", ("a", 2): "success"}


@pytest.mark.parametrize(
    "line",
    ['{"actor_id": "a", "sequence": 1}', '{"actor_id": "a", "sequence": "1", "label": "success"}', "{17}"],
)
def test_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"actor_id": "a", "sequence": 0, "label": "other"}\n' + line + "\n")
    with pytest.raises(LabelError, match="line 2"):
        read_labels(path)


def test_class_of_a_judged_state() -> None:
    two = ClassifierSpec(cameras=("wrist",))
    three = ClassifierSpec(
        cameras=("wrist",), classes=("nothing", "success", "dropped"), failure_classes=("dropped",)
    )
    verdicts = [Outcome(success=True), Outcome(failure=True), Outcome()]
    assert [label_of(verdict, two) for verdict in verdicts] == ["success", "failure", "failure"]
    assert [label_of(verdict, three) for verdict in verdicts] == ["success", "dropped", "nothing"]
