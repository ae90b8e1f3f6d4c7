# SPDX-License-Identifier: Apache-2.0
"""`hil-serl classifier`: how much is recorded under which task, and what a person is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hil_serl_bringup.graph.build import GraphError, Operator
from hil_serl_bringup.opening import recording_task
from hil_serl_cli import cli
from hil_serl_cli.commands.classifier import Retrain, Train
from hil_serl_cli.running.classifier_record import MOST_EPISODES, episodes_needed, label_help, shortage
from hil_serl_core.rewards import RewardError
from hil_serl_core.rewards.labels import Label, write_labels
from hil_serl_core.spec import TaskSpec, task_from_dict, task_to_yaml
from hil_serl_learner.classifier import build
from hil_serl_learner.classifier.samples import Source
from hil_serl_runs.labels import LEAST_EPISODES, count_labels
from hil_serl_runs.run_folder import RunFolder
from hil_serl_tasks.finder import find_task


def changed(task: TaskSpec, **sections: dict) -> TaskSpec:
    content = task.model_dump(mode="json")
    for name, values in sections.items():
        content[name] |= values
    return task_from_dict(content)


def test_enough_episodes_for_both_classes() -> None:
    assert episodes_needed(Counter(), 0, max_steps=60, positives=200, negatives=1000) == 20
    # long episodes: still enough of them to hold some out
    assert episodes_needed(Counter(), 0, max_steps=600, positives=200, negatives=1000) == LEAST_EPISODES
    # 20 episodes brought 5 positives each; 100 more take 20 episodes
    few = Counter(success=100, failure=1100)
    assert episodes_needed(few, 20, max_steps=60, positives=200, negatives=1000) == 20
    enough = Counter(success=250, failure=1100)
    assert episodes_needed(enough, 20, max_steps=60, positives=200, negatives=1000) == 0
    # never seen: expected once in all episodes so far, but not for ever
    never = Counter(failure=1200)
    assert episodes_needed(never, 20, max_steps=60, positives=200, negatives=1000) == MOST_EPISODES - 20


def test_simulated_recording_starts_every_episode_afresh_and_is_judged_by_the_truth() -> None:
    task = find_task("ram_insertion")
    reset_free = changed(task, reset={"method": "arm"}, reward={"kind": "classifier"})
    recorded = recording_task(reset_free, simulated=True)
    assert recorded.reset.method == "scripted"
    assert recorded.reward.kind == "ground_truth"
    assert recorded.name == task.name
    real = recording_task(reset_free, simulated=False)
    assert (real.reset.method, real.reward.kind) == ("arm", "classifier")


def test_person_labels_with_a_button_that_the_gripper_leaves_free() -> None:
    inserts = recording_task(
        changed(find_task("ram_insertion"), intervention={"success_button": None}), False
    )
    assert inserts.intervention.success_button == 0
    grasps = recording_task(find_task("usb_insertion"), False)
    assert grasps.intervention.success_button not in (
        grasps.intervention.close_button,
        grasps.intervention.open_button,
        None,
    )
    text = label_help(grasps, Operator.SPACENAV, Path("runs/x"))
    assert f"button {grasps.intervention.success_button}" in text


def test_task_without_a_classifier_is_refused() -> None:
    with pytest.raises(GraphError, match=r"no section reward\.classifier"):
        recording_task(changed(find_task("ram_insertion"), reward={"classifier": None}), True)


def test_labels_of_all_actors_are_counted(tmp_path: Path) -> None:
    folder = RunFolder.create(find_task("ram_insertion"), 0, "classifier record", path=tmp_path / "run")
    for actor in ("a", "b"):
        write_labels(
            folder.path / "bags" / "record_classifier" / actor / "labels.jsonl",
            [Label(actor, 0, "failure"), Label(actor, 1, "success"), Label(actor, 2, "failure")],
        )
    assert count_labels(folder) == Counter(failure=4, success=2)


def test_what_is_still_missing_is_said() -> None:
    counts = Counter({"success": 150, "grasped": 300, "nothing": 700})
    assert shortage(counts, 200, 1000) == "50 of success"
    assert shortage(counts, 200, 1200) == "50 of success and 200 of no success"
    assert shortage(counts, 150, 1000) == ""


def test_missing_recording_and_missing_classifier_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RewardError, match="hil-serl classifier record"):
        Train(recordings=(str(tmp_path / "nowhere"),)).run()
    with pytest.raises(RewardError, match="hil-serl classifier train"):
        Retrain(classifier=tmp_path, add_negative=("x:1",)).run()
    assert cli.run(["classifier", "train", str(tmp_path / "nowhere")]) == cli.EXIT_USER_ERROR
    assert "there is no recording" in capsys.readouterr().err


def test_retraining_is_for_the_task_it_was_trained_for_or_another_version_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = find_task("ram_insertion")
    (tmp_path / build.TASK_FILE).write_text(task_to_yaml(task))
    (tmp_path / build.DATASET_FILE).write_text('{"sources": []}')
    version = tmp_path / "version.yaml"
    version.write_text(task_to_yaml(changed(task, reward={"classifier": {"cameras": ["wrist_1"]}})))
    asked: list[TaskSpec] = []

    def built(spec: TaskSpec, sources: list[Source], *_: object) -> None:
        assert [source.label for source in sources] == ["failure"]
        asked.append(spec)
        raise RewardError("seen")

    monkeypatch.setattr(build, "build", built)
    for name, cameras in ((None, ("wrist_1", "wrist_2")), (str(version), ("wrist_1",))):
        with pytest.raises(RewardError, match="seen"):
            Retrain(classifier=tmp_path, add_negative=("x:1",), task=name).run()
        assert asked[-1].reward.classifier is not None
        assert asked[-1].reward.classifier.cameras == cameras
    version.write_text(task_to_yaml(changed(task, reward={"classifier": None})))
    with pytest.raises(RewardError, match=r"no section reward\.classifier"):
        Retrain(classifier=tmp_path, add_negative=("x:1",), task=str(version)).run()
