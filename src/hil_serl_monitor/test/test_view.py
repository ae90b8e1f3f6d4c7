# SPDX-License-Identifier: Apache-2.0
"""The live view, drawn to text."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hil_serl_monitor.advice import Advice
from hil_serl_monitor.state import Driving
from hil_serl_monitor.view import View, ViewState, plain_line, render, sparkline
from hil_serl_runs.statistics import LearnerSample, Rates

STATE = ViewState(
    "ram_insertion · seed 4",
    "Training with interventions",
    (2, 5),
    elapsed=141,
    limit=600,
    episodes=88,
    env_steps=3120,
    recent=Rates(20, 0.85, 0.07, 1.9, 19),
    success_history=[0.0, 0.5, 1.0],
    intervention_history=[1.0, 0.0],
    driving=Driving(True, 89, 12, 0.4),
    lines=[("actor", "[INFO] [bold]episode 88")],
    learners={
        "": LearnerSample(
            phase="training",
            updates=9360,
            updates_per_second=22.1,
            demo_size=1204,
            rl_size=3120,
            policy_version=62,
        )
    },
)


def draw(state: ViewState, width: int) -> str:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(render(state, width))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 140])
def test_everything_asked_for_is_on_the_screen(width):
    text = draw(STATE, width)
    for expected in (
        "Training with interventions",
        "2 of 5",
        "88 episodes",
        "2:21 of at most 10:00",
        "operator",
        "85 %",
        "7 %",
        "1.9 s",
        "9,360",
        "22.1 /s",
        "1,204 demonstration",
        "3,120 online",
        "62",
        "ram_insertion · seed 4",
        "[INFO] [bold]episode 88",
    ):
        assert expected in text, expected
    assert all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("width", [80, 140])
def test_two_learners_stand_side_by_side(width):
    one = STATE.learners[""]
    state = replace(STATE, learners={"forward": one, "backward": replace(one, updates=9180)})
    text = draw(state, width)
    for expected in ("learner forward", "learner backward", "9,360", "9,180"):
        assert expected in text, expected
    assert "updates 18540 (44.2/s) | buffers 2408+6240" in plain_line(state)
    starting = replace(state, learners={"forward": one, "backward": LearnerSample()})
    assert "learner: forward: training; backward: starting" in plain_line(starting)


@pytest.mark.parametrize("width", [80, 116, 140])
def test_what_a_slow_learner_skips_is_shown_and_nothing_where_nothing_is(width):
    assert "skipped" not in draw(STATE, width) + plain_line(STATE)
    slow = replace(STATE.learners[""], owed_updates=26_000, skipped_updates=16_640)
    state = replace(STATE, learners={"": slow})
    assert "16,640 of 26,000 owed (36 % done)" in draw(state, width)
    assert "skipped 16,640 of 26,000 owed (36 % done)" in plain_line(state)
    both = replace(state, learners={"forward": slow, "backward": STATE.learners[""]})
    assert "skipped 16,640 of 26,000 owed" in plain_line(both)


def test_a_new_run_shows_dashes_not_zeros():
    text = draw(ViewState("t", "Recording demonstrations", target=20), 100)
    assert "0 of 20 episodes" in text
    assert "waiting for the first step" in text
    assert "0 %" not in text
    assert "learner" not in text


def test_sparkline_spans_the_range_and_keeps_the_newest():
    assert sparkline([0.0, 1.0]) == "▁█"
    assert sparkline([1.0] * 30 + [0.0], width=3) == "██▁"


def test_without_a_terminal_it_prints_plain_lines_now_and_then():
    out = io.StringIO()
    with View(Console(file=out, width=40), plain_period=1000.0) as view:
        for _ in range(5):
            view.update(STATE)
        view.update(ViewState("t", "Evaluation", episodes=2, target=50))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2, "one line per phase within the period, never wrapped"
    assert lines[0] == plain_line(STATE)
    assert "\x1b" not in out.getvalue()
    assert "success 85 %" in lines[0]
    assert "updates 9360 (22.1/s)" in lines[0]
    assert "episodes 2/50" in lines[1]


def test_on_a_terminal_it_draws_live():
    out = io.StringIO()
    with View(Console(file=out, width=100, force_terminal=True)) as view:
        view.update(STATE)
    assert "Training with interventions" in out.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_advice_is_shown_in_full_and_named_in_plain_lines(width):
    advice = Advice(
        "long interventions", "you carried 6 of the last 20 episodes to success", "Let go earlier"
    )
    state = replace(STATE, advice=[advice])
    words = " ".join(draw(state, width).replace("│", " ").split())
    assert "long interventions" in words
    assert "6 of the last 20 episodes" in words
    assert "Let go earlier." in words
    assert all(len(line) <= width for line in draw(state, width).splitlines())
    assert "advice: long interventions" in plain_line(state)


def test_a_stopped_robot_is_the_first_thing_one_sees():
    text = draw(replace(STATE, stopped=True, note="the robot is stopped: call clear_stop"), 100)
    assert "nobody: STOPPED, the robot holds" in text
    assert "call clear_stop" in text
    assert "operator" not in text.split("STOPPED")[0].split("driving now")[1]


@pytest.mark.parametrize("width", [80, 140])
def test_what_is_collected_is_counted_before_the_operators_eyes(width):
    state = replace(STATE, tally=[("success", 37, 200), ("other", 640, 1000)])
    lines = [" ".join(line.split()) for line in draw(state, width).splitlines()]
    assert any("labelled 'success' 37 of 200" in line for line in lines)
    assert any("labelled 'other' 640 of 1000" in line for line in lines)
    assert "'success' 37/200 | 'other' 640/1000" in plain_line(state)
