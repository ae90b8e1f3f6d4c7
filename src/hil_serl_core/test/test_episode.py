# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.observation import ArmSample, Observation
from hil_serl_core.step import Source

POLICY = np.full(6, 0.25, dtype=np.float32)


def arm_at(stamp, opening=float("nan")):
    return ArmSample(
        stamp,
        "base",
        np.array([0, 0, 0, 0, 0, 0, 1.0]),
        np.zeros(6),
        np.zeros(6),
        np.zeros(7),
        np.zeros(7),
        opening,
    )


def observe(index):
    return Observation(
        0.1 * index,
        {"wrist_1": np.full((16, 16, 3), index, np.uint8)},
        {"tcp_pose": np.zeros(6, np.float32)},
        {"": arm_at(0.1 * index)},
    )


def propose(_):
    return Proposal(POLICY, 7)


def hand(index, x):
    return {"": OperatorInput(0.1 * index, np.array([x, 0, 0, 0, 0, 0.0]))}


def run(spec, runner, success_at=None, pushes=(), policy=propose):
    ticks = []
    for i in range(spec.episode.max_steps + 1):
        outcome = Outcome(success=success_at is not None and i >= success_at)
        tick = runner.tick(observe(i), outcome, hand(i, 1.0 if i in pushes else 0.0), policy)
        ticks.append(tick)
        if tick.result is not None:
            break
    return ticks


def test_success_is_terminal_and_rewarded_on_arrival(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin(seed=3)
    ticks = run(spec, runner, success_at=2)
    steps = [t.step for t in ticks]
    assert [s.reward for s in steps] == [0, 0, 1]
    assert [s.is_first for s in steps] == [True, False, False]
    assert [(s.is_last, s.is_terminal) for s in steps] == [(False, False), (False, False), (True, True)]
    assert steps[-1].action is None
    assert steps[-1].source is Source.NONE
    assert ticks[-1].action is None
    result = ticks[-1].result
    assert result.success
    assert not result.truncated
    assert result.steps == 2
    assert result.seed == 3
    assert result.duration == pytest.approx(0.2)
    assert result.policy_version == 7


def test_time_limit_truncates_but_is_not_terminal(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    ticks = run(spec, runner)
    assert len(ticks) == spec.episode.max_steps + 1
    last = ticks[-1]
    assert last.step.is_last
    assert not last.step.is_terminal
    assert last.result.truncated
    assert last.result.reason == "time_limit"


def test_success_on_the_very_last_step_counts(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    last = run(spec, runner, success_at=spec.episode.max_steps)[-1]
    assert last.result.success
    assert last.step.is_terminal
    assert last.step.reward == 1.0


def test_numbers_run_on_over_episodes_and_aborts(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN, next_sequence=100, next_episode=8)
    runner.begin()
    first = run(spec, runner, success_at=2)
    runner.begin()
    partial = runner.tick(observe(0), Outcome(), {}, propose)
    aborted = runner.abort("camera/wrist_1 lost")
    runner.begin()
    second = run(spec, runner, success_at=1)
    steps = [t.step for t in first] + [partial.step] + [t.step for t in second]
    assert [s.sequence for s in steps] == list(range(100, 100 + len(steps)))
    assert [s.episode for s in steps] == [8, 8, 8, 9, 10, 10]
    assert aborted.aborted
    assert aborted.reason == "camera/wrist_1 lost"
    assert not aborted.success


def test_no_transition_leads_across_an_abort(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    cut = runner.tick(observe(0), Outcome(), {}, propose).step
    runner.abort("x")
    runner.begin()
    first, second = (t.step for t in run(spec, runner, success_at=1))
    assert not first.follows(cut)
    assert second.follows(first)
    assert not cut.follows(second)


def test_executed_action_is_the_operators_when_intervening(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    ticks = run(spec, runner, pushes={1, 2})
    sources = [t.step.source for t in ticks]
    assert sources == [Source.POLICY, Source.HUMAN, Source.HUMAN, Source.SCRIPT, Source.POLICY, Source.NONE]
    assert ticks[1].step.action[0] == 1.0
    assert np.array_equal(ticks[1].step.policy_action, POLICY)
    assert np.array_equal(ticks[0].step.action, POLICY)
    assert not ticks[3].step.action.any(), "on release the arm stands still for the hysteresis"
    result = ticks[-1].result
    assert result.intervened_steps == 2, "the zero after the release is nobody's"
    assert result.interventions == 1


def test_a_hand_that_passes_through_the_centre_is_one_intervention(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    ticks = run(spec, runner, pushes={0, 2})
    sources = [t.step.source for t in ticks]
    assert sources[:5] == [Source.HUMAN, Source.SCRIPT, Source.HUMAN, Source.SCRIPT, Source.POLICY]
    assert not ticks[1].step.action.any()
    assert np.array_equal(ticks[1].step.policy_action, POLICY)
    assert (ticks[-1].result.intervened_steps, ticks[-1].result.interventions) == (2, 1)


@pytest.mark.parametrize("release_steps", [1, 2, 5])
def test_no_zero_that_nobody_gave_is_a_persons(spec, release_steps):
    intervention = spec.intervention.model_copy(update={"release_steps": release_steps})
    episode = spec.episode.model_copy(update={"max_steps": 40})
    spec = spec.model_copy(update={"intervention": intervention, "episode": episode})
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    steps = [t.step for t in run(spec, runner, pushes={3, 4, 9, 10, 11, 20})]
    human = [s.step_index for s in steps if s.source is Source.HUMAN]
    assert human == [3, 4, 9, 10, 11, 20]
    assert all(s.action.any() for s in steps if s.source is Source.HUMAN)
    still = [s for s in steps if s.source is Source.SCRIPT]
    assert len(still) == 3 * (release_steps - 1)
    assert not any(s.action.any() for s in still)


def test_standing_still_with_the_deadman_held_is_a_persons_action(spec):
    intervention = spec.intervention.model_copy(update={"deadman_button": 2})
    episode = spec.episode.model_copy(update={"max_steps": 20})
    spec = spec.model_copy(update={"intervention": intervention, "episode": episode})
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    plan = [(0.0, True), (0.5, True)] + [(0.0, True)] * 6 + [(0.0, False)] * 3
    sources = []
    for i, (x, held) in enumerate(plan):
        device = OperatorInput(0.1 * i, np.array([x, 0, 0, 0, 0, 0.0]), (False, False, held))
        sources.append(runner.tick(observe(i), Outcome(), {"": device}, propose).step.source)
    assert sources[0] is Source.POLICY, "who only holds it has not taken over"
    assert sources[1:8] == [Source.HUMAN] * 7
    assert sources[8:] == [Source.SCRIPT, Source.POLICY, Source.POLICY]
    assert runner.intervened_steps == 7


def test_demonstrations_are_human_throughout(spec):
    runner = EpisodeRunner(spec, "a", Mode.RECORD_DEMOS)
    runner.begin()
    ticks = run(spec, runner, success_at=3, pushes={1}, policy=None)
    assert [t.step.source for t in ticks[:-1]] == [Source.HUMAN] * 3
    assert all(t.step.policy_action is None and t.step.policy_version == -1 for t in ticks)
    assert not ticks[0].step.action.any(), "a pause of the person, who drives the whole episode"
    assert (ticks[-1].result.intervened_steps, ticks[-1].result.interventions) == (3, 1)


def test_tick_without_begin_is_a_programming_error(spec):
    with pytest.raises(RuntimeError):
        EpisodeRunner(spec, "a", Mode.TRAIN).tick(observe(0), Outcome(), None, None)


def both(index, left=0.4, right=1.0):
    arms = {"left": arm_at(0.1 * index, left), "right": arm_at(0.1 * index, right)}
    return Observation(0.1 * index, {}, {}, arms)


def test_only_a_toggle_is_penalised_and_on_arrival(two_arms):
    runner = EpisodeRunner(two_arms, "a", Mode.TRAIN)
    runner.begin()
    commands = [(-1, 0), (-1, 0), (0, -1), (1, 1), (0, 0)]  # toggles: 1, 0, 1, 2, 0
    steps = []
    for i, command in enumerate(commands):
        action = np.array([0.0] * 12 + list(command), np.float32)
        steps.append(runner.tick(both(i), Outcome(), {}, lambda _, a=action: Proposal(a, 1)).step)
    steps.append(runner.tick(both(5), Outcome(success=True), {}, propose).step)
    assert [s.grasp_penalty for s in steps] == pytest.approx([0, -0.02, 0, -0.02, -0.04, 0])
    assert [s.reward for s in steps] == [0, 0, 0, 0, 0, 1], "the penalty is the grasp critic's alone"


def test_a_gripper_forced_open_can_be_closed_again_by_a_decision(two_arms):
    runner = EpisodeRunner(two_arms, "a", Mode.TRAIN)
    runner.begin()
    close = Proposal(np.array([0.0] * 12 + [-1, 0], np.float32), 1)
    stay = Proposal(np.zeros(14, np.float32), 1)
    runner.tick(both(0, left=1.0), Outcome(), {}, lambda _: close)
    runner.tick(both(1, left=0.4), Outcome(), {}, lambda _: stay)
    assert runner.grippers.openings == [0.0, 1.0]
    for i in range(2, 6):  # somebody opens it
        runner.tick(both(i, left=1.0), Outcome(), {}, lambda _: stay)
    assert runner.grippers.openings == [1.0, 1.0]


def test_an_episode_that_runs_to_its_limit_is_judged_there(spec):
    spec = spec.model_copy(update={"episode": spec.episode.model_copy(update={"run_to_limit": True})})
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    ticks = run(spec, runner, success_at=2)
    assert [t.step.reward for t in ticks] == [0, 0, 0, 0, 0, 1]
    assert ticks[-1].step.is_terminal
    assert ticks[-1].result.success


def test_a_reward_model_may_give_a_reward_of_its_own_at_every_step(spec):
    runner = EpisodeRunner(spec, "a", Mode.TRAIN)
    runner.begin()
    rewards = [runner.tick(observe(i), Outcome(reward=-0.5), {}, propose).step.reward for i in range(3)]
    assert rewards == [0.0, -0.5, -0.5]
