# SPDX-License-Identifier: Apache-2.0
"""`hil-serl classifier`: record labelled pictures, train a reward classifier, check it, cure its mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from hil_serl_bringup.opening import open_folder, recording_task
from hil_serl_cli.options import CellOptions, session
from hil_serl_cli.running import classifier_record
from hil_serl_core.rewards import RewardError
from hil_serl_runs import labels
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.terminal import plain_console, word
from hil_serl_tasks.finder import find_task

ADVISED_ACCURACY = 0.95  # paper, App. B: >95 % on evaluation data


@dataclass
class Record(CellOptions):
    """Record pictures and their labels: of success, of near misses and of everything else.

    In simulation the scripted operator drives and the truth labels every step; on a robot a person holds a button while
    the state shows success. About 200 positives and 1000 negatives are usual: ten human episodes, five minutes.
    """

    positives: int = 200
    """Examples of success wanted: the scripted operator goes on until they are there, a person sees the counts."""
    negatives: int = 1000
    """Other examples wanted."""
    episodes: int | None = None
    """Record exactly so many episodes instead; default with a person: 12."""

    def run(self) -> int:
        setup = self.setup()
        scripted = self.operator == "scripted"
        task = recording_task(find_task(self.task, setup.robot.simulated), setup.robot.simulated)
        folder = open_folder(task, self.seed, "classifier record", self.run_dir, self.resume, setup.robot)
        console = plain_console()
        console.print(classifier_record.label_help(task, self.operator, folder.path), highlight=False)
        episodes = self.episodes or (None if scripted else labels.LEAST_EPISODES)
        with session(folder, self.namespace, "hil-serl classifier record", robot=setup.robot) as running:
            counts = classifier_record.record(running, setup, self.positives, self.negatives, episodes)
        text = labels.in_words(counts)
        if missing := classifier_record.shortage(counts, self.positives, self.negatives):
            more = f"hil-serl classifier record --resume {word(folder.path)}"
            text += f" Still missing: {missing}; record more with: {more}."
        console.print(
            f"{text} Train with: hil-serl classifier train {word(folder.path)}",
            highlight=False,
            soft_wrap=True,
        )
        return 0


@dataclass(kw_only=True)
class TrainingChoices:
    iterations: int = 150
    """Gradient steps."""
    seed: int = 0
    """Seed of split, network and draws."""

    def options(self) -> Any:
        """For `train_classifier`."""
        from hil_serl_learner.classifier.training import TrainingOptions

        return TrainingOptions(iterations=self.iterations, seed=self.seed)


@dataclass
class Train(TrainingChoices):
    """Train a reward classifier on recordings and test it on episodes held out.

    A recording is a run of 'classifier record', or any run whose rewards a person or the simulator gave: then the last
    step of each solved episode is a positive. PATH:EPISODE and PATH:EPISODE:STEP name parts of it.
    """

    recordings: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run folders, bag folders or bags."""
    task: str | None = None
    """Task by name or path; default: that of the first recording."""
    output: Path | None = None
    """Folder of the classifier; default: 'classifier' in the first recording's run folder."""

    def run(self) -> int:
        from hil_serl_learner.classifier import build
        from hil_serl_learner.classifier.samples import parse_source, run_of

        sources = [parse_source(text) for text in self.recordings]
        if not Path(sources[0].path).exists():
            raise RewardError(
                f"there is no recording {sources[0].path}; make one with: hil-serl classifier record"
            )
        run = run_of(Path(sources[0].path))
        if self.task is None and run is None:
            raise RewardError(f"{sources[0].path} lies in no run folder; name its task with --task")
        spec = find_task(self.task) if self.task else RunFolder(run).task()  # type: ignore[arg-type]
        output = self.output or (run or Path.cwd()) / "classifier"
        console = plain_console()
        with console.status("training") as status:
            result = build.build(spec, sources, output, self.options(), status.update)
        show_result(console, result.classifier.description.metrics, result.classifier.threshold)
        say_next(console, output.absolute(), result.metrics.accuracy)
        return 0


@dataclass
class Check:
    """Say how well a classifier judges labelled recordings, and draw its worst mistakes."""

    classifier: Annotated[Path, tyro.conf.Positional]
    """Folder of the classifier."""
    recordings: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run folders, bag folders or bags that it was not trained on."""
    picture: Path | None = None
    """PNG of the worst mistakes; default: check.png in the classifier's folder."""

    def run(self) -> int:
        from hil_serl_learner.classifier import build
        from hil_serl_learner.classifier.picture import draw_mistakes
        from hil_serl_learner.classifier.samples import parse_source

        folder = build.ClassifierFolder.open(self.classifier)
        checked = build.check(folder, [parse_source(text) for text in self.recordings])
        classifier = folder.classifier()
        console = plain_console()
        show_result(console, {"checked": checked.metrics.as_dict()}, classifier.threshold)
        picture = self.picture or folder.path / "check.png"
        unseen = np.ones(len(checked.samples), bool)
        draw_mistakes(
            picture,
            checked.samples,
            checked.probabilities,
            unseen,
            classifier.description.classes,
            classifier.threshold,
        )
        console.print(f"Worst mistakes: {picture}", highlight=False, soft_wrap=True)
        return 0


@dataclass
class Retrain(TrainingChoices):
    """Add what a classifier got wrong, and train it again on everything.

    --mistakes-of RUN finds the wrong steps of a labelled recording itself. Where nobody labelled, say what was wrong:
    '--add-negative RUN:17' for an episode that was no success at all, '--add-positive RUN:17:30-41' for steps that were.
    The classifier before it is kept in 'previous'.
    """

    classifier: Annotated[Path, tyro.conf.Positional]
    """Folder of the classifier, or of a run that has one."""
    mistakes_of: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """Labelled recording whose misjudged steps are added; may be repeated."""
    add_negative: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """PATH:EPISODE, PATH:EPISODE:STEP or PATH:EPISODE:FIRST-LAST that was no success; may be repeated."""
    add_positive: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """The same of success; may be repeated."""
    add: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A further labelled recording; may be repeated."""
    task: str | None = None
    """Task by name or path, to train for it after a change of its classifier's section; default: as it was trained."""

    def run(self) -> int:
        from hil_serl_learner.classifier import build
        from hil_serl_learner.classifier.samples import parse_source

        folder = build.ClassifierFolder.open(self.classifier)
        spec, console = find_task(self.task) if self.task else folder.task(), plain_console()
        section = spec.reward.classifier
        if section is None:
            raise RewardError(
                f"task '{spec.name}' has no section reward.classifier, so there is none to train"
            )
        negative = next(name for name in section.classes if name != "success")
        sources = folder.sources()
        before = len(sources)
        sources += [parse_source(text) for text in self.add]
        for run in self.mistakes_of:
            found = build.mistakes_of(folder, run)
            count = len(found.records) if found is not None else 0
            console.print(f"{count} steps of {run} are misjudged.", highlight=False, soft_wrap=True)
            sources += [found] if found is not None else []
        sources += [parse_source(text, negative) for text in self.add_negative]
        sources += [parse_source(text, "success") for text in self.add_positive]
        if len(sources) == before:
            console.print("Nothing to add; the classifier stays as it is.", highlight=False)
            return 0
        with console.status("training") as status:
            result = build.build(spec, sources, folder.path, self.options(), status.update)
        show_result(console, result.classifier.description.metrics, result.classifier.threshold)
        say_next(console, folder.path, result.metrics.accuracy)
        return 0


@dataclass
class Classifier:
    """Reward classifier: record, train, check, retrain."""

    action: (
        Annotated[Record, tyro.conf.subcommand("record")]
        | Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Retrain, tyro.conf.subcommand("retrain")]
    )

    def run(self) -> int:
        from hil_serl_core.nn.backbones import BackboneError  # imports torch

        try:
            return self.action.run()
        except BackboneError as error:
            raise RewardError(str(error)) from error


def show_result(console: Console, metrics: dict[str, Any], threshold: float) -> None:
    """Print a table of counts and rates."""
    table = Table()
    for heading in ("", "steps", "accuracy", "precision", "recall", "false positives", "false negatives"):
        table.add_column(heading, justify="right" if heading else "left")
    for key, words in (("held_out", "held-out episodes"), ("training", "trained on"), ("checked", "checked")):
        if key not in metrics:
            continue
        m = metrics[key]
        steps = sum(m[name] for name in _COUNTS)
        rates = (_percent(m[name]) for name in ("accuracy", "precision", "recall"))
        table.add_row(words, str(steps), *rates, str(m["false_positives"]), str(m["false_negatives"]))
    console.print(table)
    text = f"Threshold of p(success): {threshold:.3f}."
    if "samples" in metrics:
        examples = ", ".join(f"{count} of '{name}'" for name, count in metrics["samples"].items())
        text += f" Examples: {examples}, from {metrics['episodes']} episodes, {metrics['held_out_episodes']} held out."
    console.print(text, highlight=False, soft_wrap=True)


def say_next(console: Console, folder: Path, accuracy: float) -> None:
    """Print where the classifier is and what to do with it."""
    lines = [f"Classifier: {folder}", f"Worst mistakes: {folder / 'mistakes.png'}"]
    if accuracy < ADVISED_ACCURACY:
        lines.append(
            f"Below {_percent(ADVISED_ACCURACY)} on held-out episodes: look at the mistakes, record more of that kind "
            f"and add it with: hil-serl classifier retrain {word(folder)} --add RUN"
        )
    else:
        lines.append(
            f"Train a policy with it: hil-serl train --reward classifier --classifier {word(folder)}"
        )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


_COUNTS: Sequence[str] = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f} %"
