# SPDX-License-Identifier: Apache-2.0
"""Summary, table and picture of a run."""

import dataclasses
import io
import json
import math
import random

import pytest
from rich.console import Console

from hil_serl_runs import evaluation, report
from hil_serl_runs.run_folder import write_json
from hil_serl_runs.statistics import Episode, rates

BASE = Episode("train", 1.5, 10, "actor", 0, True, False, False, "success", 10, 0, 0, 1.0, 3, 7)


def episodes(count, **fields):
    return [dataclasses.replace(BASE, episode=n, seed=n, **fields) for n in range(count)]


def training(count=120):
    """A run that improves, as training does."""
    rng, result, steps = random.Random(1), [], 0
    for n in range(count):
        skill = n / count
        success = rng.random() < 0.3 + 0.7 * skill
        length = round(40 - 25 * skill) if success else 60
        steps += length
        intervened = round(length * 0.5 * (1 - skill)) if n % 2 else 0
        result.append(
            dataclasses.replace(
                BASE,
                episode=n,
                wall=4.0 * n,
                env_steps=steps,
                success=success,
                steps=length,
                intervened_steps=intervened,
                interventions=intervened > 0,
                duration=length / 10,
            )
        )
    return result


RESULTS = report.Results(
    demos=episodes(20, duration=3.5, steps=35),
    training=training(),
    evaluation=episodes(49, duration=1.2, steps=12) + episodes(1, success=False, duration=6.0, steps=60),
    bc=episodes(20, duration=3.0) + episodes(30, success=False),
    training_s=312.0,
    env_steps=5120,
    updates=15360,
    stopped_by="rule",
)


def test_summary_has_the_promised_entries_and_survives_json(tmp_path):
    summary = report.summarise(RESULTS, seed=3, task="ram_insertion")
    assert summary["success_rate"] == pytest.approx(0.98)
    assert summary["cycle_time_s"] == pytest.approx(1.2)
    assert summary["demo_cycle_time_s"] == pytest.approx(3.5)
    assert summary["bc_success_rate"] == pytest.approx(0.4)
    write_json(tmp_path / "summary.json", summary)
    stored = json.loads((tmp_path / "summary.json").read_text())
    promised = {
        "success_rate",
        "episodes",
        "training_s",
        "env_steps",
        "updates",
        "cycle_time_s",
        "intervention_rate",
        "demo_cycle_time_s",
        "bc_success_rate",
        "seed",
    }
    assert promised <= stored.keys()
    assert stored["seed"] == 3


def test_what_was_not_measured_is_null_not_zero(tmp_path):
    empty = dataclasses.replace(RESULTS, evaluation=[], bc=[])
    write_json(tmp_path / "s.json", report.summarise(empty))
    stored = json.loads((tmp_path / "s.json").read_text())
    assert stored["success_rate"] is None
    assert stored["cycle_time_s"] is None
    assert stored["episodes"] == 0


def test_a_seed_that_is_not_known_does_not_speak_against_equal_starts():
    unheard = [dataclasses.replace(e, seed=-1) for e in episodes(1)]
    assert report.same_starts(episodes(5), unheard + episodes(5)[1:])
    other = [dataclasses.replace(e, seed=99) for e in episodes(1)]
    assert not report.same_starts(episodes(5), other + episodes(5)[1:])


def test_the_comparison_knows_whether_both_began_alike():
    assert report.same_starts(episodes(5), episodes(5))
    assert not report.same_starts(episodes(5), episodes(4))


def test_wilson_interval_by_hand():
    low, high = report.wilson(50, 50)  # z^2/(n+z^2) below one
    assert high == pytest.approx(1.0)
    assert low == pytest.approx(50 / (50 + 1.96**2))
    assert math.isnan(report.wilson(0, 0)[0])


def test_trials_without_a_verdict_are_in_no_rate_and_are_named():
    fault = {
        "phase": "eval_2",
        "aborted": True,
        "success": False,
        "reason": "the controller holds the arm: limit",
    }
    log = [*episodes(8, phase="eval_2"), *episodes(2, **fault), *episodes(3, aborted=True, phase="eval_1")]
    assert rates(e for e in log if e.phase == "eval_2").episodes == 8
    reasons = evaluation.cut_off(log, "eval_2")
    assert reasons == {"the controller holds the arm: limit": 2}
    words = evaluation.cut_off_in_words(reasons)
    assert "2 episodes" in words
    assert "2 × the controller holds the arm: limit" in words
    assert evaluation.cut_off(log, "eval") == {}


def test_the_table_compares_the_three():
    console = Console(record=True, width=110, file=io.StringIO())
    summary = report.summarise(RESULTS, seed=3, task="ram_insertion")
    console.print(report.table(summary, rates(RESULTS.demos), rates(RESULTS.evaluation), rates(RESULTS.bc)))
    text = console.export_text()
    for expected in (
        "demonstrations",
        "behaviour cloning",
        "98 %",
        "40 %",
        "1.2 s",
        "3.5 s",
        "after 5.2 min",
    ):
        assert expected in text, expected


@pytest.mark.parametrize("count", [0, 40])
def test_the_picture_is_drawn_even_for_a_short_run(tmp_path, count):
    path = tmp_path / "curve.png"
    report.draw_curves(dataclasses.replace(RESULTS, training=training(count)), path, "ram_insertion, seed 3")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5_000
