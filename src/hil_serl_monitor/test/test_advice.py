# SPDX-License-Identifier: Apache-2.0
"""When the operator is advised, and when left alone."""

import math

import pytest

from hil_serl_core.methods import METHODS
from hil_serl_monitor.advice import Q_SAMPLES, Advisor, Announcer, is_carried
from hil_serl_runs.statistics import Episode, LearnerSample
from hil_serl_tasks.finder import find_task


def episode(success=True, steps=30, intervened=0, interventions=None, aborted=False):
    if interventions is None:
        interventions = int(intervened > 0)
    return Episode(
        "train",
        1.0,
        30,
        "actor",
        0,
        success,
        not success,
        aborted,
        "",
        steps,
        intervened,
        interventions,
        3.0,
        1,
        7,
    )


OWN, FAILED = episode(), episode(success=False)
CARRIED = episode(intervened=20)
CORRECTED = episode(intervened=6)
MENDED_TWICE = episode(intervened=16, interventions=3)


def advisor(algorithm="hil_serl", person=True, **learner):
    task = find_task("ram_insertion")
    task = task.model_copy(update={"learner": task.learner.model_copy(update=learner)})
    return Advisor(task, METHODS[algorithm], person)


def kinds(subject, episodes):
    return [advice.kind for advice in subject.advice(episodes)]


def test_what_counts_as_carried():
    assert is_carried(CARRIED)
    assert not is_carried(episode(success=False, intervened=30)), "no success, no overestimation"
    assert not is_carried(CORRECTED)
    assert not is_carried(MENDED_TWICE), "many short corrections"
    assert not is_carried(OWN)


@pytest.mark.parametrize(
    ("episodes", "said"),
    [
        ([CARRIED] * 5, True),
        ([CARRIED] * 5 + [FAILED] * 15, True),
        ([CARRIED] * 4 + [FAILED] * 16, False),
        ([CARRIED] * 5 + [OWN] * 10, False),
        ([CORRECTED] * 20, False),
        ([CARRIED] * 20 + [CORRECTED] * 20, False),
        ([episode(intervened=20, aborted=True)] * 20, False),
    ],
)
def test_long_interventions_are_noticed_while_the_policy_cannot_do_it_alone(episodes, said):
    assert ("long interventions" in kinds(advisor(), episodes)) is said


def test_the_text_has_numbers_reason_and_remedy():
    (advice,) = advisor().advice([CARRIED] * 6 + [FAILED] * 14)
    assert "carried 6 of the last 20 episodes" in advice.reason
    assert "overestimate" in advice.reason
    assert "let go" in advice.remedy
    assert advice.text.startswith("long interventions: ")
    assert advice.text.endswith(".")


@pytest.mark.parametrize(("value", "said"), [(1.2, True), (1.04, False), (0.6, False), (math.nan, False)])
def test_values_above_the_largest_possible_return_are_noticed(value, said):
    subject = advisor()
    for updates in range(Q_SAMPLES):
        subject.see(LearnerSample(updates=updates, q_mean=value))
    assert (kinds(subject, []) == ["values too high"]) is said


def test_one_batch_and_one_report_seen_often_are_no_proof():
    subject = advisor()
    for _ in range(50):
        subject.see(LearnerSample(updates=3, q_mean=2.0))
    assert kinds(subject, []) == []
    for updates in range(Q_SAMPLES):
        subject.see(LearnerSample(updates=updates, q_mean=0.5 if updates == 4 else 2.0))
    assert kinds(subject, []) == []


def test_the_remedy_for_high_values_depends_on_the_task_file():
    for bounded in (True, False):
        subject = advisor(bounded_targets=bounded)
        for updates in range(Q_SAMPLES):
            subject.see(LearnerSample(updates=updates, q_mean=1.5))
        (advice,) = subject.advice([])
        assert "mean Q is 1.50, and no policy can return more than 1" in advice.reason
        assert ("bounded_targets" in advice.remedy) is not bounded


def slow(subject, share, reports=200, records_a_report=5, start=0):
    """Reports of a learner that does a share of 3 updates a record."""
    for number in range(1, reports + 1):
        owed = start + 3 * records_a_report * number
        subject.see(
            LearnerSample(updates=number, owed_updates=owed, skipped_updates=round(owed * (1 - share)))
        )
    return kinds(subject, [])


@pytest.mark.parametrize(("share", "said"), [(0.36, True), (0.79, True), (0.81, False), (1.0, False)])
@pytest.mark.parametrize("person", [True, False])
def test_a_learner_that_does_less_than_four_fifths_of_its_updates_is_noticed(share, said, person):
    assert (slow(advisor(person=person), share) == ["learner too slow"]) is said


def test_what_helps_a_slow_learner_is_named_with_this_task_s_numbers():
    subject = advisor(augmented_views=4, batch_size=128)
    slow(subject, 0.36)
    (advice,) = subject.advice([])
    assert "does 36% of the 3 updates that each step owes" in advice.reason
    for remedy in ("device:=cuda", "augmented_views below 4", "batch_size below 128", "update_to_data: 1.1"):
        assert remedy in advice.remedy
    subject = advisor(augmented_views=1)
    slow(subject, 0.0)
    (advice,) = subject.advice([])
    assert "augmented_views" not in advice.remedy, "it cannot be lower"
    assert "update_to_data: 0" not in advice.remedy, "which no task file may have"


def test_a_short_stop_for_a_checkpoint_is_no_slow_learner_and_a_mended_one_is_forgiven():
    subject = advisor()
    assert slow(subject, 0.0, reports=10) == [], "50 records prove nothing"
    subject = advisor()
    slow(subject, 0.3)
    owed, skipped = 3 * 5 * 200, round(3 * 5 * 200 * 0.7)
    for number in range(30):
        subject.see(LearnerSample(updates=number, owed_updates=owed + 15 * number, skipped_updates=skipped))
    assert kinds(subject, []) == [], "the last 100 records lost nothing"
    subject = advisor()
    slow(subject, 0.3)
    subject.see(LearnerSample(updates=1, owed_updates=30, skipped_updates=20))
    assert kinds(subject, []) == [], "a learner that was resumed from an older checkpoint"


@pytest.mark.parametrize(
    ("episodes", "said"),
    [
        ([FAILED] * 20, True),
        ([FAILED] * 15 + [OWN] * 5, True),
        ([FAILED] * 14 + [OWN] * 6, False),
        ([FAILED] * 19, False),
        ([FAILED] * 19 + [episode(success=False, intervened=3)], False),
    ],
)
def test_nobody_helping_a_policy_that_fails_is_noticed(episodes, said):
    assert (kinds(advisor(), episodes) == ["no interventions"]) is said


def test_who_cannot_act_on_it_is_not_told():
    assert kinds(advisor(person=False), [FAILED] * 20) == []
    assert kinds(advisor(person=False), [CARRIED] * 20) == []
    assert kinds(advisor("serl"), [FAILED] * 20) == []
    assert kinds(advisor("hg_dagger"), [CARRIED] * 20) == [], "cloning has no values"
    assert kinds(advisor("hg_dagger"), [FAILED] * 20) == ["no interventions"]


def test_advice_is_announced_when_it_comes_not_while_it_stays():
    announcer, subject = Announcer(), advisor()
    first = subject.advice([FAILED] * 20)
    assert announcer.new(first) == first
    assert announcer.new(subject.advice([FAILED] * 21)) == []
    assert announcer.new([]) == []
    assert announcer.new(first) == first
