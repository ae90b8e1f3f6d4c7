# SPDX-License-Identifier: Apache-2.0
"""Classifier from recorded bags: labels, refusals, learning, additions, the folder it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil_serl_core.observation import Observation
from hil_serl_core.rewards import LABELS_FILE, LabelWriter, make_reward
from hil_serl_core.spec import TaskSpec, task_from_dict, task_to_yaml
from hil_serl_core.step import Step
from hil_serl_learner.classifier.build import ClassifierFolder, build, check, mistakes_of
from hil_serl_learner.classifier.samples import DataError, Source, read_samples
from hil_serl_learner.classifier.training import TrainingOptions, train_classifier
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagWriter, read_steps
from hil_serl_ros.conversions import step_to_message
from hil_serl_ros.stamps import seconds_to_ns

QUICK = TrainingOptions(iterations=60, batch_size=64, views=2)
LENGTH = 8


def task(toy: Any, name: str = "toy", kind: str = "ground_truth", size: int = 32, **section: Any) -> TaskSpec:
    content = toy.spec().model_dump(mode="json") | {"name": name}
    for camera in content["cameras"]:
        camera["size"] = size
    content["reward"] = {"kind": kind, "classifier": {"cameras": ["right_eye"], **section}}
    return task_from_dict(content)


def pictures(spec: TaskSpec, rng: np.random.Generator, bright: bool) -> dict[str, np.ndarray]:
    """A patch at a random place, bright in the classifier's camera if the task is solved; noise in the other one."""
    frames = {}
    for camera in spec.cameras:
        frame = rng.integers(0, 60, (camera.size, camera.size, 3), dtype=np.uint8)
        if bright and camera.name == "right_eye":
            side = camera.size // 3
            row, column = rng.integers(0, camera.size - side, 2)
            frame[row : row + side, column : column + side] += 180
        frames[camera.name] = frame
    return frames


def record(
    run: Path,
    spec: TaskSpec,
    toy: Any,
    episodes: int = 6,
    labels: bool = True,
    success: bool = True,
    seed: int = 0,
) -> Path:
    """A run folder: in each episode the last three steps show success, the very last one is terminal."""
    folder = run / "bags" / "record_classifier" / "actor"
    folder.mkdir(parents=True)
    (run / "task.yaml").write_text(task_to_yaml(spec))
    rng = np.random.default_rng(seed)
    writer = BagWriter(folder / "000")
    writer.add_topic("/step", StepMessage, qos.STEP)
    file = LabelWriter(folder / LABELS_FILE) if labels else None
    for sequence in range(episodes * LENGTH):
        episode, index = divmod(sequence, LENGTH)
        solved, last = success and index >= LENGTH - 3, index == LENGTH - 1
        step: Step = toy.step(
            spec,
            sequence,
            episode=episode,
            step_index=index,
            frames=pictures(spec, rng, solved),
            is_first=index == 0,
            is_last=last,
            is_terminal=last and success,
            reward=float(last and success),
        )
        writer.write("/step", step_to_message(step), seconds_to_ns(step.stamp), step.sequence)
        if file is not None:
            file.write(step.actor_id, step.sequence, "success" if solved else "failure")
    writer.close()
    if file is not None:
        file.close()
    return run


@pytest.fixture(scope="module")
def recorded(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded") / "run", task(toy), toy, episodes=12)


# ------------------------------------------------------------------------------------------------ data


def test_labels_of_the_file_win_over_the_recorded_reward(recorded: Path, toy: Any) -> None:
    samples = read_samples(task(toy), [Source(str(recorded))])
    assert len(samples) == 12 * LENGTH
    assert [s.label for s in samples[:LENGTH]] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert list(samples[0].frames) == ["right_eye"]


def test_without_labels_the_last_step_of_a_solved_episode_is_the_positive(tmp_path: Path, toy: Any) -> None:
    run = record(tmp_path / "run", task(toy), toy, episodes=2, labels=False)
    assert [s.label for s in read_samples(task(toy), [Source(str(run))])] == [0] * 7 + [1] + [0] * 7 + [1]


def test_later_source_overrules_about_the_same_step(recorded: Path, toy: Any) -> None:
    wrong = Source(str(recorded), episode=0, first=7, last=7, label="failure")
    samples = read_samples(task(toy), [Source(str(recorded)), wrong])
    assert len(samples) == 12 * LENGTH
    assert [(s.label, s.added) for s in samples if s.episode == 0][-2:] == [(1, False), (0, True)]


@pytest.mark.parametrize(
    ("recorded_as", "reason"),
    [
        ({"name": "another"}, "recorded for task 'another', the classifier is for 'toy'"),
        ({"size": 16}, "'size' of camera 'right_eye' was 16"),
        ({"kind": "classifier"}, "its rewards are a classifier's own"),
    ],
)
def test_recordings_that_teach_nothing_are_refused(
    tmp_path: Path, toy: Any, recorded_as: dict[str, Any], reason: str
) -> None:
    run = record(tmp_path / "run", task(toy, **recorded_as), toy, episodes=1, labels=False)
    with pytest.raises(DataError, match=reason):
        read_samples(task(toy), [Source(str(run))])


def test_unknown_label_and_empty_choice_are_named(recorded: Path, toy: Any) -> None:
    three = task(toy, classes=["nothing", "success", "lost"])
    with pytest.raises(DataError, match=r"has the label 'failure', the task's classes are \['nothing'"):
        read_samples(three, [Source(str(recorded))])
    with pytest.raises(DataError, match=r"nothing of .*:99 was recorded"):
        read_samples(task(toy), [Source(str(recorded), episode=99)])


def test_one_class_is_refused_and_leaves_nothing(tmp_path: Path, toy: Any) -> None:
    run = record(tmp_path / "run", task(toy), toy, success=False)
    with pytest.raises(DataError, match="no example of 'success'"):
        build(task(toy), [Source(str(run))], tmp_path / "classifier", QUICK)
    assert not (tmp_path / "classifier").exists()


# -------------------------------------------------------------------------------------------- training


def test_classifier_is_learnt_measured_on_held_out_episodes_and_judges_in_the_actor(
    recorded: Path, tmp_path: Path, toy: Any
) -> None:
    spec = task(toy, kind="classifier")
    folder = tmp_path / "classifier"
    result = build(spec, [Source(str(recorded))], folder, QUICK)
    assert result.metrics.total == 3 * LENGTH
    assert result.metrics.accuracy > 0.95
    assert {path.name for path in folder.iterdir()} >= {
        "classifier.safetensors",
        "mistakes.png",
        "dataset.json",
    }
    reward = make_reward(spec, folder)
    assert reward is not None
    rng = np.random.default_rng(77)
    for bright in (True, False, True):
        seen = Observation(0.0, pictures(spec, rng, bright), {}, {})
        assert reward.judge(seen).success is bright


def test_several_classes(tmp_path: Path, toy: Any) -> None:
    spec = task(toy, classes=["nothing", "success", "lost"], failure_classes=["lost"])
    run = record(tmp_path / "run", spec, toy, episodes=10, labels=False)
    labels = LabelWriter(run / "bags" / "record_classifier" / "actor" / LABELS_FILE)
    for sequence in range(10 * LENGTH):
        index = sequence % LENGTH
        labels.write(
            "actor", sequence, "success" if index >= LENGTH - 3 else "lost" if index < 2 else "nothing"
        )
    labels.close()
    samples = read_samples(spec, [Source(str(run))])
    result = train_classifier(spec, samples, QUICK)
    report = result.classifier.description.metrics
    assert result.probabilities.shape == (80, 3)
    assert report["samples"] == {"nothing": 30, "success": 30, "lost": 20}
    assert sum(map(sum, report["confusion"])) == int(result.held.sum())
    # 'lost' and 'nothing' look alike here, success does not
    assert result.metrics.accuracy > 0.9


def test_training_repeats_by_seed(recorded: Path, toy: Any) -> None:
    samples = read_samples(task(toy), [Source(str(recorded))])
    first, second = (train_classifier(task(toy), samples, TrainingOptions(5, 32, views=2)) for _ in range(2))
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


# -------------------------------------------------------------------------------------------- retraining


def test_mistakes_are_found_added_and_cured(recorded: Path, tmp_path: Path, toy: Any) -> None:
    spec, folder = task(toy), tmp_path / "classifier"
    build(spec, [Source(str(recorded))], folder, QUICK)
    opened = ClassifierFolder.open(folder)
    assert mistakes_of(opened, recorded) is None
    # A person sees that none of these was a success.
    run = record(tmp_path / "fooled", spec, toy, episodes=4, seed=5)
    labels = LabelWriter(run / "bags" / "record_classifier" / "actor" / LABELS_FILE)
    for sequence in range(4 * LENGTH):
        labels.write("actor", sequence, "failure")
    labels.close()
    found = mistakes_of(opened, run)
    assert found is not None
    assert len(found.records) == 12
    before = check(opened, [Source(str(run))]).metrics.false_positives
    build(opened.task(), [*opened.sources(), found], folder, TrainingOptions(150, 64, views=2))
    retrained = ClassifierFolder.open(folder)
    after = check(retrained, [Source(str(run))]).metrics.false_positives
    assert before == 12
    assert after < before
    assert json.loads((folder / "dataset.json").read_text())["sources"][-1]["records"]
    assert (folder / "previous" / "classifier.safetensors").is_file()


def test_steps_that_the_pose_check_rejects_are_left_out(tmp_path: Path, toy: Any) -> None:
    content = task(toy).model_dump(mode="json")
    content["reward"]["pose"] = {"gripper": [0.0, 10.0]}
    spec = task_from_dict(content)
    run = record(tmp_path / "run", spec, toy, episodes=2)
    samples = read_samples(spec, [Source(str(run))])
    openings = [float(step.state["gripper"][0]) for step in read_steps(run)]
    kept = [sequence for sequence, opening in enumerate(openings) if 0.0 <= opening <= 10.0]
    assert [sample.sequence for sample in samples] == kept
    assert 0 < len(kept) < len(openings)
