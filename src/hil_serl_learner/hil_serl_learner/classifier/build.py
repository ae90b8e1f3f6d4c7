# SPDX-License-Identifier: Apache-2.0
"""A classifier's folder: the trained file, what it was trained on, and what it gets wrong.

``classifier.safetensors`` is what the actor loads, ``dataset.json`` lists the recordings and every step that a person
added, ``mistakes.png`` shows the worst mistakes, ``task.yaml`` is the task. Retraining adds to ``dataset.json`` and
trains from scratch on everything, which takes seconds; the classifier before it is kept under ``previous/``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hil_serl_core.rewards.classifier import SuccessClassifier
from hil_serl_core.rewards.classifier_file import CLASSIFIER_FILE
from hil_serl_core.spec import TaskSpec, load_task, task_to_yaml
from hil_serl_learner.classifier.metrics import BinaryMetrics, measure
from hil_serl_learner.classifier.picture import draw_mistakes
from hil_serl_learner.classifier.samples import DataError, LabelledStep, Source, read_samples
from hil_serl_learner.classifier.training import TrainingOptions, TrainingResult, judge, train_classifier

DATASET_FILE, PICTURE_FILE, TASK_FILE, PREVIOUS = "dataset.json", "mistakes.png", "task.yaml", "previous"


@dataclass(frozen=True)
class ClassifierFolder:
    """Paths of a classifier.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> ClassifierFolder:
        """An existing one; a run folder stands for the folder ``classifier`` in it.

        Raises:
            DataError: There is no classifier.
        """
        path = path.expanduser().absolute()
        for folder in (path, path / "classifier", path.parent):
            if (folder / DATASET_FILE).is_file() and (folder / TASK_FILE).is_file():
                return cls(folder)
        raise DataError(
            f"{path} holds no classifier (no {DATASET_FILE}); train one with: hil-serl classifier train RUN"
        )

    def task(self) -> TaskSpec:
        """The task it was trained for."""
        return load_task(self.path / TASK_FILE)

    def sources(self) -> list[Source]:
        """What it was trained on.

        Raises:
            DataError: The list is damaged.
        """
        file = self.path / DATASET_FILE
        try:
            return [
                Source.from_dict(entry) for entry in json.loads(file.read_text(encoding="utf-8"))["sources"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is damaged ({error}); train again from the recordings") from error

    def classifier(self, device: str = "cpu") -> SuccessClassifier:
        """The trained classifier; see :meth:`SuccessClassifier.load`."""
        return SuccessClassifier.load(self.path, self.task(), device)


def build(
    spec: TaskSpec,
    sources: Sequence[Source],
    folder: Path,
    options: TrainingOptions | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Trains a classifier and writes its folder.

    Args:
        spec: The task, with a section ``reward.classifier``.
        sources: Recordings; a later one overrules an earlier one about the same record.
        folder: Where to put it; what is there is kept as ``previous``.
        options: How to train.
        progress: Told what is being done.

    Raises:
        DataError, LabelError, BagError, ClassifierError, BackboneError: See there; nothing is written.
        OSError: The folder cannot be written.
    """
    progress("reading recordings")
    samples = read_samples(spec, sources)
    result = train_classifier(spec, samples, options or TrainingOptions(), progress)
    folder.mkdir(parents=True, exist_ok=True)
    _keep_previous(folder)
    description = result.classifier.description
    draw_mistakes(
        folder / PICTURE_FILE,
        samples,
        result.probabilities,
        result.held,
        description.classes,
        result.classifier.threshold,
    )
    (folder / TASK_FILE).write_text(task_to_yaml(spec), encoding="utf-8")
    content = {"options": asdict(options or TrainingOptions()), "sources": [s.as_dict() for s in sources]}
    (folder / DATASET_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    result.classifier.save(folder)  # last: a folder with a classifier is complete
    return result


def _keep_previous(folder: Path) -> None:
    files = [folder / name for name in (CLASSIFIER_FILE, DATASET_FILE, PICTURE_FILE)]
    if not files[0].exists():
        return
    (folder / PREVIOUS).mkdir(exist_ok=True)
    for file in files:
        if file.exists():
            shutil.copy2(file, folder / PREVIOUS / file.name)


@dataclass(frozen=True)
class Check:
    """A classifier on recordings.

    Attributes:
        samples: What it judged.
        probabilities: (N, classes).
        wrong: (N,) bool, verdict and label differ.
        metrics: Of success against the rest.
    """

    samples: list[LabelledStep]
    probabilities: np.ndarray
    wrong: np.ndarray
    metrics: BinaryMetrics


def check(folder: ClassifierFolder, sources: Sequence[Source]) -> Check:
    """What a classifier makes of labelled recordings.

    Raises:
        DataError, LabelError, BagError, ClassifierError: See there.
    """
    spec, classifier = folder.task(), folder.classifier()
    samples = read_samples(spec, sources)
    probabilities = judge(classifier, samples)
    success = classifier.description.classes.index("success")
    truth = np.array([sample.label == success for sample in samples])
    verdict = probabilities[:, success] >= classifier.threshold
    metrics = measure(probabilities[:, success], truth, classifier.threshold)
    return Check(samples, probabilities, verdict != truth, metrics)


def mistakes_of(folder: ClassifierFolder, recording: Path) -> Source | None:
    """The steps of a labelled recording that a classifier gets wrong, as data to add; None if there are none."""
    source = Source(str(recording.expanduser().absolute()))
    checked = check(folder, [source])
    records = tuple(
        (sample.actor_id, sample.sequence)
        for sample, wrong in zip(checked.samples, checked.wrong, strict=True)
        if wrong
    )
    return Source(source.path, records=records) if records else None
