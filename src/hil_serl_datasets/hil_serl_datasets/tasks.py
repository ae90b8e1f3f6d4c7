# SPDX-License-Identifier: Apache-2.0
"""Do recordings belong to the same task, and if not, in what do their tasks differ?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hil_serl_core.spec import TaskSpec
from hil_serl_datasets.episodes import RecordedEpisode
from hil_serl_datasets.errors import DatasetError

_SHOWN = 4


def common_tasks(episodes: Sequence[RecordedEpisode]) -> list[TaskSpec]:
    """The task that all episodes were recorded under; of forward-backward runs, both tasks.

    Raises:
        DatasetError: They were recorded under different tasks, with the differences, or under one nobody knows.
    """
    found: dict[str, RecordedEpisode] = {}
    for episode in episodes:
        found.setdefault(episode.spec_hash, episode)
    for spec_hash, episode in found.items():
        if episode.task is None:
            raise DatasetError(
                f"{episode} was recorded under task spec {spec_hash}, which no task file here has; name the one it was "
                "recorded with: --task FILE.yaml"
            )
    specs = [episode.task for episode in found.values() if episode.task is not None]
    if len(specs) == 1:
        return specs
    pairs = {tuple(spec.hash for spec in e.recording.tasks()) for e in episodes}
    if len(pairs) == 1 and (hashes := pairs.pop()) and set(found) <= set(hashes):
        return sorted(specs, key=lambda spec: hashes.index(spec.hash))
    one, other = list(found.values())[:2]
    assert one.task is not None
    assert other.task is not None
    raise DatasetError(
        f"{one.recording.folder} was recorded under task '{one.task.name}' ({one.spec_hash}), {other.recording.folder} "
        f"under '{other.task.name}' ({other.spec_hash}); they differ in {differences(one.task, other.task)}. Records "
        "of different tasks cannot be put together: a policy could not learn from both"
    )


def differences(one: TaskSpec, other: TaskSpec) -> str:
    """Keys whose values differ, with the values, the first few of them."""
    found = list(_differences(one.model_dump(mode="json"), other.model_dump(mode="json"), ""))
    found = [text for text in found if not text.startswith(("description", "source "))] or found
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _differences(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _differences(one.get(key), other.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{where}[{number}]")
    elif one != other:
        yield f"{where} ({one} and {other})"
