# SPDX-License-Identifier: Apache-2.0
"""While a reward model judges, what is known besides is noted, so that its mistakes can be found and cured."""

from __future__ import annotations

from hil_serl_core.episode import Mode, Outcome


class Believer:
    """Takes everything for a success from a number of observations on."""

    def __init__(self, after):
        self.seen, self.after, self.begun = 0, after, 0

    def begin_episode(self):
        self.begun, self.seen = self.begun + 1, 0

    def judge(self, observation):
        self.seen += 1
        return Outcome(success=self.seen > self.after)


def test_truth_labels_every_step_and_the_model_gives_the_reward(spec, played):
    cell = played(spec, reward=Believer(2), lockstep=True)
    cell.reset(1.0)
    cell.play(1.0, 9)
    assert cell.world.results[0].success, "the model decides"
    assert [step.reward for step in cell.world.steps] == [0.0, 0.0, 1.0]
    assert cell.world.labels == [(0, "failure"), (1, "failure"), (2, "failure")]


def test_model_that_misses_a_success_is_labelled_too(spec, played):
    cell = played(spec, reward=Believer(99), lockstep=True)
    cell.reset(1.0)
    cell.play(1.0, 2, success=True)
    assert not cell.world.results
    assert cell.world.labels == [(0, "success"), (1, "success")]


def test_on_a_robot_only_the_persons_verdict_is_known(spec, played):
    cell = played(spec, reward=Believer(99), await_truth=False, lockstep=True)
    cell.reset(1.0)
    cell.play(1.0, 2)
    assert cell.world.labels == []
    cell.loop.label(Outcome(success=True, final=True))
    cell.feed(1.2)
    cell.loop.tick(1.2)
    assert cell.world.labels == [(2, "success")]
    assert cell.world.results[0].success


def test_without_a_model_nothing_is_labelled(spec, played):
    cell = played(spec, mode=Mode.TRAIN, lockstep=True)
    cell.reset(1.0)
    cell.play(1.0, 3)
    assert cell.world.labels == []
