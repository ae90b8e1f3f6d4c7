# SPDX-License-Identifier: Apache-2.0
"""Kinds of reset, labels by a person, two agents on one cell, two arms under one loop."""

from __future__ import annotations

import numpy as np
import pytest

from hil_serl_actor.loop.ports import Phase
from hil_serl_actor.senses.inputs import Operators
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import Mode, Outcome
from hil_serl_core.step import Source


def with_reset(spec, method, **update):
    return spec.model_copy(update={"reset": spec.reset.model_copy(update={"method": method}), **update})


def with_buttons(spec, **buttons):
    return spec.model_copy(update={"intervention": spec.intervention.model_copy(update=buttons)})


def test_reset_free_episodes_leave_the_objects_until_the_scene_is_spoilt(spec, played):
    cell = played(with_reset(spec, "arm"), lockstep=True)
    cell.reset(1.0)
    cell.play(1.0, 9)
    cell.reset(2.0)
    cell.play(2.0, 9, failure=True)
    cell.reset(3.0)
    assert [reset.arm_only for reset in cell.world.resets] == [False, True, False]


def test_without_reset_an_episode_starts_where_the_last_one_ended(spec, played):
    cell = played(with_reset(spec, "none"), lockstep=True)
    cell.reset(1.0)
    stamp = cell.play(1.0, 9)
    cell.loop.tick(stamp)
    assert cell.loop.phase is Phase.RUNNING
    assert len(cell.world.resets) == 1


def test_after_a_reset_the_grippers_are_as_the_cell_has_left_them(handover, played):
    """Also in a task that resets only a lost scene: what they were told before would close them at the first tick."""
    cell = played(with_reset(handover, "none"))
    cell.reset(1.0)
    cell.feed(1.0, buttons=(True, False))
    cell.loop.tick(1.0)
    assert cell.world.commands[-1]["left"].gripper == 0.0
    cell.loop.stop("x")
    cell.loop.clear_stop()
    cell.reset(2.0)
    cell.feed(2.0)
    cell.loop.tick(2.0)
    assert [command.gripper for command in cell.world.commands[-1].values()] == [1.0, 1.0]


def test_a_person_resets_the_scene_and_confirms_with_a_button(spec, played):
    task = with_buttons(with_reset(spec, "human"), success_button=1)
    cell = played(task)
    cell.reset(1.0)
    assert cell.world.resets[0].arm_only
    assert cell.loop.phase is Phase.AWAITING_PERSON
    assert "reset the scene" in cell.world.warnings[-1]
    cell.feed(1.1)
    assert not cell.loop.tick(1.1)
    cell.feed(1.2, buttons=(False, True))
    assert cell.loop.phase is Phase.RUNNING
    assert not cell.loop.confirm_reset()


def test_an_episode_judged_by_a_person_waits_for_the_verdict_at_its_end(spec, played):
    reward = spec.reward.model_copy(update={"kind": "operator"})
    task = with_buttons(spec.model_copy(update={"reward": reward}), success_button=3)
    cell = played(task, await_truth=False)
    cell.reset(1.0)
    cell.play(1.0, 8)
    assert cell.loop.phase is Phase.RUNNING, "time is up, nobody has judged"
    assert any("label it" in text for text in cell.world.warnings)
    cell.feed(2.0, buttons=(False, False, False, True))
    cell.loop.tick(2.0)
    assert cell.world.results[0].success
    assert cell.world.steps[-1].reward == 1.0
    assert cell.world.steps[-1].step_index == 5


def test_classifier_data_is_labelled_step_by_step_and_runs_to_the_limit(spec, played):
    cell = played(spec, mode=Mode.RECORD_CLASSIFIER, lockstep=True, episodes=1)
    cell.reset(1.0)
    for k in range(6):
        cell.feed(1.0 + 0.1 * k, success=k in (2, 3))
        cell.loop.tick(1.0 + 0.1 * k)
    marks = ["failure", "failure", "success", "success", "failure", "failure"]
    assert cell.world.labels == list(enumerate(marks))
    assert cell.loop.phase is Phase.DONE


def test_a_button_names_the_state_of_one_step_while_classifier_data_is_recorded(spec, played):
    cell = played(with_buttons(spec, success_button=0), mode=Mode.RECORD_CLASSIFIER, await_truth=False)
    cell.reset(1.0)
    for k in range(4):
        cell.feed(1.0 + 0.1 * k, buttons=(k == 1,))
        cell.loop.tick(1.0 + 0.1 * k)
    assert [label for _, label in cell.world.labels] == ["failure", "success", "failure", "failure"]


def test_two_arms_are_commanded_together_and_grippers_hold(handover, played):
    cell = played(handover, mode=Mode.RECORD_DEMOS, lockstep=True, await_operator=True)
    cell.reset(1.0)
    cell.feed(1.0, push=1.0, buttons=(True, False))
    cell.loop.tick(1.0)
    commands = cell.world.commands[-1]
    assert set(commands) == {"left", "right"}
    assert [c.gripper for c in commands.values()] == [0.0, 0.0]
    step = cell.world.steps[0]
    assert step.source is Source.HUMAN
    assert step.action.tolist() == [1, 0, 0, 0, 0, 0] * 2 + [-1, -1]
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert [c.gripper for c in cell.world.commands[-1].values()] == [0.0, 0.0]
    assert cell.world.steps[1].grasp_penalty == pytest.approx(-0.04)


def test_the_arm_that_is_missing_is_named(handover, played, arm_sample):
    cell = played(handover, lockstep=True)
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.inputs.put_arm(arm_sample(1.1, handover.arm("left").base_frame), "left")
    assert any(problem.startswith("right/arm_state") for problem in cell.loop.waiting_for(1.1))


def test_one_device_is_moved_from_arm_to_arm_by_a_button(handover):
    operators = Operators(with_buttons(handover, switch_button=2), switched=True)

    def put(stamp, x, *buttons):
        operators.put(OperatorInput(stamp, np.array([x, 0, 0, 0, 0, 0]), buttons), "")

    put(1.0, 0.3)
    assert list(operators.take()) == ["left"]
    put(1.1, 0.4, False, False, True)
    assert operators.driven == "right"
    assert operators.take()["right"].axes[0] == 0.4
    put(1.2, 0.4, False, False, True)
    assert operators.driven == "right", "a held button switches once"


def test_a_button_pressed_between_two_ticks_is_not_lost(spec):
    operators = Operators(spec)
    operators.put(OperatorInput(1.0, np.zeros(6), (True, False)), "")
    operators.put(OperatorInput(1.05, np.zeros(6), (False, False)), "")
    assert operators.take()[""].buttons == (True, False)
    assert operators.take()[""].buttons == (False, False)


def test_a_reward_model_judges_each_observation_once_and_a_person_overrules_it(spec, played):
    class Judge:
        seen = 0

        def begin_episode(self):
            self.seen = 0

        def judge(self, observation):
            self.seen += 1
            return Outcome(success=self.seen == 3)

    judge = Judge()
    cell = played(spec, reward=judge, await_truth=False)
    cell.reset(1.0)
    stamp = cell.play(1.0, 9)
    assert (judge.seen, cell.world.results[0].success) == (3, True)
    cell.reset(stamp)
    cell.feed(stamp)
    cell.loop.tick(stamp)
    cell.loop.label(Outcome(failure=True, final=True))
    cell.feed(stamp + 0.1)
    cell.loop.tick(stamp + 0.1)
    assert cell.world.results[1].reason == "failure"
