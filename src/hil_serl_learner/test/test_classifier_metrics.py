# SPDX-License-Identifier: Apache-2.0
"""Metrics and threshold against cases worked by hand; the split keeps episodes together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hil_serl_learner.classifier.metrics import (
    LEAST_THRESHOLD,
    choose_threshold,
    confusion,
    measure,
    thresholds_of_others,
)
from hil_serl_learner.classifier.samples import DataError, LabelledStep, Source, parse_source
from hil_serl_learner.classifier.split import check_enough, held_out


def test_rates_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.2])
    positive = np.array([True, True, False, True, False, True])
    m = measure(probability, positive, 0.65)
    assert (m.true_positives, m.false_positives, m.true_negatives, m.false_negatives) == (2, 1, 1, 2)
    assert m.precision == pytest.approx(2 / 3)
    assert m.recall == pytest.approx(2 / 4)
    assert m.accuracy == pytest.approx(3 / 6)
    assert math.isnan(measure(probability, positive, 0.95).precision)


def test_threshold_by_hand() -> None:
    # above 0.7: one false negative, cost 1; between 0.6 and 0.7: a false positive and a false negative, cost 3;
    # below 0.6: a false positive, cost 2. So between 0.7 and 0.9, in the middle of the log-odds 0.847 and 2.197.
    probability = np.array([0.1, 0.2, 0.6, 0.7, 0.9])
    positive = np.array([False, False, True, False, True])
    threshold = choose_threshold(probability, positive)
    assert math.log(threshold / (1.0 - threshold)) == pytest.approx((0.8473 + 2.1972) / 2.0, abs=1e-3)


def test_threshold_is_never_below_one_half() -> None:
    separated = np.array([0.01, 0.02, 0.4, 0.45])
    assert choose_threshold(separated, np.array([False, False, True, True])) > 0.5


def test_threshold_needs_both_labels() -> None:
    with pytest.raises(ValueError, match="both labels"):
        choose_threshold(np.array([0.2, 0.9]), np.array([True, True]))


def test_no_sample_is_judged_by_a_threshold_that_was_chosen_on_it() -> None:
    # "a" alone would put its threshold above its false positive at 0.95; "b" separates at 0.5 to 0.9.
    probability = np.array([0.95, 0.99, 0.1, 0.9])
    positive = np.array([False, True, False, True])
    episodes = ["a", "a", "b", "b"]
    chosen = choose_threshold(probability, positive)
    together = measure(probability, positive, chosen)
    assert (together.false_positives, together.false_negatives) == (0, 1), "looks better than it is"
    others = thresholds_of_others(probability, positive, episodes)
    assert others[:2] == pytest.approx([choose_threshold(probability[2:], positive[2:])] * 2)
    assert others[2:] == pytest.approx([choose_threshold(probability[:2], positive[:2])] * 2)
    honest = measure(probability, positive, others)
    assert (honest.false_positives, honest.false_negatives) == (1, 1)


def test_others_that_show_one_label_choose_no_threshold() -> None:
    others = thresholds_of_others(np.array([0.9, 0.2, 0.8]), np.array([True, False, True]), ["a", "b", "c"])
    assert others[1] == LEAST_THRESHOLD, "a and c have positives alone"
    assert others[0] == choose_threshold(np.array([0.2, 0.8]), np.array([False, True]))


def test_confusion_by_hand() -> None:
    table = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0]), 3)
    assert table == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def samples(episodes: int, length: int = 10, positive: int = 3, classes: int = 2) -> list[LabelledStep]:
    """Episodes that end with some samples of each class but the first."""
    result = []
    for episode in range(episodes):
        for step in range(length):
            late = max(0, step - (length - positive * (classes - 1)))
            label = min(classes - 1, 1 + late // positive) if step >= length - positive * (classes - 1) else 0
            result.append(LabelledStep("run/a", "actor", episode * length + step, episode, step, {}, label))
    return result


def test_split_keeps_episodes_together_and_both_classes_on_both_sides() -> None:
    data = samples(13)
    for seed in range(5):
        held = held_out(data, 2, seed)
        sides: dict[str, set[bool]] = {}
        for sample, out in zip(data, held, strict=True):
            sides.setdefault(sample.episode_key, set()).add(bool(out))
        assert all(len(side) == 1 for side in sides.values())
        assert sum(side == {True} for side in sides.values()) == 3
        for side in (held, ~held):
            assert {s.label for s, inside in zip(data, side, strict=True) if inside} == {0, 1}


def test_rare_class_is_on_both_sides() -> None:
    data = [s for s in samples(12) if s.label == 0 or s.episode in (4, 9)]
    held = held_out(data, 2)
    assert {s.episode for s, out in zip(data, held, strict=True) if out and s.label} < {4, 9}
    assert any(out and s.label for s, out in zip(data, held, strict=True))


def test_episodes_stay_on_their_side_when_some_are_added() -> None:
    before = {s.episode_key for s, out in zip(samples(20), held_out(samples(20), 2), strict=True) if out}
    after = {s.episode_key for s, out in zip(samples(24), held_out(samples(24), 2), strict=True) if out}
    assert len(before & after) >= len(before) - 1


def test_what_a_person_added_is_trained_on() -> None:
    data = samples(12)
    before = {s.episode for s, out in zip(data, held_out(data, 2), strict=True) if out}
    wrong = sorted(before)[0]
    data = [replace(s, added=s.episode == wrong and s.step_index == 4) for s in data]
    assert wrong not in {s.episode for s, out in zip(data, held_out(data, 2), strict=True) if out}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([s for s in samples(8) if s.label == 0], "no example of 'success'"),
        ([s for s in samples(8) if s.label == 1], "no example of 'failure'"),
        (samples(3), "from 3 episodes; at least 4"),
        ([s for s in samples(8, length=30, positive=9) if not s.label or not s.episode], "from one episode"),
        ([s for s in samples(8) if not s.label or s.episode < 2], "too few examples of 'success'"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(data: list[LabelledStep], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        check_enough(data, ["failure", "success"])


def test_sources_as_people_write_them() -> None:
    whole = parse_source("/runs/a")
    assert (whole.path, whole.episode, whole.first) == ("/runs/a", None, None)
    episode = parse_source("/runs/a:17", "failure")
    assert (episode.episode, episode.first, episode.label) == (17, None, "failure")
    steps = parse_source("/runs/a:17:30-41")
    assert (steps.episode, steps.first, steps.last) == (17, 30, 41)
    one = parse_source("/runs/a:17:30")
    assert (one.first, one.last) == (30, 30)
    for source in (whole, episode, steps, Source("x", records=(("actor", 4),))):
        assert Source.from_dict(source.as_dict()) == source
