# SPDX-License-Identifier: Apache-2.0
"""Reference of the task file."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from hil_serl_cli.schema import reference, type_text
from hil_serl_core.spec import ControlSpec, LearnerSpec, TaskSpec

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.skipif(not DOCS.exists(), reason="tests run outside the repository")
@pytest.mark.parametrize(("of", "file"), [("task", "task_schema.md"), ("robot", "robot_file.md")])
def test_the_committed_reference_is_that_of_the_models(of, file):
    assert (DOCS / file).read_text(encoding="utf-8") == reference(of), (
        f"the models of the {of} file changed; write the reference anew: hil-serl schema --of {of} --output docs/{file}"
    )


def test_every_key_of_a_robot_file_is_explained():
    rows = [line.split(" | ") for line in reference("robot").splitlines() if line.startswith("| `")]
    assert {"| `controllers`", "| `serial`", "| `joint_prefix`"} <= {row[0] for row in rows}
    assert [row[0] for row in rows if row[-1].strip(" |") == ""] == []


def test_every_key_is_there_with_its_limits_and_default():
    text = reference()
    for model in (TaskSpec, ControlSpec, LearnerSpec):
        for name in model.model_fields:
            assert f"| `{name}` |" in text, name
    assert "| `discount` | number > 0, < 1 | `0.97` |" in text
    assert "| `name` | text | required |" in text


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (tuple[float, float], "[number, number]"),
        (tuple[Annotated[float, Field(gt=0.0)], ...], "list of number > 0"),
        (dict[str, float] | None, "mapping of text to number or null"),
        (Literal["open", "closed"], "`open` or `closed`"),
        (ControlSpec | None, "section or null"),
    ],
)
def test_types_are_put_in_words(annotation, text):
    assert type_text(annotation) == text
