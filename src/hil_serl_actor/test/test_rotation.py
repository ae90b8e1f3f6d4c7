# SPDX-License-Identifier: Apache-2.0
"""Forward and backward agents on one cell: whose turn it is, what is reset, what is kept apart."""

from __future__ import annotations

import pytest

from hil_serl_actor.loop.ports import Phase
from hil_serl_actor.loop.rotation import Rotation
from hil_serl_core.episode import Mode

LEFT, RIGHT, NOWHERE = (
    {"forward": f, "backward": b} for f, b in ((True, False), (False, True), (False, False))
)


@pytest.fixture
def pair(spec, played):
    """Makes a cell with a forward and a backward agent of five steps each."""

    def agent(goal, partner):
        reset = spec.reset.model_copy(update={"method": "arm", "partner": f"task_{partner}"})
        sim = spec.sim.model_copy(update={"goal": goal})
        return spec.model_copy(update={"name": f"task_{goal}", "reset": reset, "sim": sim})

    def make(both=True, attempts=5, **config):
        tasks = [agent("forward", "backward"), agent("backward", "forward")]
        tasks = [
            task.model_copy(update={"reset": task.reset.model_copy(update={"attempts": attempts})})
            for task in tasks
        ]
        return played(*(tasks if both else tasks[:1]), lockstep=True, **config)

    return make


def started(cell):
    return [name.removeprefix("task_") for kind, name in cell.world.events if kind == "start"]


def episode(cell, at, before, after, steps=2):
    """An episode whose scene changes from ``before`` to ``after`` at its last step."""
    cell.reset(at)
    stamp = cell.play(at, steps, goals=before)
    assert cell.loop.phase is Phase.RUNNING
    cell.play(stamp, 1, goals=after)


def test_success_gives_the_turn_to_the_agent_that_undoes_it(pair):
    cell = pair()
    episode(cell, 1.0, RIGHT, LEFT)
    episode(cell, 2.0, LEFT, RIGHT)
    episode(cell, 3.0, RIGHT, LEFT)
    assert started(cell) == ["forward", "backward", "forward"]
    assert all(result.success for result in cell.world.results)
    assert [reset.arm_only for reset in cell.world.resets] == [False, True, True]


def test_an_agent_that_runs_out_of_time_tries_again_from_where_the_scene_is(pair):
    cell = pair()
    cell.reset(1.0)
    cell.play(1.0, 9, goals=RIGHT)
    assert cell.world.results[0].truncated
    episode(cell, 2.0, RIGHT, LEFT)
    assert started(cell) == ["forward", "forward"]
    assert cell.world.resets[1].arm_only


def test_a_lost_object_is_put_back_where_the_agent_begins_that_lost_it(pair):
    cell = pair()
    episode(cell, 1.0, RIGHT, LEFT)
    cell.reset(2.0)
    cell.play(2.0, 9, goals=NOWHERE, failure=True)
    assert cell.world.results[-1].reason == "failure"
    episode(cell, 3.0, LEFT, RIGHT)
    assert started(cell) == ["forward", "backward", "backward"]
    assert [reset.arm_only for reset in cell.world.resets] == [False, True, False]
    assert [reset.goal for reset in cell.world.resets] == ["forward", "backward", "backward"]


def fail(cell, at, seen=NOWHERE, **feed):
    """An episode that is not solved; returns the stamp after it."""
    cell.reset(at)
    return cell.play(at, 9, goals=seen, **feed)


def test_an_agent_that_does_not_succeed_does_not_keep_the_other_from_training(pair):
    cell = pair(attempts=3)
    for number in range(12):
        fail(cell, 1.0 + number)
    assert started(cell) == (["forward"] * 3 + ["backward"] * 3) * 2
    counts = [sum(step.actor_id == actor for step in cell.world.steps) for actor in ("a0", "a1")]
    assert counts[0] == counts[1] > 0
    full = [(number, reset.goal) for number, reset in enumerate(cell.world.resets) if not reset.arm_only]
    assert full == [(0, "forward"), (3, "backward"), (6, "forward"), (9, "backward")]
    (told,) = [text for text in cell.world.warnings if "not solved" in text][:1]
    assert "'task_forward' was not solved 3 times in a row" in told
    assert "turn of task 'task_backward'" in told


def test_lost_objects_do_not_keep_the_other_agent_from_training_either(pair):
    cell = pair(attempts=2)
    for number in range(6):
        fail(cell, 1.0 + number, failure=True)
    assert started(cell) == ["forward"] * 2 + ["backward"] * 2 + ["forward"] * 2
    assert not any(reset.arm_only for reset in cell.world.resets)


def test_a_success_begins_the_count_again(pair):
    cell = pair(attempts=2)
    fail(cell, 1.0, RIGHT)
    episode(cell, 2.0, RIGHT, LEFT)
    fail(cell, 3.0, LEFT)
    episode(cell, 4.0, LEFT, RIGHT)
    fail(cell, 5.0, RIGHT)
    assert started(cell) == ["forward"] * 2 + ["backward"] * 2 + ["forward"]
    assert [reset.arm_only for reset in cell.world.resets] == [False] + [True] * 4


def test_an_episode_that_was_cut_off_is_no_attempt(pair):
    cell = pair(attempts=2)
    fail(cell, 1.0)
    cell.reset(2.0)
    cell.play(2.0, 2, goals=RIGHT)
    cell.loop.label(None)
    fail(cell, 3.0)
    cell.reset(4.0)
    assert started(cell) == ["forward", "forward", "forward", "backward"]


@pytest.mark.parametrize("both", [True, False])
def test_without_a_limit_or_a_partner_nobody_else_gets_the_turn(pair, both):
    cell = pair(both=both, attempts=None if both else 1)
    for number in range(7):
        fail(cell, 1.0 + number, RIGHT)
    assert started(cell) == ["forward"] * 7


def test_where_the_cell_cannot_lay_objects_back_a_person_does_before_the_other_agent_begins(pair):
    cell = pair(attempts=1)
    fail(cell, 1.0)
    cell.loop.tick(2.0)
    cell.loop.reset_finished(True, "", 2.0, objects_reset=False)  # a robot: its arm is at the start, no more
    assert cell.loop.phase is Phase.AWAITING_PERSON
    assert "put the objects where task 'task_backward' begins, then confirm" in cell.world.warnings[-1]
    cell.loop.pause(True)  # it is still to be done after a pause
    cell.loop.pause(False)
    cell.loop.tick(2.1)
    assert not cell.world.resets[-1].arm_only
    cell.loop.reset_finished(True, "", 2.1, objects_reset=False)
    assert cell.loop.confirm_reset()
    assert started(cell) == ["forward", "backward"]
    cell.play(2.1, 3, goals=LEFT)
    assert cell.loop.phase is Phase.RUNNING


def test_reset_free_episodes_ask_nobody(pair):
    cell = pair()
    fail(cell, 1.0, RIGHT)
    cell.loop.tick(2.0)
    assert cell.world.resets[-1].arm_only
    cell.loop.reset_finished(True, "", 2.0, objects_reset=False)
    assert cell.loop.phase is Phase.RUNNING


def test_a_task_that_is_done_before_it_begins_is_the_other_agents_turn_and_no_episode(pair):
    cell = pair()
    episode(cell, 1.0, RIGHT, LEFT)
    cell.reset(2.0)  # the block was lost on the way back, and the cell has put it where forward begins
    cell.play(2.0, 2, goals=RIGHT)
    assert started(cell) == ["forward", "backward", "forward"]
    assert cell.loop.agent.spec.name == "task_forward"
    assert cell.loop.phase is Phase.RUNNING
    assert [(r.aborted, r.steps) for r in cell.world.results] == [(False, 2), (True, 0)]
    assert cell.loop.counted_episodes == 1
    assert {s.actor_id for s in cell.world.steps} == {"a0"}
    assert len(cell.world.resets) == 2, "both begin from the same reset"


def test_goals_that_are_not_exclusive_do_not_pass_the_turn_for_ever(pair):
    cell = pair()
    cell.reset(1.0)
    cell.play(1.0, 1, goals={"forward": True, "backward": True})
    assert [(r.aborted, r.success) for r in cell.world.results] == [(True, False), (False, True)]


def test_records_transitions_and_seeds_of_the_agents_are_kept_apart(pair):
    cell = pair()
    for k, (before, after) in enumerate([(RIGHT, LEFT), (LEFT, RIGHT)] * 2):
        episode(cell, 1.0 + k, before, after)
    for actor in ("a0", "a1"):
        own = [s for s in cell.world.steps if s.actor_id == actor]
        assert [s.sequence for s in own] == list(range(6))
        assert [s.episode for s in own] == [0, 0, 0, 1, 1, 1]
    assert len({s.spec_hash for s in cell.world.steps}) == 2
    assert cell.loop.transition == 8
    assert len(set(cell.world.seeds)) == 4


def test_demonstrations_of_both_directions_count_together(pair):
    cell = pair(mode=Mode.RECORD_DEMOS, episodes=2)
    episode(cell, 1.0, RIGHT, LEFT)
    assert cell.loop.phase is Phase.IDLE
    episode(cell, 2.0, LEFT, RIGHT)
    assert cell.loop.phase is Phase.DONE


def test_one_direction_alone_has_the_whole_scene_reset(pair):
    cell = pair(both=False)
    episode(cell, 1.0, RIGHT, LEFT)
    episode(cell, 2.0, RIGHT, LEFT)
    assert [reset.arm_only for reset in cell.world.resets] == [False, False]


def test_a_loop_without_agents_is_refused():
    with pytest.raises(ValueError, match="needs an agent"):
        Rotation([])
