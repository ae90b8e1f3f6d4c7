# SPDX-License-Identifier: Apache-2.0
"""The latched stop: what it commands, what it keeps, and that only an explicit request takes it back."""

from __future__ import annotations

import numpy as np
import pytest

from hil_serl_actor.loop.ports import Phase
from hil_serl_actor.wiring import reports
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import Mode, Outcome
from hil_serl_core.spec import load_task
from hil_serl_tasks.finder import suite_folder

WRENCH_TASK = suite_folder() / "sim" / "object_flip.yaml"
HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])
ELSEWHERE = HOME + np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def with_buttons(spec, **buttons):
    return spec.model_copy(update={"intervention": spec.intervention.model_copy(update=buttons)})


@pytest.fixture
def running(spec, played):
    """A cell two steps into an episode, in real time, the arm 2 cm from home."""

    def make(**config):
        cell = played(spec, **config)
        cell.reset(1.0)
        cell.play(1.0, 2)
        return cell

    return make


def test_the_arm_is_held_where_it_is_before_anything_else_and_the_episode_gets_no_reward(running, arm_sample):
    cell = running()
    world = cell.world
    cell.loop.inputs.put_arm(arm_sample(1.15, tcp_pose=ELSEWHERE))
    before = len(world.events)
    cell.loop.stop("the service stop")
    assert world.events[before][0] == "target", "first of all, and without waiting for the next tick"
    assert np.allclose(world.targets[-1][1], ELSEWHERE)
    assert world.targets[-1][0] == pytest.approx(1.15)
    result = world.results[0]
    assert (result.success, result.truncated, result.aborted) == (False, True, True)
    assert result.reason == "stopped: the service stop"
    assert result.episode_return == 0.0
    assert [step.is_last for step in world.steps] == [False, False], "nothing is made up"
    assert (cell.loop.phase, world.stops) == (Phase.STOPPED, 1)
    assert "clear_stop" in world.warnings[-1]


def test_it_holds_the_same_pose_and_does_nothing_else_until_it_is_cleared(running, arm_sample):
    cell = running()
    cell.loop.stop("x")
    for k in range(20):
        cell.feed(1.2 + 0.1 * k, arm=arm_sample(1.2 + 0.1 * k, tcp_pose=ELSEWHERE), push=1.0)
        assert not cell.loop.tick(1.2 + 0.1 * k)
    assert len(cell.world.steps) == 2
    assert all(np.allclose(pose, HOME) for _, pose in cell.world.targets[2:])
    assert len(cell.world.targets) == 2 + 1 + 20
    assert not cell.loop.label(Outcome(success=True))
    assert cell.loop.clear_stop() == ""
    assert (cell.loop.phase, cell.loop.latch.text) == (Phase.IDLE, "")
    cell.loop.tick(3.3)
    assert cell.loop.phase is Phase.RESETTING
    assert not cell.world.resets[-1].arm_only
    cell.loop.reset_finished(True, "", 3.3)
    cell.play(3.3, 1)
    assert [step.sequence for step in cell.world.steps] == [0, 1, 2]


def test_a_second_stop_changes_nothing_and_one_clear_is_enough(running):
    cell = running()
    cell.loop.stop("first")
    cell.loop.stop("second")
    assert cell.loop.latch.cause == "first"
    assert (len(cell.world.results), cell.world.stops) == (1, 1)
    assert cell.loop.clear_stop() == ""
    assert cell.loop.clear_stop() == "nothing is stopped"
    assert cell.loop.phase is Phase.IDLE


def test_a_stop_during_a_pause_leaves_the_pause_behind_and_pausing_never_unlatches(running):
    cell = running()
    cell.loop.pause(True)
    cell.loop.stop("x")
    assert cell.loop.phase is Phase.STOPPED
    cell.loop.clear_stop()
    assert cell.loop.phase is Phase.PAUSED
    cell.loop.stop("x")
    cell.loop.pause(False)
    assert cell.loop.phase is Phase.STOPPED
    cell.loop.clear_stop()
    assert cell.loop.phase is Phase.IDLE


def test_a_stop_during_a_reset_lets_the_cell_finish_and_then_holds_where_that_ended(spec, played, arm_sample):
    cell = played(spec)
    cell.feed(0.9)
    cell.loop.tick(0.9)
    cell.loop.stop("x")
    cell.feed(1.0)
    cell.loop.tick(1.0)
    assert [stamp for stamp, _ in cell.world.targets] == [0.9], "a cell that resets moves its arms itself"
    cell.loop.clear_stop()
    cell.loop.tick(1.1)
    assert len(cell.world.resets) == 1, "not a second reset beside the first"
    cell.loop.stop("again")
    cell.loop.reset_finished(True, "", 1.2)
    assert cell.loop.phase is Phase.STOPPED
    cell.feed(1.2, arm=arm_sample(1.2, tcp_pose=ELSEWHERE))
    cell.loop.tick(1.2)
    assert np.allclose(cell.world.targets[-1][1], ELSEWHERE)
    cell.loop.clear_stop()
    cell.loop.tick(1.3)
    assert len(cell.world.resets) == 2


def test_a_pause_says_that_the_arm_moves_until_the_cell_has_ended_its_reset(spec, played):
    """People reach into the cell of a paused robot."""
    cell = played(spec)
    cell.feed(0.9)
    cell.loop.tick(0.9)
    cell.loop.pause(True)
    assert cell.loop.phase is Phase.PAUSED
    assert "the arm still moves until the cell has ended its reset" in cell.loop.words
    assert "hil-serl stop" in cell.loop.words
    assert "still moves" in reports.loop_status(cell.loop, 0.9).message
    cell.loop.reset_finished(True, "", 1.2)
    assert cell.loop.words == "paused"
    cell.loop.stop("x")
    assert cell.loop.words == cell.loop.latch.text


def test_a_pause_is_told_to_the_cell_and_its_reset_begins_again_afterwards(spec, played):
    cell = played(spec)
    cell.feed(0.9)
    cell.loop.tick(0.9)
    cell.loop.pause(True)
    cell.loop.pause(True)
    assert cell.world.pauses == 2, "a second one ends a joint reset that is made in the first"
    cell.loop.reset_finished(False, "paused", 1.0)
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert cell.loop.phase is Phase.PAUSED
    assert np.allclose(cell.world.targets[-1][1], HOME), "the actor has the hold again"
    cell.loop.pause(False)
    assert cell.world.pauses == 3
    cell.feed(1.2)
    cell.loop.tick(1.2)
    assert [reset.seed for reset in cell.world.resets] == cell.world.seeds[:1] * 2


def test_a_stop_while_a_person_resets_the_scene_asks_for_it_again(spec, played):
    reset = spec.reset.model_copy(update={"method": "human"})
    cell = played(spec.model_copy(update={"reset": reset}))
    cell.reset(1.0)
    cell.loop.stop("x")
    assert not cell.loop.confirm_reset()
    cell.loop.clear_stop()
    cell.reset(1.1)
    assert cell.loop.phase is Phase.AWAITING_PERSON


def test_the_stop_button_stops_at_once_and_has_to_be_released_before_it_is_cleared(spec, played):
    cell = played(with_buttons(spec, stop_button=3, success_button=4))
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    cell.feed(1.05, buttons=(False, False, False, True, True))
    assert cell.loop.phase is Phase.STOPPED
    assert cell.world.results[0].reason == "stopped: the device's stop button"
    assert not cell.world.results[0].success
    assert "release it" in cell.loop.clear_stop()
    cell.feed(1.2, buttons=(False, False, False, False, False))
    assert cell.loop.clear_stop() == ""


def test_a_button_of_either_device_stops_both_arms(handover, played):
    cell = played(with_buttons(handover, stop_button=3))
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    cell.loop.put_operator(OperatorInput(1.05, np.zeros(6), (False, False, False, True)), "right")
    assert cell.loop.latch.cause == "the right device's stop button"
    hold = cell.world.commands[-1]
    assert set(hold) == {"left", "right"}
    assert all(np.allclose(command.pose, HOME) for command in hold.values())
    assert [command.gripper for command in hold.values()] == [None, None], "grippers stay as they are"


def test_a_wrench_task_is_held_by_a_pose_because_no_wrench_would_let_the_arm_go_on(played):
    cell = played(load_task(WRENCH_TASK))
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    assert cell.world.commands[-1][""].wrench is not None
    cell.loop.stop("x")
    cell.loop.tick(1.1)
    for commands in cell.world.commands[-2:]:
        assert commands[""].wrench is None
        assert np.allclose(commands[""].pose, HOME)


def test_a_reset_that_ends_early_does_not_move_the_grippers_back(handover, played):
    """The cell has opened them, perhaps; what they were told before the reset may close them on a hand."""
    cell = played(handover)
    cell.reset(1.0)
    cell.feed(1.0, buttons=(True, False))
    cell.loop.tick(1.0)
    assert cell.world.commands[-1]["left"].gripper == 0.0
    cell.play(1.1, 9)
    cell.feed(2.0)
    cell.loop.tick(2.0)
    assert cell.loop.phase is Phase.RESETTING
    cell.loop.stop("x")
    cell.loop.reset_finished(False, "stopped", 2.1)
    before = len(cell.world.commands)
    cell.feed(2.2)
    cell.loop.tick(2.2)
    assert len(cell.world.commands) > before
    assert all(command.gripper is None for command in cell.world.commands[-1].values())


def test_in_lockstep_simulated_time_stands_still(running):
    cell = running(lockstep=True)
    targets = len(cell.world.targets)
    cell.loop.stop("x")
    cell.feed(1.2)
    cell.loop.tick(1.2)
    assert len(cell.world.targets) == targets, "a target would let the simulator go on"
    cell.loop.clear_stop()
    cell.loop.tick(1.2)
    assert cell.loop.phase is Phase.RESETTING


def test_of_two_agents_the_first_begins_again_after_a_full_reset(spec, played):
    back = spec.model_copy(update={"name": "back", "reset": spec.reset.model_copy(update={"method": "arm"})})
    forward = back.model_copy(update={"name": "forward"})
    cell = played(forward, back, lockstep=True)
    cell.reset(1.0)
    cell.feed(cell.play(1.0, 2), success=True)
    cell.loop.tick(1.2)
    assert cell.world.results[0].success
    cell.reset(2.0)
    assert cell.loop.agent.spec.name == "back"
    cell.loop.stop("x")
    cell.loop.clear_stop()
    cell.reset(3.0)
    assert cell.loop.agent.spec.name == "forward"
    assert not cell.world.resets[-1].arm_only


def test_what_the_second_agent_has_in_its_grippers_is_left_to_them(handover, played):
    back = handover.model_copy(
        update={"name": "back", "reset": handover.reset.model_copy(update={"method": "arm"})}
    )
    cell = played(back.model_copy(update={"name": "forward"}), back)
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    cell.feed(1.1, success=True)
    cell.loop.tick(1.1)
    cell.reset(2.0)
    cell.feed(2.0, buttons=(True, False))
    cell.loop.tick(2.0)
    cell.loop.stop("x")
    cell.loop.tick(2.1)
    for commands in cell.world.commands[-2:]:
        assert [command.gripper for command in commands.values()] == [None, None]


def test_a_record_that_the_disk_refused_is_kept_and_never_executed(spec, played):
    cell = played(spec)
    world = cell.world
    cell.reset(1.0)
    world.disk_full = True
    cell.feed(1.0)
    cell.loop.tick(1.0)
    cell.loop.stop("x")
    cell.loop.tick(1.1)
    assert "make room on the disk" in cell.loop.clear_stop()
    world.disk_full = False
    cell.loop.tick(1.2)
    assert [step.sequence for step in world.steps] == [0]
    assert all(np.allclose(pose, HOME) for _, pose in world.targets)
    assert cell.loop.clear_stop() == ""


def test_a_last_record_that_the_disk_refused_still_ends_the_run(spec, played):
    cell = played(spec, mode=Mode.RECORD_DEMOS, episodes=1)
    world = cell.world
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    world.disk_full = True
    cell.feed(1.1, success=True)
    cell.loop.tick(1.1)
    cell.loop.stop("x")
    world.disk_full = False
    cell.loop.tick(1.2)
    assert world.results[0].success
    assert cell.loop.phase is Phase.STOPPED
    cell.loop.clear_stop()
    assert cell.loop.phase is Phase.DONE
    cell.loop.stop("too late")
    assert cell.loop.phase is Phase.DONE


def test_a_stop_before_anything_was_heard_is_latched_and_holds_once_the_arm_is_there(spec, played):
    cell = played(spec)
    cell.loop.stop("x")
    cell.loop.tick(1.0)
    assert not cell.world.targets
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert np.allclose(cell.world.targets[-1][1], HOME)


def test_diagnostics_name_cause_and_remedy(running):
    cell = running()
    cell.loop.stop("the service stop")
    status = reports.loop_status(cell.loop, 1.2)
    assert status.level == b"\x02"
    assert "the service stop" in status.message
    assert "clear_stop" in status.message
    assert {value.key: value.value for value in status.values}["stopped"] == "True"


def test_the_device_moves_the_arm_only_while_the_deadman_is_held(spec, played):
    cell = played(with_buttons(spec, deadman_button=3))
    cell.reset(1.0)
    cell.feed(1.0, push=1.0)
    cell.loop.tick(1.0)
    cell.feed(1.1, push=1.0, buttons=(False, False, False, True))
    cell.loop.tick(1.1)
    cell.feed(1.15, push=1.0, buttons=(False, False, False, True))
    cell.feed(1.2, push=1.0, buttons=(False, False, False, False))
    cell.loop.tick(1.2)
    actions = [step.action[0] for step in cell.world.steps]
    assert actions == [0.5, 1.0, 0.0], (
        "let go between two ticks: no more motion, then the policy after release_steps"
    )


def test_in_an_evaluation_the_device_stops_but_does_not_drive(spec, played):
    cell = played(with_buttons(spec, stop_button=3), mode=Mode.EVAL, interventions=False)
    cell.reset(1.0)
    cell.play(1.0, 2, push=1.0)
    assert [step.source.name for step in cell.world.steps] == ["POLICY", "POLICY"]
    cell.feed(1.2, buttons=(0, 0, 0, 1))
    assert cell.loop.phase is Phase.STOPPED
    assert cell.loop.clear_stop() == "the stop button is still down: release it, then clear again"


def test_a_reset_that_fails_for_a_fault_pauses_and_says_what_to_do(spec, played, arm_sample):
    cell = played(spec)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    cell.feed(1.1, arm=arm_sample(1.1, fault=2, fault_text="a stale target"))
    cell.loop.reset_finished(False, "the arm is in a fault", 1.2)
    assert cell.loop.phase is Phase.PAUSED
    assert "a stale target" in cell.world.warnings[-1]
    assert "hil-serl recover" in cell.world.warnings[-1]
    assert "hil-serl unpause" in cell.world.warnings[-1]
    cell.feed(2.0)
    cell.loop.pause(False)
    cell.loop.tick(2.0)
    assert cell.loop.phase is Phase.RESETTING


def test_a_silent_arm_is_named_with_the_way_out(spec, played):
    cell = played(spec)
    cell.loop.tick(1.0)
    assert "arm_state (nothing received)" in cell.world.warnings[-1]
    assert "hil-serl recover" in cell.world.warnings[-1]


def test_the_reset_button_discards_the_episode_and_confirms_a_reset(spec, played):
    human = spec.reset.model_copy(update={"method": "human"})
    cell = played(with_buttons(spec, reset_button=2).model_copy(update={"reset": human}))
    cell.reset(1.0)
    assert cell.loop.phase is Phase.AWAITING_PERSON
    cell.feed(1.0, buttons=(0, 0, 1))
    assert cell.loop.phase is Phase.RUNNING
    cell.feed(1.1)
    cell.play(1.1, 2)
    cell.feed(1.4, buttons=(0, 0, 1))
    assert cell.loop.phase is Phase.IDLE
    (result,) = cell.world.results
    assert result.aborted
    assert result.reason == "discarded by the operator"
